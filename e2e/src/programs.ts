import { spawn } from 'node:child_process'
import type { ChildProcessByStdio } from 'node:child_process'
import { existsSync } from 'node:fs'
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { basename, join } from 'node:path'
import { tmpdir } from 'node:os'
import { createInterface } from 'node:readline'
import type { Readable } from 'node:stream'
import { fileURLToPath } from 'node:url'
import type { PushResult } from '@filesync/client'
import { loadOrCreateIdentity, openPeers, openServers } from '@filesync/identity/node'

export const SERVER_PROGRAM: string = fileURLToPath(new URL('../../apps/server/dist/main.js', import.meta.url))
export const CLIENT_PROGRAM: string = fileURLToPath(new URL('../../apps/client/dist/main.js', import.meta.url))

// Where a disk of memory is to be had, a hundred thousand small files take seconds instead of minutes.
export const SCRATCH: string = existsSync('/dev/shm') ? '/dev/shm' : tmpdir()

export interface Finished {
  readonly code: number
  readonly stdout: string
  readonly stderr: string
}

type Child = ChildProcessByStdio<null, Readable, Readable>

/** A directory of its own for one test, with the two programs to run in it. Everything stops and vanishes with `dispose`. */
export class Stage {
  readonly root: string
  readonly #children = new Set<Child>()

  private constructor (root: string) {
    this.root = root
  }

  static async open (): Promise<Stage> {
    return new Stage(await mkdtemp(join(SCRATCH, 'filesync-e2e-')))
  }

  path (...names: string[]): string {
    return join(this.root, ...names)
  }

  /** Runs a program to its end. */
  async run (program: string, args: readonly string[], cwd?: string): Promise<Finished> {
    const child = this.#spawn(program, args, cwd)
    let stdout = ''
    let stderr = ''
    child.stdout.setEncoding('utf8').on('data', (text: string) => { stdout += text })
    child.stderr.setEncoding('utf8').on('data', (text: string) => { stderr += text })
    // Not 'exit': what the program printed last may still be in the pipe.
    const code = await new Promise<number>(resolve => { child.once('close', exit => { resolve(exit ?? -1) }) })
    return { code, stdout, stderr }
  }

  /** Starts a server on the loopback interface and waits until it is ready. */
  async startServer (name = 'server', args: readonly string[] = []): Promise<RunningServer> {
    const child = this.#spawn(SERVER_PROGRAM, [
      'start',
      '--archive',
      this.path(`${name}-archive`),
      '--state-dir',
      this.path(name),
      '--bind',
      '127.0.0.1',
      '--interface',
      'lo',
      '--json-logs',
      ...args,
    ])
    let stderr = ''
    child.stderr.setEncoding('utf8').on('data', (text: string) => { stderr += text })
    const first = await new Promise<string>((resolve, reject) => {
      createInterface({ input: child.stdout }).once('line', resolve).resume()
      child.once('exit', code => { reject(new Error(`The server ended with ${String(code)}: ${stderr}`)) })
    })
    const listening = JSON.parse(first) as RunningServer['listening']
    return { child, listening, archive: this.path(`${name}-archive`), stateDir: this.path(name) }
  }

  /** Ends a child as `kill` does, and waits for it. */
  async stop (child: Child, signal: NodeJS.Signals = 'SIGTERM'): Promise<number> {
    child.kill(signal)
    return await ended(child)
  }

  /** Pairs a client with a server by an enrollment token. */
  async pair (server: RunningServer, client: string, id: string = client): Promise<void> {
    const token = await this.run(SERVER_PROGRAM, ['token', 'create', '--state-dir', server.stateDir])
    if (token.code !== 0) throw new Error(token.stderr)
    const file = this.path(`${client}.token`)
    await writeFile(file, token.stdout, { mode: 0o600 })
    const enrolled = await this.run(CLIENT_PROGRAM, ['enroll', '--token-file', file, '--id', id, ...this.clientArgs(client)])
    if (enrolled.code !== 0) throw new Error(enrolled.stderr)
  }

  /** Makes a client and a server trust each other by hand, so that neither knows where the other is. */
  async introduce (client: string, server: string): Promise<void> {
    const [ours, theirs] = await Promise.all([loadOrCreateIdentity(this.path(client)), loadOrCreateIdentity(this.path(server))])
    await openPeers(this.path(server)).admit({ id: ours.id, requestedName: client, via: 'manual' })
    await openServers(this.path(client)).pin({ id: theirs.id, name: server, via: 'manual' })
  }

  /** Pushes a directory once. The last line of the output is the result. */
  async push (client: string, directory: string, args: readonly string[] = []): Promise<Finished & { result: PushResult }> {
    const finished = await this.run(CLIENT_PROGRAM, ['push', directory, '--json', ...this.clientArgs(client), ...args])
    const last = finished.stdout.trimEnd().split('\n').at(-1) ?? ''
    return { ...finished, result: (last === '' ? {} : JSON.parse(last)) as PushResult }
  }

  clientArgs (client: string): string[] {
    return ['--state-dir', this.path(client), '--interface', 'lo']
  }

  /** Starts a program that goes on. */
  start (program: string, args: readonly string[]): Child {
    return this.#spawn(program, args)
  }

  /** Kills all programs that run, and waits for them. */
  async stopAll (): Promise<void> {
    await Promise.all([...this.#children].map(async child => await this.stop(child, 'SIGKILL')))
  }

  async dispose (): Promise<void> {
    await this.stopAll()
    await rm(this.root, { recursive: true, force: true })
  }

  #spawn (program: string, args: readonly string[], cwd?: string): Child {
    const child = spawn(process.execPath, [program, ...args], { stdio: ['ignore', 'pipe', 'pipe'], cwd })
    this.#children.add(child)
    child.once('exit', () => { this.#children.delete(child) })
    return child
  }
}

/** What most tests begin with: a server that runs, a client `client` that is paired with it, and an empty directory to push. */
export interface PairedStage {
  readonly stage: Stage
  readonly server: RunningServer
  readonly source: string
  /** Where the archive keeps the files of `source`. */
  readonly mirror: string
}

/** @param id the name of the client's folder in the archive */
export async function openPairedStage (id = 'client'): Promise<PairedStage> {
  const stage = await Stage.open()
  try {
    const source = stage.path('source')
    await mkdir(source)
    const server = await stage.startServer()
    await stage.pair(server, 'client', id)
    return { stage, server, source, mirror: mirrorOf(server, id, source) }
  } catch (error) {
    await stage.dispose()
    throw error
  }
}

/**
 * Where an archive keeps what a client pushes from a directory.
 *
 * @param area the name of the client in the archive
 */
export function mirrorOf (server: Pick<RunningServer, 'archive'> | undefined, area: string, source: string): string {
  return join(server?.archive ?? '', area, basename(source))
}

export interface RunningServer {
  readonly child: Child
  readonly listening: {
    readonly event: string
    readonly port: number
    readonly discovery: boolean
    readonly id: string
    readonly metricsPort?: number
  }
  readonly archive: string
  readonly stateDir: string
}

async function ended (child: Child): Promise<number> {
  if (child.exitCode !== null) return child.exitCode
  if (child.signalCode !== null) return -1
  return await new Promise(resolve => { child.once('exit', code => { resolve(code ?? -1) }) })
}
