import { DIGEST_RECORD_BYTES, FileSyncError, LIMITS, PACK_RECORD_BYTES } from '@filesync/protocol'
import type { ListingResponder } from '@filesync/protocol'
import type { StreamRequest, WantedFile } from './file-source.ts'
import type { NumberedTask, TaskIntake } from './task-intake.ts'

/** One read at the source: a batch of small files, for their content or for their digests alone, or a large one. */
export type PlannedRead =
  | { readonly kind: 'DIGESTS', readonly files: readonly WantedFile[], readonly bytes: number }
  | { readonly kind: 'PACK', readonly files: readonly WantedFile[], readonly bytes: number }
  | { readonly kind: 'STREAM', readonly request: StreamRequest, readonly bytes: number }

/** A pack below this stays open for the next small file. */
const PACK_BYTES = 1 << 20
/** The first one is smaller, and each twice as large as the one before: whoever sends, stages and stores has something to do sooner. */
const FIRST_PACK_BYTES = 64 << 10
/** Files of one batch, so that a tree of tiny files still spreads over all readers. */
const PACK_FILES = 1024
/** Bytes of the files of one frame of digests: some milliseconds of reading and hashing. */
const DIGESTED_BYTES = 8 << 20

export interface AnswerPlanInit {
  readonly intake: TaskIntake
  readonly answers: ListingResponder
  readonly pieceBytes: number
  /** Whether HELLO agreed on them. */
  readonly holes: boolean
  readonly onWanted: (file: WantedFile) => void
}

/**
 * Turns tasks into reads, in order. A batch ends where the next file does not fit, is large, or is not asked for yet: a
 * client that waits for tasks has sent all that it knows of.
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

  /** The next read, or undefined behind the last task. Rejects with TASK_INVALID for what was not listed as a file. */
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
    const mostBytes = Math.min(this.#packBytes, this.#pieceBytes)
    this.#packBytes = Math.min(2 * this.#packBytes, PACK_BYTES)
    for (let next = this.#intake.tasks.takeNow(); next !== undefined; next = this.#intake.tasks.takeNow()) {
      const file = this.#find(next)
      if (files.length === PACK_FILES || !isPacked(next, file) || bytes + packedBytes(file) > mostBytes) {
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
    if (offset > sizeBytes) throw new FileSyncError('TASK_INVALID', 'The server asked to resume a file beyond its end.')
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
    if (entry.kind !== 'file') throw new FileSyncError('TASK_INVALID', 'The server asked for the content of something that was not listed as a file.')
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
