import { mkdir, readdir, readFile, rm, stat, utimes, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { digestOf, mulberry32 } from './chaos.ts'
import { Wire } from './network-wire.ts'
import type { Machine, Running } from './network-wire.ts'
import { CLIENT_PROGRAM, SERVER_PROGRAM, Stage } from './programs.ts'
import type { Finished } from './programs.ts'
import { treeDifferences } from './trees.ts'

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
const LARGE_BYTES = 1 << 18
const KILLED_SHARE = 0.3
/** Servers are killed about this often. */
const SERVER_LIFE_MS = 12_000
/** What a push is taken to last until one was seen to its end. */
const FIRST_PUSH_MS = 1_500
/** A server that nobody kills any more answers long before. */
const LAST_TRIES = 20
const TRY_LATER = 75
const BRAKE = 6

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
  readonly #clients: Pusher[]
  readonly #random: () => number
  #server: Promise<Running>
  #isOver = false
  #serverKills = 0

  constructor (stage: Stage, wire: Wire, init: ManyInit) {
    this.#stage = stage
    this.#init = init
    this.#random = mulberry32(init.seed)
    this.#machine = wire.machine(`${SERVER}/16`)
    this.#server = Promise.reject(new Error('no server runs yet'))
    this.#server.catch(() => { /* it is started below */ })
    const turns = new Turns(init.atOnce)
    this.#clients = Array.from({ length: init.clients }, (_, n) => new Pusher(n, {
      stage, turns, files: init.files, machine: wire.machine(`10.99.${1 + (n >> 7)}.${1 + (n & 127)}/16`), random: mulberry32(init.seed * 1000 + n),
    }))
  }

  async run (): Promise<ManyReport> {
    for (const { name } of this.#clients) await this.#stage.introduce(name, 'server')
    this.#server = this.#start()
    await this.#server
    const deadline = new Promise<void>(resolve => { setTimeout(resolve, this.#init.seconds * 1000) })
    const over = deadline.then(() => { this.#isOver = true })
    await Promise.all([over, this.#killServers(deadline), ...this.#clients.map(async client => { await client.goOn(() => this.#isOver, async () => { await this.#server }) })])
    this.#tell('nobody is killed any more')
    await Promise.all(this.#clients.map(async client => { await client.finish() }))
    for (const client of this.#clients) await client.compare()
    await this.#checkStaging()
    const sum = (of: 'syncs' | 'kills' | 'inVain'): number => this.#clients.reduce((total, client) => total + client[of], 0)
    return { syncs: sum('syncs'), clientKills: sum('kills'), serverKills: this.#serverKills, inVain: sum('inVain') }
  }

  async #start (): Promise<Running> {
    const running = this.#machine.start(SERVER_PROGRAM, [
      'start', '--archive', this.#stage.path('archive'), '--state-dir', this.#stage.path('server'), '--port', String(PORT), '--bind', SERVER,
      '--no-discovery', '--interval', '3600', '--max-sessions', '4', '--reserve', '0', '--json-logs',
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
      this.#tell(`the server was killed ${this.#serverKills} times; ${this.#clients.filter(({ syncs }) => syncs > 0).length} of ${this.#clients.length} clients were stored, nothing is lost`)
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

/** Lets so many things be done at the same time, in the order in which they were asked for. */
class Turns {
  #free: number
  readonly #waiting: (() => void)[] = []

  constructor (atOnce: number) {
    this.#free = atOnce
  }

  async take<T> (work: () => Promise<T>): Promise<T> {
    if (this.#free > 0) this.#free--
    else await new Promise<void>(resolve => { this.#waiting.push(resolve) })
    try {
      return await work()
    } finally {
      const next = this.#waiting.shift()
      if (next === undefined) this.#free++
      else next()
    }
  }
}

interface PusherInit {
  readonly stage: Stage
  readonly machine: Machine
  readonly files: number
  readonly turns: Turns
  readonly random: () => number
}

/** One client that pushes again and again. */
class Pusher {
  readonly name: string
  readonly #init: PusherInit
  readonly #number: number
  readonly #source: string
  /** Paths whose content was said to be stored, and did not change since, with its digest. */
  readonly #stored = new Map<string, string>()
  readonly #present = new Map<string, string>()
  #generation = 0
  #pushMs = FIRST_PUSH_MS
  syncs = 0
  kills = 0
  inVain = 0

  constructor (number: number, init: PusherInit) {
    this.name = `client${number}`
    this.#number = number
    this.#init = init
    this.#source = init.stage.path(`source${number}`)
  }

  async goOn (isOver: () => boolean, serverIsUp: () => Promise<void>): Promise<void> {
    await this.#change(this.#init.files * 2)
    while (!isOver()) {
      await serverIsUp()
      await this.#init.turns.take(async () => { await this.#push(this.#init.random() < KILLED_SHARE ? this.#init.random() * this.#pushMs : undefined) })
      await this.#change(Math.ceil(this.#init.files / 8))
    }
  }

  /** Pushes until everything is stored. */
  async finish (): Promise<void> {
    for (let tries = 0; tries < LAST_TRIES; tries++) if (await this.#init.turns.take(async () => await this.#push(undefined))) return
    throw new Error(`${this.name} was turned away ${LAST_TRIES} times by a server that nobody kills`)
  }

  async compare (): Promise<void> {
    const differences = await treeDifferences(this.#source, this.#mirror())
    if (differences.length > 0) throw new Error(`the archive of ${this.name} differs after a whole sync: ${differences.slice(0, 3).join('; ')}`)
  }

  /** What was said to be stored is there. */
  async checkStored (): Promise<void> {
    for (const [path, digest] of [...this.#stored]) {
      const content = await readFile(join(this.#mirror(), path)).catch(() => undefined)
      // It may have changed since the list was made, and have been pushed already.
      if (this.#stored.get(path) !== digest) continue
      if (content === undefined || digestOf(content) !== digest) throw new Error(`${this.name}/${path} was stored, and is ${content === undefined ? 'gone' : 'another one'}`)
    }
  }

  /** Whether everything is stored now. @param killAfterMs undefined: nobody kills it */
  async #push (killAfterMs: number | undefined): Promise<boolean> {
    const startedMs = performance.now()
    const running = this.#init.machine.start(CLIENT_PROGRAM, [
      'push', this.#source, '--settle', '0s', '--json', '--server', `${SERVER}:${PORT}`, '--state-dir', this.#init.stage.path(this.name),
    ])
    const timer = killAfterMs === undefined ? undefined : setTimeout(() => { void running.stop('SIGKILL') }, killAfterMs)
    const finished = await running.finished()
    clearTimeout(timer)
    if (finished.code === 0) {
      this.#pushMs = performance.now() - startedMs
      this.syncs++
      for (const [path, digest] of this.#present) this.#stored.set(path, digest)
      await this.compare()
      return true
    }
    this.#judge(finished)
    return false
  }

  #judge ({ code, stderr }: Finished): void {
    if (code === -1) this.kills++
    else if (code === TRY_LATER) this.inVain++
    else throw new Error(`a push of ${this.name} ended with ${code}${code === BRAKE ? ', the brake' : ''}: ${stderr}`)
  }

  /** Writes, rewrites and removes some files. */
  async #change (count: number): Promise<void> {
    const { files, random } = this.#init
    this.#generation++
    for (let i = 0; i < count; i++) {
      const n = Math.floor(random() * files)
      const path = `d${n % 5}/f${n}`
      const full = join(this.#source, path)
      this.#stored.delete(path)
      this.#present.delete(path)
      await mkdir(join(this.#source, `d${n % 5}`), { recursive: true })
      if (random() < 0.1) {
        await rm(full, { force: true })
        continue
      }
      const content = this.#content(n)
      await writeFile(full, content)
      // Rising times that never repeat, and long past.
      const seconds = 1_600_000_000 + this.#generation * 10_000 + i
      await utimes(full, seconds, seconds)
      this.#present.set(path, digestOf(content))
    }
  }

  /** Unlike that of all other clients, and hard to compress. */
  #content (n: number): Uint8Array {
    const bytes = Buffer.alloc(n % 10 === 0 ? LARGE_BYTES : 8 + Math.floor(this.#init.random() * 10_000))
    const words = mulberry32(Math.floor(this.#init.random() * 2 ** 32))
    for (let at = 0; at + 4 <= bytes.length; at += 4) bytes.writeUInt32LE(Math.floor(words() * 2 ** 32), at)
    bytes.writeUInt32LE(this.#number, 0)
    return bytes
  }

  #mirror (): string {
    return this.#init.stage.path('archive', this.name)
  }
}
