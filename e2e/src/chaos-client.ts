import { mkdir, readFile, rm, utimes, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { randomBytes } from '@filesync/protocol/testing'
import { digestOf } from './chaos.ts'
import type { Machine } from './network-wire.ts'
import { CLIENT_PROGRAM, mirrorOf } from './programs.ts'
import type { Finished, Stage } from './programs.ts'
import { treeDifferences } from './trees.ts'
import type { Turns } from './turns.ts'

const LARGE_BYTES = 1 << 18
const KILLED_SHARE = 0.3
/** What a push is taken to last until one was seen to its end. */
const FIRST_PUSH_MS = 1_500
/** A server that nobody kills any more answers long before. */
const LAST_TRIES = 20
const TRY_LATER = 75
const BRAKE = 6

export interface ChaosClientInit {
  /** Address and port. */
  readonly server: string
  readonly stage: Stage
  readonly machine: Machine
  readonly files: number
  readonly turns: Turns
  readonly random: () => number
}

/** One client that pushes again and again. */
export class ChaosClient {
  readonly name: string
  readonly #init: ChaosClientInit
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

  constructor (number: number, init: ChaosClientInit) {
    this.name = `client${number}`
    this.#number = number
    this.#init = init
    this.#source = init.stage.path(`source${number}`)
  }

  async goOn (isOver: () => boolean, serverIsUp: () => Promise<void>): Promise<void> {
    await this.#change(this.#init.files * 2)
    while (!isOver()) {
      await serverIsUp()
      await this.#init.turns.take(async () => {
        await this.#push(this.#init.random() < KILLED_SHARE ? this.#init.random() * this.#pushMs : undefined)
      })
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
    if (differences.length > 0)
      throw new Error(`the archive of ${this.name} differs after a whole sync: ${differences.slice(0, 3).join('; ')}`)
  }

  /** What was said to be stored is there. */
  async checkStored (): Promise<void> {
    for (const [path, digest] of [...this.#stored]) {
      const content = await readFile(join(this.#mirror(), path)).catch(() => undefined)
      // It may have changed since the list was made, and have been pushed already.
      if (this.#stored.get(path) !== digest) continue
      if (content === undefined || digestOf(content) !== digest)
        throw new Error(`${this.name}/${path} was stored, and is ${content === undefined ? 'gone' : 'another one'}`)
    }
  }

  /** Whether everything is stored now. @param killAfterMs undefined: nobody kills it */
  async #push (killAfterMs: number | undefined): Promise<boolean> {
    const startedMs = performance.now()
    const running = this.#init.machine.start(CLIENT_PROGRAM, [
      'push', this.#source, '--settle', '0s', '--json', '--server', this.#init.server, '--state-dir', this.#init.stage.path(this.name),
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
    const sizeBytes = n % 10 === 0 ? LARGE_BYTES : 8 + Math.floor(this.#init.random() * 10_000)
    const bytes = randomBytes(sizeBytes, Math.floor(this.#init.random() * 2 ** 32))
    new DataView(bytes.buffer).setUint32(0, this.#number, true)
    return bytes
  }

  #mirror (): string {
    return mirrorOf({ archive: this.#init.stage.path('archive') }, this.name, this.#source)
  }
}
