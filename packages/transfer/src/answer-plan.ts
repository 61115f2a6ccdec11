import { DIGEST_RECORD_BYTES, FileSyncError, LIMITS, PACK_RECORD_BYTES } from '@filesync/protocol'
import type { ListingResponder } from '@filesync/protocol'
import type { StreamRequest, WantedFile } from './file-source.ts'
import type { NumberedTask, TaskIntake } from './task-intake.ts'

/** One read at the source: a batch of small files, for their content or only their digests, or one large file. */
export type PlannedRead =
  | { readonly kind: 'DIGESTS', readonly files: readonly WantedFile[], readonly bytes: number }
  | { readonly kind: 'PACK', readonly files: readonly WantedFile[], readonly bytes: number }
  | { readonly kind: 'STREAM', readonly request: StreamRequest, readonly bytes: number }

/** A pack is filled with small files up to this size. */
const PACK_BYTES = 1 << 20
/** The first pack is smaller and each next one twice as large, so that sending, staging and storing start sooner. */
const FIRST_PACK_BYTES = 64 << 10
/** Most files in one batch, so that a tree of tiny files is spread over all readers. */
const PACK_FILES = 1024
/** Most bytes that are read for one frame of digests: some milliseconds of reading and hashing. */
const DIGESTED_BYTES = 8 << 20

export interface AnswerPlanInit {
  readonly intake: TaskIntake
  readonly answers: ListingResponder
  readonly pieceBytes: number
  /** Whether HELLO agreed on holes. */
  readonly holes: boolean
  readonly onWanted: (file: WantedFile) => void
}

/**
 * Turns tasks into reads, in order. A batch ends if the next file does not fit, is large, or was not asked for yet: a client
 * that waits for tasks has sent all files that it knows of.
 */
export class AnswerPlan {
  readonly #intake: TaskIntake
  readonly #answers: ListingResponder
  readonly #pieceBytes: number
  readonly #onWanted: (file: WantedFile) => void
  readonly #holes: boolean
  #waiting: NumberedTask | undefined
  #packBytes = FIRST_PACK_BYTES

  constructor (init: AnswerPlanInit) {
    this.#intake = init.intake
    this.#holes = init.holes
    this.#answers = init.answers
    this.#pieceBytes = init.pieceBytes
    this.#onWanted = init.onWanted
  }

  /** The next read, or undefined after the last task. Rejects with TASK_INVALID if a task is not for a listed file. */
  async next (): Promise<PlannedRead | undefined> {
    const first = this.#waiting ?? await this.#intake.tasks.take()
    this.#waiting = undefined
    if (first === undefined) return undefined
    const file = this.#find(first)
    if (isPacked(first, file)) return this.#pack(file)
    return isDigested(first, file) ? this.#digests(file) : await this.#stream(first, file)
  }

  #pack (first: WantedFile): PlannedRead {
    const files = [first]
    let bytes = packedBytes(first)
    const maxBytes = Math.min(this.#packBytes, this.#pieceBytes)
    this.#packBytes = Math.min(2 * this.#packBytes, PACK_BYTES)
    for (let next = this.#intake.tasks.takeNow(); next !== undefined; next = this.#intake.tasks.takeNow()) {
      const file = this.#find(next)
      if (files.length === PACK_FILES || !isPacked(next, file) || bytes + packedBytes(file) > maxBytes) {
        this.#waiting = next
        break
      }
      files.push(file)
      bytes += packedBytes(file)
    }
    for (const file of files) this.#onWanted(file)
    return { kind: 'PACK', files, bytes }
  }

  #digests (first: WantedFile): PlannedRead {
    const files = [first]
    let readBytes = first.entry.sizeBytes
    for (let next = this.#intake.tasks.takeNow(); next !== undefined; next = this.#intake.tasks.takeNow()) {
      const file = this.#find(next)
      readBytes += file.entry.sizeBytes
      if (files.length === PACK_FILES || !isDigested(next, file) || readBytes > DIGESTED_BYTES) {
        this.#waiting = next
        break
      }
      files.push(file)
    }
    for (const file of files) this.#onWanted(file)
    return { kind: 'DIGESTS', files, bytes: files.length * DIGEST_RECORD_BYTES + LIMITS.packedFileBytes }
  }

  async #stream (numbered: NumberedTask, file: WantedFile): Promise<PlannedRead> {
    const [, , how, argument, roomBytes] = numbered.task
    const sizeBytes = file.entry.sizeBytes
    const offset = how === 'RESUME' || how === 'SPARSE' ? argument : 0
    if (offset > sizeBytes) throw new FileSyncError('TASK_INVALID', 'The other end asked to resume a file beyond its end.')
    const content = how === 'DIGEST' ? 'NONE' : how === 'DELTA' ? 'DELTA' : 'DATA'
    const request: StreamRequest = {
      file, content, offset, pieceBytes: this.#pieceBytes, holes: this.#holes, ...(roomBytes !== undefined && { roomBytes }),
    }
    this.#onWanted(file)
    const bytes = Math.min(sizeBytes, 4 * this.#pieceBytes)
    if (content !== 'DELTA') return { kind: 'STREAM', request, bytes }
    return { kind: 'STREAM', request: { ...request, signature: await this.#intake.takeSignature() }, bytes }
  }

  #find ({ number, task }: NumberedTask): WantedFile {
    const { directory, entry } = this.#answers.entry(task[0], task[1])
    if (entry.kind !== 'file') {
      throw new FileSyncError('TASK_INVALID', 'The other end asked for the content of an entry that is not a file.')
    }
    return { task: number, directory, entry }
  }
}

function isPacked ({ task }: NumberedTask, file: WantedFile): boolean {
  return task.length === 2 && file.entry.sizeBytes <= LIMITS.packedFileBytes
}

function isDigested ({ task }: NumberedTask, file: WantedFile): boolean {
  return task[2] === 'DIGEST' && file.entry.sizeBytes <= LIMITS.packedFileBytes
}

function packedBytes (file: WantedFile): number {
  return PACK_RECORD_BYTES + file.entry.sizeBytes
}
