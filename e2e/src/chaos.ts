import { createHash } from 'node:crypto'
import { mkdir, readdir, readFile, rm, stat, utimes, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { errnoOf } from '@filesync/protocol'
import { randomBytes, seededRandom } from '@filesync/protocol/testing'
import { CLIENT_PROGRAM, mirrorOf, Stage } from './programs.ts'
import type { RunningServer } from './programs.ts'
import { treeDifferences } from './trees.ts'

export interface ChaosInit {
  readonly seed: number
  /** How many processes are killed. */
  readonly kills: number
  /** Files of the tree; every tenth is of a megabyte, the others small. */
  readonly files: number
  readonly onProgress?: (text: string) => void
}

export interface ChaosReport {
  readonly kills: number
  /** Runs that came to their end although a kill was planned. */
  readonly survived: number
  readonly syncs: number
}

const LARGE_BYTES = 1 << 20
/** What a push is taken to last until one was seen to its end. */
const FIRST_PUSH_MS = 800

/**
 * Pushes a tree that changes all the time while clients and servers are killed at random moments, and checks after each
 * kill that every file of the archive is wholly one of the contents it has had, and at the end that the archive is equal to
 * the tree. Throws an error that names the seed where something does not hold.
 */
export async function chaos (init: ChaosInit): Promise<ChaosReport> {
  const stage = await Stage.open()
  try {
    return await new Chaos(stage, init).run()
  } catch (error) {
    throw new Error(`chaos with seed ${init.seed}: ${error instanceof Error ? error.message : String(error)}`, { cause: error })
  } finally {
    await stage.dispose()
  }
}

class Chaos {
  readonly #stage: Stage
  readonly #init: ChaosInit
  readonly #source: string
  readonly #random: () => number
  /** For each path the digests of all contents it has had, and '' where it was absent at some time. */
  readonly #history = new Map<string, Set<string>>()
  #server: RunningServer | undefined
  #generation = 0
  #survived = 0
  #pushMs = FIRST_PUSH_MS
  #syncs = 0

  constructor (stage: Stage, init: ChaosInit) {
    this.#stage = stage
    this.#init = init
    this.#source = stage.path('source')
    this.#random = seededRandom(init.seed)
  }

  async run (): Promise<ChaosReport> {
    await mkdir(this.#source)
    await this.#change(this.#init.files)
    this.#server = await this.#stage.startServer()
    await this.#stage.pair(this.#server, 'client')
    for (let kill = 0; kill < this.#init.kills; kill++) {
      await this.#change(Math.ceil(this.#init.files / 10))
      await this.#pushAndKill()
      await this.#check()
      this.#init.onProgress?.(`${kill + 1} of ${this.#init.kills} kills, ${this.#survived} too late, all files whole`)
      if (this.#random() < 0.3) await this.#pushToTheEnd()
    }
    await this.#pushToTheEnd()
    await this.#compare()
    return { kills: this.#init.kills, survived: this.#survived, syncs: this.#syncs }
  }

  /** Writes, rewrites and removes some files. */
  async #change (count: number): Promise<void> {
    this.#generation++
    for (let i = 0; i < count; i++) {
      const n = Math.floor(this.#random() * this.#init.files)
      const directory = `d${n % 7}`
      const path = `${directory}/f${n}`
      await mkdir(join(this.#source, directory), { recursive: true })
      if (this.#random() < 0.1) {
        await rm(join(this.#source, path), { force: true })
        continue
      }
      const content = this.#content(n)
      await writeFile(join(this.#source, path), content)
      // Rising times that never repeat, and long past, so that nothing waits to settle.
      const seconds = 1_600_000_000 + this.#generation * 10_000 + i
      await utimes(join(this.#source, path), seconds, seconds)
      const known = this.#history.get(path) ?? new Set<string>()
      this.#history.set(path, known.add(digestOf(content)))
    }
  }

  #content (n: number): Uint8Array {
    const sizeBytes = n % 10 === 0 ? LARGE_BYTES : Math.floor(this.#random() * 20_000)
    return randomBytes(sizeBytes, Math.floor(this.#random() * 2 ** 32))
  }

  async #pushAndKill (): Promise<void> {
    const server = this.#server
    if (server === undefined) throw new Error('no server runs')
    const startedMs = performance.now()
    const client = this.#stage.start(CLIENT_PROGRAM, ['push', this.#source, '--json', ...this.#stage.clientArgs('client')])
    const ended = new Promise<void>(resolve => { client.once('exit', () => { resolve() }) })
    let timer: NodeJS.Timeout | undefined
    const killTime = new Promise<'kill'>(resolve => { timer = setTimeout(() => { resolve('kill') }, this.#random() * this.#pushMs) })
    const first = await Promise.race([ended, killTime])
    clearTimeout(timer)
    if (first !== 'kill') {
      this.#survived++
      this.#pushMs = performance.now() - startedMs
      return
    }
    // Where every kill comes in time, pushes take longer than was thought.
    this.#pushMs *= 1.1
    if (this.#random() < 0.5) {
      await this.#stage.stop(client, 'SIGKILL')
      return
    }
    await this.#stage.stop(server.child, 'SIGKILL')
    // At once: a client that was looking for a server would look until its patience ends.
    const [restarted] = await Promise.all([this.#stage.startServer(), ended])
    this.#server = restarted
  }

  async #pushToTheEnd (): Promise<void> {
    const pushed = await this.#stage.push('client', this.#source)
    if (pushed.code === 6) throw new Error(`the brake held: ${pushed.stderr}`)
    if (pushed.code !== 0) throw new Error(`a push ended with ${pushed.code}: ${pushed.stderr}`)
    this.#syncs++
    await this.#compare()
  }

  /** Every file of the archive is wholly one of the contents that it has had. */
  async #check (): Promise<void> {
    const archive = this.#mirror()
    const found = await readdir(archive, { recursive: true }).catch(() => [])
    for (const path of found) {
      const content = await contentAt(join(archive, path))
      if (content === 'directory') continue
      // A server whose client was killed at the very end goes on, and removes what the client has no more. Nothing else may vanish.
      if (content === undefined && await contentAt(join(this.#source, path)) === undefined) continue
      if (content === undefined) throw new Error(`${path} vanished from the archive`)
      if (this.#history.get(path)?.has(digestOf(content)) !== true) throw new Error(`${path} is not whole`)
    }
  }

  async #compare (): Promise<void> {
    const differences = await treeDifferences(this.#source, this.#mirror())
    if (differences.length > 0) throw new Error(`the archive differs after a whole sync: ${differences.slice(0, 3).join('; ')}`)
    const staging = await readdir(join(this.#server?.archive ?? '', '.filesync', 'staging'), { recursive: true }).catch(() => [])
    const leftovers = (
      await Promise.all(staging.map(async path => (await stat(join(this.#server?.archive ?? '', '.filesync', 'staging', path))).isFile()))
    ).filter(Boolean)
    if (leftovers.length > 0) throw new Error(`${leftovers.length} files are left in staging`)
  }

  #mirror (): string {
    return mirrorOf(this.#server, 'client', this.#source)
  }
}

/** What a file holds; undefined where nothing is there. */
async function contentAt (path: string): Promise<Uint8Array | 'directory' | undefined> {
  try {
    return (await stat(path)).isDirectory() ? 'directory' : await readFile(path)
  } catch (error) {
    if (errnoOf(error) === 'ENOENT') return undefined
    throw error
  }
}

export function digestOf (content: Uint8Array): string {
  return createHash('sha256').update(content).digest('base64')
}
