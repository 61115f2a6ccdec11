import type { Area, SyncOutcome } from '@filesync/archive'
import { LIMITS } from '@filesync/protocol'
import type { HashBytes, Hasher, Problem, RelativePath } from '@filesync/protocol'
import type { PlainFile } from './file-tree.ts'
import { storeFiles } from './store-files.ts'
import type { LegacyArrival } from './store-files.ts'

export interface LegacyArrivalsInit {
  readonly area: Area
  /** What the client has and the archive holds; what arrives is added to it. */
  readonly files: Map<RelativePath, PlainFile>
  readonly hash: HashBytes
  readonly createHasher: () => Hasher
}

/** Small files that wait to be committed together. */
const BATCH_BYTES = 8_388_608

/** Takes the files of one session, and commits them in batches. */
export class LegacyArrivals {
  readonly #init: LegacyArrivalsInit
  readonly #problems = new Map<string, Problem>()
  /** The most that one commit came upon. */
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

  /** How many there are, at least: each commit tells the first of its own. */
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

  /** Commits what has arrived whole, and deletes nothing. */
  async commit (): Promise<void> {
    if (this.#batch.length > 0) await this.#commit(this.#takeBatch(), false)
  }

  /** Commits the rest; what the client does not have any more leaves for versions. Throws HALTED, with the rest committed all the same. */
  async finish (): Promise<void> {
    const batch = this.#takeBatch()
    try {
      await this.#commit(batch, true)
    } catch (error) {
      if (batch.length === 0 || !isHalt(error)) throw error
      await this.#commit(batch, false)
      // Once more, because the archive forgets with the commit between that the brake held.
      await this.#commit([], true)
    }
  }

  async #commit (arriving: readonly LegacyArrival[], complete: boolean): Promise<void> {
    const outcome = await storeFiles({ ...this.#init, arriving, complete })
    this.#stored.files += outcome.files
    this.#stored.bytes += outcome.bytes
    this.#stored.deleted += outcome.deleted
    this.#note(outcome)
  }

  #note ({ problems, problemCount }: SyncOutcome): void {
    // Each commit of a session comes upon the same trouble anew.
    this.#mostProblems = Math.max(this.#mostProblems, problemCount)
    for (const trouble of problems) this.#problems.set(`${trouble.code} ${trouble.path}`, trouble)
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
