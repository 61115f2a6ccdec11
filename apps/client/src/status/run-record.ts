import { equalDigests, readListing, sameContent, splitPath } from '@filesync/protocol'
import type { Entry, Problem, RelativePath, Tree } from '@filesync/protocol'
import type { LogEvent } from '@filesync/program'
import type { TransferProgress } from '@filesync/transfer'
import type { PushResult } from '../push/push-result.ts'

/** What the client is doing, for people. */
export type Activity =
  | { readonly doing: 'idle' | 'connecting' | 'comparing' }
  | { readonly doing: 'queued', readonly position: number, readonly estimateMs: number | undefined }
  | { readonly doing: 'sending' } & Pick<TransferProgress, 'files' | 'filesWanted' | 'bytes' | 'bytesWanted' | 'bytesPerSecond' | 'remainingMs' | 'path' | 'isCompressing'>
  | { readonly doing: 'waiting', readonly untilMs: number }

/**
 * A transfer with its rate as of now: it tells of itself only while it moves. The time left changes with the rate.
 *
 * @param bytesPerSecond over the last seconds, as of now
 */
export function atRate (activity: Activity, bytesPerSecond: number): Activity {
  if (activity.doing !== 'sending') return activity
  const { remainingMs, bytesPerSecond: before } = activity
  // Where nothing went over the link before, as in a file that is compared, the time left rests on something else.
  if (remainingMs === undefined || before === 0) return { ...activity, bytesPerSecond }
  return { ...activity, bytesPerSecond, remainingMs: bytesPerSecond > 0 ? remainingMs * before / bytesPerSecond : undefined }
}

/** What the running client knows of itself: what it does now, and how its last runs ended. */
export class RunRecord {
  readonly #tell: (event: LogEvent) => void
  #activity: Activity = { doing: 'idle' }
  /** The last run, however it ended. */
  last: { readonly atMs: number, readonly result: PushResult } | undefined
  /** The end of the last run after which everything was stored, also of an earlier process. */
  completeAtMs: number | undefined
  #stored: { readonly atMs: number, readonly tree: Tree } | undefined
  #problems = new Map<string, Problem>()

  /** @param tell told of every change of activity, and of every run that has ended */
  constructor (tell: (event: LogEvent) => void = () => { /* nobody wants to know */ }) {
    this.#tell = tell
  }

  get activity (): Activity {
    return this.#activity
  }

  set activity (next: Activity) {
    this.#activity = next
    this.#tell({ event: 'activity', ...next })
  }

  /** A run has ended. */
  note (result: PushResult, atMs: number, tree: Tree | undefined): void {
    this.last = { atMs, result }
    if (result.result === 'ok') this.completeAtMs = atMs
    const { problems: _, nextSyncAt, ...facts } = result
    this.#tell({ event: 'run', ...facts, ...(nextSyncAt !== null && { nextSyncAt }) })
    if (tree === undefined || result.result === 'halted') return
    this.#stored = { atMs, tree }
    this.#problems = new Map(result.problems.map(problem => [problem.path, problem]))
  }

  /** What kept a path from being stored in the last run that came to its end. */
  problemOf (path: string): Problem | undefined {
    return this.#problems.get(path)
  }

  /** The first thing below a directory that was not stored in the last run that came to its end. */
  problemBelow (directory: string): Problem | undefined {
    for (const [path, problem] of this.#problems) if (path.startsWith(`${directory}/`)) return problem
    return undefined
  }

  /** The end of the last run that came to its end, milliseconds since the Unix epoch; 0 for none. */
  get storedAtMs (): number {
    return this.#stored?.atMs ?? 0
  }

  /**
   * Whether the server holds exactly this entry, another state of it, or nothing, as far as the last run tells. A directory is the
   * same where everything below it is. `unsure` where the run left out more than it named.
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

  /** How many entries the last run left out without naming them: of problems beyond the first ones only the number is told. */
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
