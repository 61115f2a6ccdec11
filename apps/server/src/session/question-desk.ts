import type { Area, Attested } from '@filesync/archive'
import { checkRelativePath, FileSyncError } from '@filesync/protocol'
import type { FileVerdict, QuestionedFile, RelativePath, SafeAnswer, SafeQuestion } from '@filesync/protocol'
import { ReadingTurns } from './reading-turns.ts'

/** Sessions of questions that one client may have open: some scripts at a time, and not a thousand. */
const SESSIONS_PER_CLIENT = 4

/** Answers what clients ask of their areas, beside the queue: a question changes nothing, so it need not wait for a turn. */
export class QuestionDesk {
  readonly #findArea: (name: string) => Promise<Area | undefined>
  readonly #open = new Map<string, number>()
  /** Of the questions for which copies are read again. */
  readonly #turns = new ReadingTurns()

  /** @param findArea an area that was synced before; it is not made for a question */
  constructor (findArea: (name: string) => Promise<Area | undefined>) {
    this.#findArea = findArea
  }

  /** Begins a session of questions; returns the function that ends it. Throws SERVER_BUSY. */
  enter (identity: string): () => void {
    const count = this.#open.get(identity) ?? 0
    if (count >= SESSIONS_PER_CLIENT) throw new FileSyncError('SERVER_BUSY', 'This client is asking several questions already. Try again when they are answered.')
    this.#open.set(identity, count + 1)
    return () => {
      const left = (this.#open.get(identity) ?? 1) - 1
      if (left === 0) this.#open.delete(identity)
      else this.#open.set(identity, left)
    }
  }

  /** Answers one question about an area. Throws NAME_INVALID, and the signal's reason. */
  async answer (area: string, question: SafeQuestion, signal: AbortSignal): Promise<SafeAnswer> {
    const copies = question.files.map(({ path, kind, digest }) => ({ path: parsePath(path), kind: KINDS[kind], digest }))
    const found = await this.#findArea(area)
    if (found === undefined) return { type: 'SAFE_ANSWER', files: copies.map(() => ({ verdict: 'ABSENT' })) }
    // Reading again is as dear as a sync: all clients together get one of the disk's threads, and take turns in it.
    const inTurn = async <T>(step: () => Promise<T>): Promise<T> => await this.#turns.take(area, async () => {
      signal.throwIfAborted()
      return await step()
    })
    const options = { fresh: question.fresh, signal, inTurn }
    return { type: 'SAFE_ANSWER', files: (await found.checkSafe(copies, options)).map(tell) }
  }
}

const KINDS = { FILE: 'file', SYMLINK: 'symlink' } as const satisfies Record<QuestionedFile['kind'], string>

function parsePath (path: string): RelativePath {
  const fault = checkRelativePath(path)
  if (fault !== undefined) throw new FileSyncError('NAME_INVALID', `The client asked for a path that cannot be one (${fault}).`)
  return path as RelativePath
}

function tell ({ verdict, storedAtMs, verifiedAtMs, from }: Attested): FileVerdict {
  return {
    verdict: verdict.toUpperCase() as Uppercase<typeof verdict>,
    ...(storedAtMs !== undefined && { storedAtMs }),
    ...(verifiedAtMs !== undefined && { verifiedAtMs }),
    ...(from !== undefined && { read: from.toUpperCase() as Uppercase<typeof from> }),
  }
}
