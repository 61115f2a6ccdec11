import { spawn } from 'node:child_process'
import type { ChildProcess } from 'node:child_process'
import { mkdtemp, readFile, realpath, writeFile } from 'node:fs/promises'
import { networkInterfaces, tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'
import { makeSampleFolders, SAMPLE_FILE } from './sample-tree.ts'

const SERVER = fileURLToPath(new URL('../../apps/server/dist/main.js', import.meta.url))
const CLIENT = fileURLToPath(new URL('../../apps/client/dist/main.js', import.meta.url))
const USAGE = `usage: pnpm demo [FOLDER...] [--once]

Starts a server and a client as two processes on this machine, pairs them with a one-time token, and pushes the folders (by default
two samples, one of whose files is then changed and brought back as it was). All traffic stays on the loopback interface.

  --once   exit after the first sync instead of keeping the folders in sync until Ctrl-C
`

/** The processes to stop on Ctrl-C and at the end of the demo. */
const running = new Set<ChildProcess>()

function log (text: string): void {
  process.stdout.write(`demo: ${text}\n`)
}

function loopbackInterface (): string {
  for (const [name, addresses] of Object.entries(networkInterfaces())) {
    if (addresses?.some(({ internal, family }) => internal && family === 'IPv4') === true) return name
  }
  throw new Error('The demo needs a loopback interface with an IPv4 address, and this machine has none.')
}

function start (program: string, args: readonly string[], capture: boolean): ChildProcess {
  const child = spawn(process.execPath, [program, ...args], { stdio: ['ignore', capture ? 'pipe' : 'inherit', 'inherit'] })
  running.add(child)
  child.once('exit', () => { running.delete(child) })
  return child
}

async function exitCode (child: ChildProcess): Promise<number> {
  if (child.exitCode !== null) return child.exitCode
  return await new Promise((done, fail) => {
    child.once('error', fail)
    child.once('exit', (code, signal) => { done(code ?? (signal === 'SIGINT' || signal === 'SIGTERM' ? 0 : 1)) })
  })
}

async function output (program: string, args: readonly string[]): Promise<string> {
  const child = start(program, args, true)
  let text = ''
  child.stdout?.setEncoding('utf8').on('data', (chunk: string) => { text += chunk })
  const code = await exitCode(child)
  if (code !== 0) throw new Error(`${args.join(' ')} exited with ${code}.`)
  return text
}

async function startServer (args: readonly string[]): Promise<ChildProcess> {
  const server = start(SERVER, args, true)
  const { stdout } = server
  if (stdout === null) throw new Error('The server has no output.')
  const lines = createInterface({ input: stdout })
  await new Promise<void>((ready, fail) => {
    lines.once('line', () => { ready() })
    server.once('exit', code => { fail(new Error(`The server exited with ${String(code)} before it was ready.`)) })
  })
  lines.on('line', line => { process.stdout.write(`server: ${line}\n`) })
  return server
}

async function stop (child: ChildProcess): Promise<void> {
  child.kill('SIGTERM')
  await exitCode(child)
}

async function demo (given: readonly string[], once: boolean): Promise<number> {
  const home = await realpath(await mkdtemp(join(tmpdir(), 'filesync-demo-')))
  const network = ['--interface', loopbackInterface()]
  const serverState = ['--state-dir', join(home, 'server')]
  const clientArgs = [...network, '--state-dir', join(home, 'client')]
  const folders = given.length > 0 ? given.map(directory => resolve(directory)) : await makeSampleFolders(home)

  log(`state and archive are in ${home}`)
  const archive = join(home, 'archive')
  const server = await startServer([
    'start', '--archive', archive, '--interval', '10', '--bind', '127.0.0.1', '--name', 'demo server', ...network, ...serverState,
  ])
  log('the server is running; creating a token and pairing the client with it')
  const token = join(home, 'enroll.token')
  await writeFile(token, await output(SERVER, ['token', 'create', ...serverState]), { mode: 0o600 })
  const paired = await exitCode(start(CLIENT, ['enroll', '--token-file', token, '--id', 'demo', ...clientArgs], false))
  if (paired !== 0) return paired

  log(`pushing ${folders.join(' and ')}`)
  const pushed = await exitCode(start(CLIENT, ['push', ...folders, ...clientArgs], false))
  log(`the folders of this client are stored in ${join(archive, 'demo')}`)
  if (pushed === 0 && given.length === 0) await showRestore(folders, { home, clientArgs })
  if (!once && (pushed === 0 || pushed === 5)) {
    log('keeping the folders in sync; change something in one to see it arrive. Ctrl-C ends the demo.')
    await exitCode(start(CLIENT, ['start', ...folders, ...clientArgs], false))
  }
  await stop(server)
  return pushed
}

interface DemoClient {
  readonly home: string
  readonly clientArgs: readonly string[]
}

/** Changes a sample file, pushes again, and restores the file as it was before. */
async function showRestore (folders: readonly string[], { home, clientArgs }: DemoClient): Promise<void> {
  log(`overwriting documents/${SAMPLE_FILE}, and pushing again`)
  await writeFile(join(home, 'documents', SAMPLE_FILE), 'overwritten by mistake\n')
  await expectSuccess(['push', ...folders, '--settle', '0s', ...clientArgs])
  log('the history of the file, as the server keeps it:')
  await expectSuccess(['history', `documents/${SAMPLE_FILE}`, ...clientArgs])
  const restored = join(home, 'restored')
  await expectSuccess(['restore', `documents/${SAMPLE_FILE}`, '--at', 'p1', '--to', restored, ...clientArgs])
  log(`as it was at the first point: ${(await readFile(join(restored, 'documents', SAMPLE_FILE), 'utf8')).trimEnd()}`)
}

async function expectSuccess (args: readonly string[]): Promise<void> {
  const code = await exitCode(start(CLIENT, args, false))
  if (code !== 0) throw new Error(`filesync-client ${args[0] ?? ''} exited with ${code}.`)
}

async function main (): Promise<number> {
  const { values, positionals } = parseArgs({
    allowPositionals: true,
    options: { once: { type: 'boolean', default: false }, help: { type: 'boolean', short: 'h', default: false } },
  })
  if (values.help) {
    process.stdout.write(USAGE)
    return 0
  }
  // Each child is in this process group and receives Ctrl-C itself; this process only has to outlive them.
  process.on('SIGINT', () => { log('stopping') })
  process.on('exit', () => { for (const child of running) child.kill('SIGKILL') })
  return await demo(positionals, values.once)
}

try {
  process.exitCode = await main()
} catch (error) {
  process.stderr.write(`demo: ${error instanceof Error ? error.message : String(error)}\n`)
  process.exitCode = 1
}
