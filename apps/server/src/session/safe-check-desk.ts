import type { Area, SafeCheckResult } from '@filesync/archive'
import { checkRelativePath, FileSyncError } from '@filesync/protocol'
import type { FileVerdict, QuestionedFile, RelativePath, SafeAnswer, SafeQuestion } from '@filesync/protocol'
import { RereadQueue } from './reread-queue.ts'

/** Enough for a few scripts at a time, and a bound on what one client can hold open. */
const SESSIONS_PER_CLIENT = 4

/** Answers clients' safe checks. A check changes nothing in the archive, so it does not wait in the queue for a turn. */
export class SafeCheckDesk {
  readonly #findArea: (name: string) => Promise<Area | undefined>
  readonly #sessions = new Map<string, number>()
  /** For the checks that ask for copies to be read again. */
  readonly #rereads = new RereadQueue()

  /** @param findArea finds an area that was synced before; an area must not be created for a check */
  constructor (findArea: (name: string) => Promise<Area | undefined>) {
    this.#findArea = findArea
  }

  /** Begins a session of safe checks; returns the function that ends it. Throws SERVER_BUSY. */
  enter (identity: string): () => void {
    const count = this.#sessions.get(identity) ?? 0
    if (count >= SESSIONS_PER_CLIENT) {
      throw new FileSyncError(
        'SERVER_BUSY', `This client has ${SESSIONS_PER_CLIENT} sessions of safe checks open already. Try again when one has ended.`,
      )
    }
    this.#sessions.set(identity, count + 1)
    return () => {
      const left = (this.#sessions.get(identity) ?? 1) - 1
      if (left === 0) this.#sessions.delete(identity)
      else this.#sessions.set(identity, left)
    }
  }

  /** Answers one question about the files of an area. Throws NAME_INVALID, and the signal's reason. */
  async answer (area: string, question: SafeQuestion, signal: AbortSignal): Promise<SafeAnswer> {
    const copies = question.files.map(({ path, kind, digest }) => ({ path: parsePath(path), kind: KINDS[kind], digest }))
    const found = await this.#findArea(area)
    if (found === undefined) return { type: 'SAFE_ANSWER', files: copies.map(() => ({ verdict: 'ABSENT' })) }
    // Reading again costs as much as a sync, so all clients together get one of the disk's threads.
    const inTurn = async <T>(step: () => Promise<T>): Promise<T> => await this.#rereads.run(area, async () => {
      signal.throwIfAborted()
      return await step()
    })
    const options = { fresh: question.fresh, signal, inTurn }
    return { type: 'SAFE_ANSWER', files: (await found.checkSafe(copies, options)).map(toVerdict) }
  }
}

const KINDS = { FILE: 'file', SYMLINK: 'symlink' } as const satisfies Record<QuestionedFile['kind'], string>

function parsePath (path: string): RelativePath {
  const fault = checkRelativePath(path)
  if (fault !== undefined) throw new FileSyncError('NAME_INVALID', `The client asked about an invalid path (${fault}).`)
  return path as RelativePath
}

function toVerdict ({ verdict, storedAtMs, verifiedAtMs, from }: SafeCheckResult): FileVerdict {
  return {
    verdict: verdict.toUpperCase() as Uppercase<typeof verdict>,
    ...(storedAtMs !== undefined && { storedAtMs }),
    ...(verifiedAtMs !== undefined && { verifiedAtMs }),
    ...(from !== undefined && { read: from.toUpperCase() as Uppercase<typeof from> }),
  }
}
