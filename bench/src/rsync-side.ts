import { mkdirSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { errnoOf } from '@filesync/protocol'
import type { Children, Started } from './children.ts'
import { ProcessMeter } from './process-meter.ts'
import type { RsyncServer, StartServer } from './rsync-servers.ts'
import type { Run, Side } from './side.ts'

/** rsync and a server that it pushes to. */
export class RsyncSide implements Side {
  readonly destination: string
  readonly #home: string
  readonly #children: Children
  readonly #server: RsyncServer

  private constructor (home: string, children: Children, { destination, server }: { destination: string, server: RsyncServer }) {
    this.#home = home
    this.#children = children
    this.#server = server
    this.destination = destination
  }

  /** Starts a server with an empty destination. */
  static async open (home: string, children: Children, start: StartServer): Promise<RsyncSide> {
    const destination = join(home, 'module')
    mkdirSync(destination, { recursive: true })
    return new RsyncSide(home, children, { destination, server: await start(home, destination, children) })
  }

  async push (source: string): Promise<Run> {
    const meter = new ProcessMeter(this.#server.process.pid)
    const client = this.startPush(source)
    meter.watch(client.pid)
    try {
      const { code, durationMs, stdout, stderr } = await client.ended
      const consumption = await meter.finish()
      if (code !== 0) throw new Error(`rsync ended with ${code}: ${stderr}${stdout}`)
      return { ...consumption, durationMs, toldBytes: statistic(stdout, 'Total bytes sent') + statistic(stdout, 'Total bytes received') }
    } finally {
      meter.stop()
    }
  }

  /** Starts the client without waiting for it to exit. */
  startPush (source: string): Started {
    const { options, target } = this.#server
    return this.#children.start('rsync', ['-a', '--delete', '--stats', '--no-human-readable', ...options, `${source}/`, target])
  }

  async close (): Promise<void> {
    await this.#children.stop(this.#server.process)
    rmSync(this.#home, { recursive: true, force: true })
  }
}

/** The version in the first line of `rsync --version`; undefined if rsync is not installed. */
export async function rsyncVersion (children: Children): Promise<string | undefined> {
  try {
    return /version (\S+)/u.exec((await children.run('rsync', ['--version'])).stdout)?.[1]
  } catch (error) {
    if (errnoOf(error) === 'ENOENT') return undefined
    throw error
  }
}

/** A number from the output of `rsync --stats`. Throws if it is missing. */
export function statistic (stats: string, name: string): number {
  const text = new RegExp(`^${name}: ([\\d,]+)`, 'mu').exec(stats)?.[1]
  if (text === undefined) throw new Error(`rsync printed no "${name}": ${stats}`)
  return Number(text.replaceAll(',', ''))
}
