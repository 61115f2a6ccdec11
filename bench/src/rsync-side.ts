import { mkdirSync, rmSync } from 'node:fs'
import { writeFile } from 'node:fs/promises'
import { connect, createServer } from 'node:net'
import type { AddressInfo } from 'node:net'
import { once } from 'node:events'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { errnoOf } from '@filesync/protocol'
import type { Children, Started } from './children.ts'
import { ProcessMeter } from './process-meter.ts'
import type { Run, Side } from './side.ts'

const START_TRIES = 200
const START_PAUSE_MS = 10

/** rsync's daemon in plain text, on the loopback interface, as its manual sets it up. */
export class RsyncSide implements Side {
  readonly destination: string
  readonly #home: string
  readonly #children: Children
  readonly #daemon: Started
  readonly #port: number

  private constructor (home: string, children: Children, { daemon, port }: { daemon: Started, port: number }) {
    this.#home = home
    this.#children = children
    this.#daemon = daemon
    this.#port = port
    this.destination = join(home, 'module')
  }

  /** Starts a daemon whose only module is an empty directory. */
  static async open (home: string, children: Children): Promise<RsyncSide> {
    mkdirSync(join(home, 'module'), { recursive: true })
    const port = await freePort()
    const config = join(home, 'rsyncd.conf')
    await writeFile(config, configuration(join(home, 'module'), port))
    const daemon = children.start('rsync', ['--daemon', '--no-detach', `--config=${config}`, `--log-file=${join(home, 'rsyncd.log')}`])
    const side = new RsyncSide(home, children, { daemon, port })
    try {
      await untilAnswers(port)
      return side
    } catch (error) {
      await side.close()
      throw error
    }
  }

  async push (source: string): Promise<Run> {
    const meter = new ProcessMeter(this.#daemon.pid)
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

  /** Starts the client without waiting for its end. */
  startPush (source: string): Started {
    return this.#children.start('rsync', ['-a', '--delete', '--stats', '--no-human-readable', `${source}/`, `rsync://127.0.0.1:${this.#port}/bench/`])
  }

  async close (): Promise<void> {
    await this.#children.stop(this.#daemon)
    rmSync(this.#home, { recursive: true, force: true })
  }
}

/** The version that the first line of `rsync --version` tells; undefined where rsync is not installed. */
export async function rsyncVersion (children: Children): Promise<string | undefined> {
  try {
    return /version (\S+)/u.exec((await children.run('rsync', ['--version'])).stdout)?.[1]
  } catch (error) {
    if (errnoOf(error) === 'ENOENT') return undefined
    throw error
  }
}

/** A number from what `rsync --stats` prints. Throws where it is not there. */
export function statistic (stats: string, name: string): number {
  const text = new RegExp(`^${name}: ([\\d,]+)`, 'mu').exec(stats)?.[1]
  if (text === undefined) throw new Error(`rsync printed no "${name}": ${stats}`)
  return Number(text.replaceAll(',', ''))
}

function configuration (module: string, port: number): string {
  // Run by root, the daemon would store as nobody.
  const owner = process.getuid?.() === 0 ? 'uid = 0\ngid = 0\n' : ''
  return `address = 127.0.0.1\nport = ${port}\nuse chroot = no\n${owner}[bench]\npath = ${module}\nread only = no\n`
}

async function freePort (): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as AddressInfo
  server.close()
  await once(server, 'close')
  return port
}

async function untilAnswers (port: number): Promise<void> {
  for (let tries = 1; ; tries++) {
    const socket = connect(port, '127.0.0.1')
    try {
      await once(socket, 'connect')
      return
    } catch (error) {
      if (tries === START_TRIES) throw error
      await sleep(START_PAUSE_MS)
    } finally {
      socket.destroy()
    }
  }
}
