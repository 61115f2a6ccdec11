import { rmSync } from 'node:fs'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import type { Children, Started } from './children.ts'
import { cpuMs, ProcessMeter } from './process-meter.ts'
import type { Run, Side } from './side.ts'

const SERVER = fileURLToPath(new URL('../../apps/server/dist/main.js', import.meta.url))
const CLIENT = fileURLToPath(new URL('../../apps/client/dist/main.js', import.meta.url))
const ID = 'bench'
/** The name of the folder that is pushed, whatever the directory of the data set is called. */
const FOLDER = 'data'

/** The fields that are read from a line of `filesync-client push --json` or `start --json`. */
interface PushLine {
  readonly result: string
  readonly filesSent: number
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
  readonly filesSent: number
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

  async push (source: string): Promise<Run> {
    const meter = new ProcessMeter(this.#server.pid)
    const client = this.#children.start(process.execPath, [CLIENT, 'push', `${FOLDER}=${source}`, '--json', ...this.#clientArgs])
    meter.watch(client.pid)
    try {
      const { code, durationMs, stdout, stderr } = await client.ended
      const consumption = await meter.finish()
      if (code !== 0) throw new Error(`filesync-client push ended with ${code}: ${stderr}${stdout}`)
      const line = parseLine(stdout.trimEnd().split('\n').at(-1) ?? '')
      return { ...consumption, durationMs, toldBytes: line.bytesSent + line.bytesReceived }
    } finally {
      meter.stop()
    }
  }

  /** Runs `filesync-client start`, and yields its runs as they end. */
  async * keepRunning (source: string, flags: readonly string[]): AsyncGenerator<InnerRun, void, undefined> {
    const client = this.#children.start(process.execPath, [CLIENT, 'start', `${FOLDER}=${source}`, '--json', ...flags, ...this.#clientArgs])
    try {
      for await (const text of client.lines) {
        const line = parseLine(text)
        yield { durationMs: line.durationMs, filesSent: line.filesSent, toldBytes: line.bytesSent + line.bytesReceived }
      }
      const { code, stderr } = await client.ended
      throw new Error(`filesync-client start ended with ${code}: ${stderr}`)
    } finally {
      await this.#children.stop(client)
    }
  }

  /** Starts the client without waiting for it to exit. */
  startPush (source: string): Started {
    return this.#children.start(process.execPath, [CLIENT, 'push', `${FOLDER}=${source}`, '--json', ...this.#clientArgs])
  }

  serverCpuMs (): number {
    return cpuMs(this.#server.pid).ownMs
  }

  async close (): Promise<void> {
    await this.#children.stop(this.#server)
    rmSync(this.#home, { recursive: true, force: true })
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

function parseLine (text: string): PushLine {
  const line = JSON.parse(text) as PushLine
  if (line.result !== 'ok') throw new Error(`The push did not store everything: ${text.slice(0, 2000)}`)
  return line
}
