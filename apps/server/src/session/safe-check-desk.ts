import type { Area, SafeCheckOptions, SafeCheckResult } from '@filesync/archive'
import { checkName, checkRelativePath, FileSyncError, ROOT_PATH } from '@filesync/protocol'
import type {
  FileVerdict, Name, PageVerdict, QuestionedFile, RelativePath, SafeAnswer, SafePagesAnswer, SafePagesQuestion, SafeQuestion,
} from '@filesync/protocol'
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
    const results = await found.checkSafe(copies, this.#options(area, question, signal))
    return { type: 'SAFE_ANSWER', files: results.map(toVerdict) }
  }

  /** Answers one question about pages of an area. Throws NAME_INVALID, and the signal's reason. */
  async answerPages (area: string, question: SafePagesQuestion, signal: AbortSignal): Promise<SafePagesAnswer> {
    const pages = question.pages.map(({ path, first, last, files, digest }) => (
      { directory: path === '' ? ROOT_PATH : parsePath(path), first: parseName(first), last: parseName(last), files, digest }
    ))
    const found = await this.#findArea(area)
    const results = await found?.checkSafePages(pages, this.#options(area, question, signal))
    return { type: 'SAFE_PAGES_ANSWER', pages: pages.map((_, i) => toPageVerdict(results?.[i])) }
  }

  #options (area: string, { fresh }: { readonly fresh: boolean }, signal: AbortSignal): SafeCheckOptions {
    // Reading again costs as much as a sync, so all clients together get one of the disk's threads.
    const inTurn = async <T>(step: () => Promise<T>): Promise<T> => await this.#rereads.run(area, async () => {
      signal.throwIfAborted()
      return await step()
    })
    return { fresh, signal, inTurn }
  }
}

const KINDS = { FILE: 'file', SYMLINK: 'symlink' } as const satisfies Record<QuestionedFile['kind'], string>

function parsePath (path: string): RelativePath {
  const fault = checkRelativePath(path)
  if (fault !== undefined) throw new FileSyncError('NAME_INVALID', `The client asked about an invalid path (${fault}).`)
  return path as RelativePath
}

function parseName (name: string): Name {
  const fault = checkName(name)
  if (fault !== undefined) throw new FileSyncError('NAME_INVALID', `The client asked about an invalid name (${fault}).`)
  return name as Name
}

/** No runs if the files of a page have to be asked about one by one. */
function toPageVerdict (results: readonly SafeCheckResult[] | undefined): PageVerdict {
  if (results === undefined) return { runs: [] }
  const runs: [files: number, storedAtMs: number, verifiedAtMs: number][] = []
  for (const { storedAtMs = 0, verifiedAtMs = 0 } of results) {
    const last = runs.at(-1)
    if (last?.[1] === storedAtMs && last[2] === verifiedAtMs) last[0]++
    else runs.push([1, storedAtMs, verifiedAtMs])
  }
  const from = results.flatMap(result => result.from ?? [])
  if (from.length === 0) return { runs }
  return { runs, read: from.includes('cache') ? 'CACHE' : 'DISK' }
}

function toVerdict ({ verdict, storedAtMs, verifiedAtMs, from }: SafeCheckResult): FileVerdict {
  return {
    verdict: verdict.toUpperCase() as Uppercase<typeof verdict>,
    ...(storedAtMs !== undefined && { storedAtMs }),
    ...(verifiedAtMs !== undefined && { verifiedAtMs }),
    ...(from !== undefined && { read: from.toUpperCase() as Uppercase<typeof from> }),
  }
}
