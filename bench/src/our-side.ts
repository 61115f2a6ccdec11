import { rmSync, statSync } from 'node:fs'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import type { Children, Started } from './children.ts'
import { cpuMs, ProcessMeter } from './process-meter.ts'
import type { Consumption } from './process-meter.ts'
import type { Run, Side } from './side.ts'

const SERVER = fileURLToPath(new URL('../../apps/server/dist/main.js', import.meta.url))
const CLIENT = fileURLToPath(new URL('../../apps/client/dist/main.js', import.meta.url))
/** The name of the client at the server. */
export const ID = 'bench'
/** The name of the folder that is pushed, whatever the directory of the data set is called. */
export const FOLDER = 'data'

type Program = 'client' | 'server'
const PROGRAMS: Readonly<Record<Program, string>> = { client: CLIENT, server: SERVER }

/** The fields that are read from a line of `filesync-client push --json` or `start --json`. */
interface PushLine {
  readonly result: string
  readonly filesSent: number
  readonly filesDeleted: number
  readonly filesTotal: number
  readonly bytesSent: number
  readonly bytesReceived: number
  readonly durationMs: number
  readonly problems: readonly unknown[]
}

/** One run of a client that keeps running, as it reports it. */
export interface InnerRun {
  readonly durationMs: number
  readonly toldBytes: number
  /** The part of `toldBytes` that the client sent. */
  readonly sentBytes: number
  readonly filesSent: number
}

/** `filesync-client start`. */
export interface RunningClient {
  readonly pid: number
  /** Its runs as they end, for one reader. Throws if the client exits, or if a run did not store everything. */
  readonly runs: AsyncGenerator<InnerRun, void, undefined>
  stop (): Promise<void>
}

/** A command that has ended with success; the server was measured too. */
export interface CommandRun extends Consumption {
  readonly durationMs: number
  readonly stdout: string
}

/** A push, with what it says it has done. */
export interface PushRun extends Run {
  readonly filesSent: number
  readonly filesDeleted: number
}

/** The built FileSync programs: a server with an empty archive, and a paired client. */
export class OurSide implements Side {
  readonly destination: string
  readonly #home: string
  readonly #children: Children
  readonly #server: Started

  private constructor (home: string, children: Children, server: Started) {
    this.#home = home
    this.#children = children
    this.#server = server
    this.destination = join(home, 'archive', ID, FOLDER)
  }

  /** Starts a server in an empty directory and pairs a client with it. */
  static async open (home: string, children: Children, intervalSeconds = 300): Promise<OurSide> {
    const state = ['--state-dir', join(home, 'server')]
    const server = children.start(process.execPath, [
      SERVER, 'start', '--archive', join(home, 'archive'), ...state, '--bind', '127.0.0.1', '--interface', 'lo', '--json-logs',
      '--interval', String(intervalSeconds),
    ])
    const side = new OurSide(home, children, server)
    try {
      await side.#untilListening()
      const token = await children.run(process.execPath, [SERVER, 'token', 'create', ...state])
      await writeFile(join(home, 'token'), token.stdout, { mode: 0o600 })
      await children.run(process.execPath, [CLIENT, 'enroll', '--token-file', join(home, 'token'), '--id', ID, ...side.#clientArgs])
      return side
    } catch (error) {
      await side.close()
      throw error
    }
  }

  async push (source: string): Promise<PushRun> {
    const { stdout, ...run } = await this.command('client', ['push', `${FOLDER}=${source}`, '--json'])
    const { filesSent, filesDeleted, bytesSent, bytesReceived } = parseLine(stdout.trimEnd().split('\n').at(-1) ?? '')
    return { ...run, filesSent, filesDeleted, toldBytes: bytesSent + bytesReceived }
  }

  /** Runs a command of one of the programs; it is measured as the client. Throws if it fails. */
  async command (program: Program, args: readonly string[]): Promise<CommandRun> {
    const meter = new ProcessMeter(this.#server.pid)
    const command = this.#start(program, args)
    meter.watch(command.pid)
    try {
      const { code, durationMs, stdout, stderr } = await command.ended
      const consumption = await meter.finish()
      if (code !== 0) throw new Error(`filesync-${program} ${args[0] ?? ''} ended with ${code}: ${stderr}${stdout}`)
      return { ...consumption, durationMs, stdout }
    } finally {
      meter.stop()
    }
  }

  /** Starts a client that keeps running. */
  startClient (source: string, flags: readonly string[] = []): RunningClient {
    const client = this.#start('client', ['start', `${FOLDER}=${source}`, '--json', ...flags])
    return { pid: client.pid, runs: runsOf(client), stop: async () => { await this.#children.stop(client) } }
  }

  /** Runs `filesync-client start`, and yields its runs as they end. */
  async * keepRunning (source: string, flags: readonly string[]): AsyncGenerator<InnerRun, void, undefined> {
    const client = this.startClient(source, flags)
    try {
      yield * client.runs
    } finally {
      await client.stop()
    }
  }

  /** A meter of the server; the caller says which client to watch. */
  openMeter (): ProcessMeter {
    return new ProcessMeter(this.#server.pid)
  }

  /** Starts the client without waiting for it to exit. */
  startPush (source: string): Started {
    return this.#start('client', ['push', `${FOLDER}=${source}`, '--json'])
  }

  serverCpuMs (): number {
    return cpuMs(this.#server.pid).ownMs
  }

  /** The size of the index of the archive. */
  indexBytes (): number {
    return statSync(join(this.#home, 'archive/.filesync/index/data.mdb')).size
  }

  async close (): Promise<void> {
    await this.#children.stop(this.#server)
    rmSync(this.#home, { recursive: true, force: true })
  }

  #start (program: Program, args: readonly string[]): Started {
    const state = program === 'client' ? this.#clientArgs : ['--state-dir', join(this.#home, 'server')]
    return this.#children.start(process.execPath, [PROGRAMS[program], ...args, ...state])
  }

  get #clientArgs (): string[] {
    return ['--state-dir', join(this.#home, 'client'), '--interface', 'lo']
  }

  async #untilListening (): Promise<void> {
    for await (const line of this.#server.lines) {
      if ((JSON.parse(line) as { event?: string }).event === 'listening') return
    }
    const { code, stderr } = await this.#server.ended
    throw new Error(`filesync-server start ended with ${code}: ${stderr}`)
  }
}

async function * runsOf (client: Started): AsyncGenerator<InnerRun, void, undefined> {
  for await (const text of client.lines) {
    const { durationMs, filesSent, bytesSent, bytesReceived } = parseLine(text)
    yield { durationMs, filesSent, sentBytes: bytesSent, toldBytes: bytesSent + bytesReceived }
  }
  const { code, stderr } = await client.ended
  throw new Error(`filesync-client start ended with ${code}: ${stderr}`)
}

function parseLine (text: string): PushLine {
  const line = JSON.parse(text) as PushLine
  if (line.result !== 'ok') throw new Error(`The push did not store everything: ${text.slice(0, 2000)}`)
  return line
}
