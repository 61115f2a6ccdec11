import type { Area, SyncOutcome } from '@filesync/archive'
import { LIMITS } from '@filesync/protocol'
import type { HashBytes, Hasher, Problem, RelativePath } from '@filesync/protocol'
import type { PlainFile } from './file-tree.ts'
import { storeFiles } from './store-files.ts'
import type { LegacyArrival } from './store-files.ts'

export interface LegacyArrivalsInit {
  readonly area: Area
  /** The files that client and archive both have; files that arrive are added. */
  readonly files: Map<RelativePath, PlainFile>
  readonly hash: HashBytes
  readonly createHasher: () => Hasher
}

/** Small files are collected up to this size and committed together. */
const BATCH_BYTES = 8_388_608

/** Receives the files of one session, and commits them in batches. */
export class LegacyArrivals {
  readonly #init: LegacyArrivalsInit
  readonly #problems = new Map<string, Problem>()
  /** The largest problem count of any commit. */
  #mostProblems = 0
  #batch: LegacyArrival[] = []
  #batchBytes = 0
  readonly #stored = { files: 0, bytes: 0, deleted: 0 }

  constructor (init: LegacyArrivalsInit) {
    this.#init = init
  }

  get stored (): { readonly files: number, readonly bytes: number, readonly deleted: number } {
    return this.#stored
  }

  get problems (): readonly Problem[] {
    return [...this.#problems.values()]
  }

  /** A lower bound: each commit lists only the first of its problems. */
  get problemCount (): number {
    return Math.max(this.#mostProblems, this.#problems.size)
  }

  async receive (path: RelativePath, file: PlainFile, content: AsyncIterable<Uint8Array>): Promise<void> {
    if (file.sizeBytes > LIMITS.packedFileBytes) {
      this.#init.files.set(path, file)
      await this.#commit([...this.#takeBatch(), { ...file, path, content }], false)
    } else {
      const whole = await gather(content, file.sizeBytes)
      this.#init.files.set(path, file)
      this.#batch.push({ ...file, path, content: whole })
      this.#batchBytes += whole.length
      if (this.#batchBytes >= BATCH_BYTES) await this.commit()
    }
  }

  /** Commits the files that have arrived completely. Deletes nothing. */
  async commit (): Promise<void> {
    if (this.#batch.length > 0) await this.#commit(this.#takeBatch(), false)
  }

  /** Commits the rest, and moves files that the client no longer has to versions. Throws HALTED; the rest is committed even then. */
  async finish (): Promise<void> {
    const batch = this.#takeBatch()
    try {
      await this.#commit(batch, true)
    } catch (error) {
      if (batch.length === 0 || !isHalt(error)) throw error
      await this.#commit(batch, false)
      // Again, because the commit in between cleared the halted state of the archive.
      await this.#commit([], true)
    }
  }

  async #commit (arriving: readonly LegacyArrival[], complete: boolean): Promise<void> {
    const outcome = await storeFiles({ ...this.#init, arriving, complete })
    this.#stored.files += outcome.files
    this.#stored.bytes += outcome.bytes
    this.#stored.deleted += outcome.deleted
    this.#recordProblems(outcome)
  }

  #recordProblems ({ problems, problemCount }: SyncOutcome): void {
    // Every commit of a session runs into the same problems, so counts are not added.
    this.#mostProblems = Math.max(this.#mostProblems, problemCount)
    for (const problem of problems) this.#problems.set(`${problem.code} ${problem.path}`, problem)
  }

  #takeBatch (): LegacyArrival[] {
    const batch = this.#batch
    this.#batch = []
    this.#batchBytes = 0
    return batch
  }
}

function isHalt (error: unknown): boolean {
  return error instanceof Error && 'code' in error && error.code === 'HALTED'
}

async function gather (content: AsyncIterable<Uint8Array>, sizeBytes: number): Promise<Uint8Array> {
  const whole = new Uint8Array(sizeBytes)
  let at = 0
  for await (const piece of content) {
    whole.set(piece, at)
    at += piece.length
  }
  return whole
}
