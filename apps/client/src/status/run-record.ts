import { equalDigests, readListing, sameContent, splitPath } from '@filesync/protocol'
import type { Entry, Problem, RelativePath, Tree } from '@filesync/protocol'
import type { LogEvent } from '@filesync/program'
import type { TransferProgress } from '@filesync/transfer'
import type { PushResult } from '../push/push-result.ts'

/** What the client is doing. */
export type Activity =
  | { readonly doing: 'idle' | 'connecting' | 'comparing' }
  | { readonly doing: 'queued', readonly position: number, readonly estimateMs: number | undefined }
  | { readonly doing: 'sending' } & SendingProgress
  | { readonly doing: 'waiting', readonly untilMs: number }

type SendingProgress = Pick<
  TransferProgress, 'files' | 'filesWanted' | 'bytes' | 'bytesWanted' | 'bytesPerSecond' | 'remainingMs' | 'path' | 'isCompressing'
>

/**
 * A transfer with its current rate: progress is reported only while bytes move, so the last report may be old. The time left is
 * adjusted to the rate.
 *
 * @param bytesPerSecond the rate over the last seconds
 */
export function atRate (activity: Activity, bytesPerSecond: number): Activity {
  if (activity.doing !== 'sending') return activity
  const { remainingMs, bytesPerSecond: before } = activity
  // If no bytes were sent before, for example while a file is compared, the time left is not derived from the rate.
  if (remainingMs === undefined || before === 0) return { ...activity, bytesPerSecond }
  return { ...activity, bytesPerSecond, remainingMs: bytesPerSecond > 0 ? remainingMs * before / bytesPerSecond : undefined }
}

/** What the client is doing now, and how its last runs ended. */
export class RunRecord {
  readonly #publish: (event: LogEvent) => void
  #activity: Activity = { doing: 'idle' }
  /** The last run, however it ended. */
  last: { readonly atMs: number, readonly result: PushResult } | undefined
  /** The end of the last run after which everything was stored, possibly of an earlier process. */
  completeAtMs: number | undefined
  /** The last run that did not fail. */
  #stored: { readonly atMs: number, readonly tree: Tree } | undefined
  #problems = new Map<string, Problem>()

  /** @param publish called with every change of activity and with the end of every run */
  constructor (publish: (event: LogEvent) => void = () => { /* no readers */ }) {
    this.#publish = publish
  }

  get activity (): Activity {
    return this.#activity
  }

  set activity (next: Activity) {
    this.#activity = next
    this.#publish({ event: 'activity', ...next })
  }

  /** Records a run that has ended. */
  add (result: PushResult, atMs: number, tree: Tree | undefined): void {
    this.last = { atMs, result }
    if (result.result === 'ok') this.completeAtMs = atMs
    const { problems: _problems, folders: _folders, nextSyncAt, ...facts } = result
    this.#publish({ event: 'run', ...facts, ...(nextSyncAt !== null && { nextSyncAt }) })
    if (tree === undefined || result.result === 'halted') return
    this.#stored = { atMs, tree }
    this.#problems = new Map(result.problems.map(problem => [problem.path, problem]))
  }

  /** Why a path was not stored by the last run that did not fail. */
  problemOf (path: string): Problem | undefined {
    return this.#problems.get(path)
  }

  /** The first problem below a directory in the last run that did not fail. */
  problemBelow (directory: string): Problem | undefined {
    for (const [path, problem] of this.#problems) if (path.startsWith(`${directory}/`)) return problem
    return undefined
  }

  /** When the last run that did not fail ended, in milliseconds since the Unix epoch; 0 for none. */
  get storedAtMs (): number {
    return this.#stored?.atMs ?? 0
  }

  /**
   * Whether the server holds exactly this entry, another state of it, or nothing, according to the last run. A directory is the
   * same if everything below it is. `unsure` if the run left out entries without naming them.
   */
  storedState (path: RelativePath, entry: Entry): 'same' | 'other' | 'nothing' | 'unsure' {
    if (this.#stored === undefined) return 'nothing'
    const { directory, name } = splitPath(path)
    const listing = this.#stored.tree.listing(directory)
    if (listing === undefined) return 'nothing'
    for (const stored of readListing(listing)) {
      if (stored.name !== name) continue
      if (!isSame(stored, entry)) return 'other'
      return this.unnamedProblems > 0 ? 'unsure' : 'same'
    }
    return 'nothing'
  }

  /** How many entries the last run left out without naming them: only the first problems are listed. */
  get unnamedProblems (): number {
    const { problemCount, problems } = this.last?.result ?? { problemCount: 0, problems: [] }
    return Math.max(0, problemCount - problems.length)
  }
}

function isSame (stored: Entry, entry: Entry): boolean {
  if (stored.kind === 'directory' && entry.kind === 'directory') return equalDigests(stored.digest, entry.digest)
  if (!sameContent(stored, entry)) return false
  // Another file of the same name, size and time.
  return stored.kind !== 'file' || entry.kind !== 'file' || stored.fileId === entry.fileId || stored.fileId === 0n || entry.fileId === 0n
}
