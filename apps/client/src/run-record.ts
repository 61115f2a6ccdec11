import { readListing, sameContent, splitPath } from '@filesync/protocol'
import type { Entry, Problem, RelativePath, Tree } from '@filesync/protocol'
import type { LogEvent } from '@filesync/program'
import type { TransferProgress } from '@filesync/transfer'
import type { PushResult } from './push-result.ts'

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

  /** Since when, at the latest, the server holds exactly this entry; undefined where it does not as far as is known. */
  storedSinceMs (path: RelativePath, entry: Entry): number | undefined {
    if (this.#stored === undefined || this.#problems.has(path)) return undefined
    const { directory, name } = splitPath(path)
    const listing = this.#stored.tree.listing(directory)
    if (listing === undefined) return undefined
    for (const stored of readListing(listing)) if (stored.name === name) return sameContent(stored, entry) ? this.#stored.atMs : undefined
    return undefined
  }
}
