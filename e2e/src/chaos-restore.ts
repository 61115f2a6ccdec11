import { cp, lstat, mkdir, readdir } from 'node:fs/promises'
import { join } from 'node:path'
import { errnoOf } from '@filesync/protocol'
import { seededRandom } from '@filesync/protocol/testing'
import { CountingRelay } from './counting-relay.ts'
import { CLIENT_PROGRAM, Stage } from './programs.ts'
import type { RunningServer } from './programs.ts'
import { changeTree, folderIn, makeTree } from './restored-tree.ts'
import { treeDifferences } from './trees.ts'

export interface ChaosRestoreInit {
  readonly seed: number
  /** How often a restore is cut. */
  readonly cuts: number
  readonly onProgress?: (text: string) => void
}

export interface ChaosRestoreReport {
  readonly cuts: number
  /** Restores that were continued until they were done, and compared. */
  readonly restores: number
  /** What was sent beyond one whole restore, for each cut. */
  readonly extraBytesPerCut: number
  /** What one restore without a cut takes. */
  readonly wholeBytes: number
}

/** Restores that are cut so often before they come to their end. */
const CUTS_PER_RESTORE = 4
const POINTS = 3

/**
 * Restores a tree at one of three points while the client or the server is killed or the connection breaks at random places, continues
 * each restore until it is done, and compares the tree byte for byte, with modes, times and links. Throws an error that names the seed.
 */
export async function chaosRestore (init: ChaosRestoreInit): Promise<ChaosRestoreReport> {
  const stage = await Stage.open()
  const relay = await CountingRelay.open('server')
  try {
    return await new RestoreChaos(stage, relay, init).run()
  } catch (error) {
    throw new Error(`cut restores with seed ${init.seed}: ${error instanceof Error ? error.message : String(error)}`, { cause: error })
  } finally {
    await relay.close()
    await stage.dispose()
  }
}

type Cut = 'client' | 'server' | 'connection'

class RestoreChaos {
  readonly #stage: Stage
  readonly #relay: CountingRelay
  readonly #init: ChaosRestoreInit
  readonly #random: () => number
  #server: RunningServer | undefined
  #folder = ''
  #wholeBytes = 0
  #extraBytes = 0
  #cuts = 0

  constructor (stage: Stage, relay: CountingRelay, init: ChaosRestoreInit) {
    this.#stage = stage
    this.#relay = relay
    this.#init = init
    this.#random = seededRandom(init.seed)
  }

  async run (): Promise<ChaosRestoreReport> {
    await this.#prepare()
    this.#wholeBytes = await this.#restoreWhole()
    let restores = 0
    for (; this.#cuts < this.#init.cuts; restores++) {
      await this.#restoreWithCuts(restores)
      this.#init.onProgress?.(`${this.#cuts} of ${this.#init.cuts} cuts, ${restores + 1} restores equal to the tree of their point`)
    }
    return { cuts: this.#cuts, restores, extraBytesPerCut: this.#extraBytes / Math.max(1, this.#cuts), wholeBytes: this.#wholeBytes }
  }

  async #prepare (): Promise<void> {
    const source = this.#stage.path('source')
    await mkdir(source)
    await makeTree(source, { seed: this.#init.seed, files: 80, largeBytes: 16 << 20 })
    this.#server = await this.#stage.startServer()
    await this.#stage.pair(this.#server, 'client')
    for (let point = 1; point <= POINTS; point++) {
      if (point > 1) await changeTree(source, point - 1)
      const { code, stderr } = await this.#stage.push('client', source)
      if (code !== 0) throw new Error(`a push ended with ${code}: ${stderr}`)
      await cp(source, this.#stage.path(`at-p${point}`), { recursive: true, preserveTimestamps: true, verbatimSymlinks: true })
    }
    this.#relay.targetPort = this.#server.listening.port
    this.#folder = folderIn(join(this.#server.archive, 'client'), source)
  }

  async #restoreWhole (): Promise<number> {
    const before = this.#relay.sentBytes
    await this.#toItsEnd('whole', POINTS)
    return this.#relay.sentBytes - before
  }

  async #restoreWithCuts (number: number): Promise<void> {
    const point = 1 + Math.floor(this.#random() * POINTS)
    const name = `restored-${number}`
    const before = this.#relay.sentBytes
    for (let cut = 0; cut < CUTS_PER_RESTORE && this.#cuts < this.#init.cuts; cut++) {
      if (await this.#cut(name, point)) break
      await this.#checkModes(name, point)
    }
    await this.#toItsEnd(name, point)
    this.#extraBytes += Math.max(0, this.#relay.sentBytes - before - this.#wholeBytes)
  }

  /** Starts or continues a restore and cuts it. Returns whether it came to its end before that. */
  async #cut (name: string, point: number): Promise<boolean> {
    const kind = (['client', 'server', 'connection'] as const)[Math.floor(this.#random() * 3)] ?? 'client'
    const client = this.#stage.start(CLIENT_PROGRAM, this.#args(name, point))
    const ended = new Promise<'ended'>(resolve => { client.once('exit', () => { resolve('ended') }) })
    const place = this.#relay.sentBytes + Math.floor(this.#random() * this.#wholeBytes)
    const first = await Promise.race([ended, this.#relay.passed(place)])
    this.#cuts++
    if (first === 'ended') return true
    await this.#break(kind, client)
    // A client whose server or connection went away goes on by itself.
    if (kind !== 'client') {
      await ended
      if (client.exitCode !== 0) throw new Error(`a restore ended with ${String(client.exitCode)} after its ${kind} was cut`)
      return true
    }
    return false
  }

  async #break (kind: Cut, client: ReturnType<Stage['start']>): Promise<void> {
    if (kind === 'connection') this.#relay.cut()
    else if (kind === 'client') await this.#stage.stop(client, 'SIGKILL')
    else {
      if (this.#server !== undefined) await this.#stage.stop(this.#server.child, 'SIGKILL')
      this.#server = await this.#stage.startServer()
      this.#relay.targetPort = this.#server.listening.port
    }
  }

  async #toItsEnd (name: string, point: number): Promise<void> {
    const { code, stderr, stdout } = await this.#stage.run(CLIENT_PROGRAM, this.#args(name, point))
    if (code !== 0) throw new Error(`the last restore of ${name} ended with ${code}: ${stderr}${stdout}`)
    const differences = await treeDifferences(this.#stage.path(`at-p${point}`), this.#stage.path(name, this.#folder))
    if (differences.length > 0) throw new Error(`${name} is not as it was at p${point}: ${differences.slice(0, 3).join('; ')}`)
    const left = await readdir(this.#stage.path(name))
    if (left.includes('.filesync')) throw new Error(`${name} still holds what only a restore that goes on needs`)
  }

  /** Nothing is ever open to more users than it was at the point, and whatever is in its place is a whole entry. */
  async #checkModes (name: string, point: number): Promise<void> {
    const root = this.#stage.path(name, this.#folder)
    const paths = await readdir(root, { recursive: true }).catch((error: unknown) => {
      if (errnoOf(error) === 'ENOENT') return []
      throw error
    })
    for (const path of paths) {
      if (path.startsWith('.filesync')) continue
      const [there, was] = await Promise.all([lstat(join(root, path)), lstat(this.#stage.path(`at-p${point}`, path))])
      if (!there.isSymbolicLink() && (there.mode & ~was.mode & 0o077) !== 0) throw new Error(`${path} is open to more users than it was`)
      if (there.isFile() && there.size !== was.size) throw new Error(`${path} is in its place, and not whole`)
    }
  }

  #args (name: string, point: number): string[] {
    const server = ['--server', `127.0.0.1:${this.#relay.port}`]
    return ['restore', '--at', `p${point}`, '--to', this.#stage.path(name), '--json', ...server, ...this.#stage.clientArgs('client')]
  }
}
