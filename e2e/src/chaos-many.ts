import { readdir, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { seededRandom } from '@filesync/protocol/testing'
import { ChaosClient } from './chaos-client.ts'
import { Wire } from './network-wire.ts'
import type { Machine, Running } from './network-wire.ts'
import { SERVER_PROGRAM, Stage } from './programs.ts'
import { Turns } from './turns.ts'

export interface ManyInit {
  readonly seed: number
  readonly clients: number
  /** How many of them push at the same time; the others wait for one to end. Starting a program takes a third of a second of a core. */
  readonly atOnce: number
  /** How long processes are killed; afterwards all come to their end. */
  readonly seconds: number
  /** Files of each client; every tenth is of a quarter of a megabyte, the others small. */
  readonly files: number
  readonly onProgress?: (text: string) => void
}

export interface ManyReport {
  /** Pushes after which everything was stored. */
  readonly syncs: number
  readonly clientKills: number
  readonly serverKills: number
  /** Pushes that came to nothing because the server was gone or busy. */
  readonly inVain: number
}

const SERVER = '10.99.0.1'
const PORT = 4242
/** Servers are killed about this often. */
const SERVER_LIFE_MS = 12_000

/**
 * Clients on machines of their own push different trees at the same time, and change them between two pushes, while clients
 * and the server are killed at random moments. A push that says that everything is stored is believed: at once the archive
 * has to be equal to the tree, and whatever does not change afterwards has to stay as it is. Throws an error that names the
 * seed where something does not hold.
 */
export async function chaosOfMany (init: ManyInit): Promise<ManyReport> {
  const stage = await Stage.open()
  const wire = new Wire()
  try {
    return await new Many(stage, wire, init).run()
  } catch (error) {
    throw new Error(`chaos of many with seed ${init.seed}: ${error instanceof Error ? error.message : String(error)}`, { cause: error })
  } finally {
    await wire.stop('SIGKILL')
    wire.remove()
    await stage.dispose()
  }
}

class Many {
  readonly #stage: Stage
  readonly #init: ManyInit
  readonly #machine: Machine
  readonly #clients: ChaosClient[]
  readonly #random: () => number
  #server: Promise<Running>
  #isOver = false
  #serverKills = 0

  constructor (stage: Stage, wire: Wire, init: ManyInit) {
    this.#stage = stage
    this.#init = init
    this.#random = seededRandom(init.seed)
    this.#machine = wire.machine(`${SERVER}/16`)
    this.#server = Promise.reject(new Error('no server runs yet'))
    this.#server.catch(() => { /* it is started below */ })
    const turns = new Turns(init.atOnce)
    this.#clients = Array.from(
      { length: init.clients },
      (_, n) =>
        new ChaosClient(n, {
          server: `${SERVER}:${PORT}`,
          stage,
          turns,
          files: init.files,
          machine: wire.machine(`10.99.${1 + (n >> 7)}.${1 + (n & 127)}/16`),
          random: seededRandom(init.seed * 1000 + n),
        })
    )
  }

  async run (): Promise<ManyReport> {
    for (const { name } of this.#clients) await this.#stage.introduce(name, 'server')
    this.#server = this.#start()
    await this.#server
    const deadline = new Promise<void>(resolve => { setTimeout(resolve, this.#init.seconds * 1000) })
    const over = deadline.then(() => { this.#isOver = true })
    await Promise.all([
      over,
      this.#killServers(deadline),
      ...this.#clients.map(async client => {
        await client.goOn(
          () => this.#isOver,
          async () => {
            await this.#server
          }
        )
      }),
    ])
    this.#tell('nobody is killed any more')
    await Promise.all(this.#clients.map(async client => { await client.finish() }))
    for (const client of this.#clients) await client.compare()
    await this.#checkStaging()
    const sum = (of: 'syncs' | 'kills' | 'inVain'): number => this.#clients.reduce((total, client) => total + client[of], 0)
    return { syncs: sum('syncs'), clientKills: sum('kills'), serverKills: this.#serverKills, inVain: sum('inVain') }
  }

  async #start (): Promise<Running> {
    const running = this.#machine.start(SERVER_PROGRAM, [
      'start',
      '--archive',
      this.#stage.path('archive'),
      '--state-dir',
      this.#stage.path('server'),
      '--port',
      String(PORT),
      '--bind',
      SERVER,
      '--no-discovery',
      '--interval',
      '3600',
      '--max-sessions',
      '4',
      '--reserve',
      '0',
      '--json-logs',
    ])
    await running.line(({ event }) => event === 'listening')
    return running
  }

  async #killServers (deadline: Promise<void>): Promise<void> {
    for (;;) {
      await Promise.race([deadline, new Promise<void>(resolve => { setTimeout(resolve, SERVER_LIFE_MS * (0.3 + this.#random())) })])
      if (this.#isOver) return
      await (await this.#server).stop('SIGKILL')
      this.#serverKills++
      this.#server = this.#start()
      await this.#server
      for (const client of this.#clients) await client.checkStored()
      this.#tell(
        `the server was killed ${this.#serverKills} times; ${this.#clients.filter(({ syncs }) => syncs > 0).length} of ` +
          `${this.#clients.length} clients were stored, nothing is lost`
      )
    }
  }

  async #checkStaging (): Promise<void> {
    const staging = this.#stage.path('archive', '.filesync', 'staging')
    const paths = await readdir(staging, { recursive: true })
    const files = (await Promise.all(paths.map(async path => (await stat(join(staging, path))).isFile()))).filter(Boolean)
    if (files.length > 0) throw new Error(`${files.length} files are left in staging`)
  }

  #tell (text: string): void {
    this.#init.onProgress?.(text)
  }
}
