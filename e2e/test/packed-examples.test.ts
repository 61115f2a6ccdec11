import { spawn, spawnSync } from 'node:child_process'
import type { ChildProcessByStdio } from 'node:child_process'
import { once } from 'node:events'
import { cpSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import process from 'node:process'
import { createInterface } from 'node:readline'
import type { Readable, Writable } from 'node:stream'
import { fileURLToPath } from 'node:url'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { checkTypes, installPacked, PackedPackages, runInstalled } from '../src/packed-packages.ts'

const EXAMPLES = fileURLToPath(new URL('../../examples', import.meta.url))

let scratch: string
let packed: PackedPackages
beforeAll(() => {
  scratch = mkdtempSync(join(tmpdir(), 'filesync-examples-'))
  packed = new PackedPackages(join(scratch, 'tarballs'))
})
afterAll(() => { rmSync(scratch, { recursive: true, force: true }) })

/** Copies an example out of the repository, and installs what it depends on from tarballs. */
async function install (name: string, directories: readonly string[]): Promise<string> {
  const into = join(scratch, name)
  cpSync(join(EXAMPLES, name), into, { recursive: true, filter: source => !/node_modules|tsconfig/u.test(source.slice(EXAMPLES.length)) })
  installPacked(packed, { manager: 'pnpm', into, names: directories.map(directory => packed.add(directory)) })
  expect(await checkTypes(into, `${name}.ts`)).toBe('')
  return into
}

/** A program that runs until it is stopped, and what it has printed. */
class Started {
  readonly child: ChildProcessByStdio<Writable, Readable, null>
  readonly lines: string[] = []
  /** Its exit code. */
  readonly exited: Promise<number | null>
  #waiting: (() => void)[] = []

  constructor (command: string, words: readonly string[], { cwd, env }: { readonly cwd: string, readonly env?: NodeJS.ProcessEnv }) {
    this.child = spawn(command, words, { cwd, stdio: ['pipe', 'pipe', 'inherit'], env: { ...process.env, ...env }, detached: true })
    this.exited = once(this.child, 'exit').then(([code]) => code as number | null)
    createInterface({ input: this.child.stdout }).on('line', line => {
      this.lines.push(line)
      for (const wake of this.#waiting.splice(0)) wake()
    })
  }

  async line (fits: (line: string) => boolean): Promise<string> {
    for (;;) {
      const found = this.lines.find(fits)
      if (found !== undefined) return found
      await new Promise<void>(resolve => { this.#waiting.push(resolve) })
    }
  }

  /** Ends it, with all that it has started. */
  async end (): Promise<number | null> {
    if (this.child.pid !== undefined) process.kill(-this.child.pid, 'SIGTERM')
    return await this.exited
  }
}

const noNamespace = spawnSync('unshare', ['--net', 'ip', 'link', 'set', 'lo', 'up']).status !== 0
if (noNamespace) console.warn('Skipped: the example that finds a printer, because unshare --net is not permitted here')

const PRINTER = `
import { createInterface } from 'node:readline'
import { announce } from '@filesync/discovery/node'
const txt = { rp: 'ipp/print', ty: 'Acme 300', note: 'by the stairs', Color: 'T' }
const printer = await announce({ type: '_ipp._tcp', name: 'Printer 3.5, 2nd floor', port: 631, txt })
for await (const line of createInterface({ input: process.stdin })) {
  if (line === 'move') printer.update({ txt: { ...txt, note: 'by the door' } })
  if (line === 'off') await printer.close()
}
`

describe.skipIf(noNamespace)('the example that finds a printer', () => {
  test('finds one that the package announces, follows it, and sees it go', { timeout: 180_000 }, async () => {
    const cwd = await install('find-a-printer', ['packages/discovery'])
    writeFileSync(join(cwd, 'printer.ts'), PRINTER)
    // Both in one network of their own. What is typed goes to the printer.
    const script = 'ip link set lo up && exec 3<&0 && { node find-a-printer.ts --interface lo </dev/null & exec node printer.ts <&3; }'
    const both = new Started('unshare', ['--net', 'sh', '-c', `PATH="${join(process.execPath, '..')}:$PATH"; ${script}`], { cwd })
    expect(await both.line(line => line.startsWith('up')))
      .toBe('up      Printer 3.5, 2nd floor (Acme 300, by the stairs, color) at ipp://127.0.0.1:631/ipp/print')
    both.child.stdin.write('move\n')
    expect(await both.line(line => line.startsWith('changed'))).toContain('by the door')
    both.child.stdin.write('off\n')
    expect(await both.line(line => line.startsWith('gone'))).toBe('gone    Printer 3.5, 2nd floor')
    await both.end()
  })
})

test('the heartbeat runs as a daemon with settings, metrics, events and a status that name only itself', { timeout: 180_000 }, async () => {
  const cwd = await install('heartbeat', ['packages/program'])
  const env = { HEARTBEAT_EVERY: '20ms', HEARTBEAT_STATE_DIR: join(scratch, 'state'), XDG_CONFIG_HOME: join(scratch, 'none') }
  const daemon = new Started(process.execPath, ['heartbeat.ts', 'start', '--json', '--metrics', '127.0.0.1:0'], { cwd, env })
  const started = JSON.parse(await daemon.line(line => line.includes('"started"'))) as { readonly metricsPort: number }
  await daemon.line(line => line.includes('"beats":3'))
  const metrics = await (await fetch(`http://127.0.0.1:${started.metricsPort}/metrics`)).text()
  expect(metrics).toMatch(/^heartbeat_beats_total [3-9]\d*$|^heartbeat_beats_total [1-9]\d+$/mu)
  expect((await runInstalled(cwd, ['heartbeat.ts', 'status'], env)).stdout).toMatch(/^\d+ beats in .*s\n$/u)
  const follower = new Started(process.execPath, ['heartbeat.ts', 'status', '--follow'], { cwd, env })
  await follower.line(line => line.includes('beat  beats='))
  expect(await daemon.end()).toBe(0)
  await follower.exited
  const wrong = await runInstalled(cwd, ['heartbeat.ts', 'start', '--every', 'x'], env)
    .catch((error: unknown) => error as { stderr: string, code: number })
  expect(wrong).toMatchObject({ code: 2 })
  const help = await runInstalled(cwd, ['heartbeat.ts', '--help'], env)
  expect(help.stdout).toMatch(/HEARTBEAT_<OPTION>[^]*heartbeat\/config\.yaml/u)
  const notRunning = await runInstalled(cwd, ['heartbeat.ts', 'status'], env).catch((error: unknown) => error as { stderr: string })
  for (const text of [help.stdout, wrong.stderr, notRunning.stderr]) expect(text).not.toMatch(/filesync/iu)
})
