import { printable } from '@filesync/program'
import type { Clock } from '@filesync/protocol'

/** A run of a machine, as its mark in HELLO tells it from others. */
interface SeenRun {
  readonly address: string
  readonly atMs: number
}

/** Two machines that use one key. */
export interface Clone {
  /** When that was noticed, milliseconds since the Unix epoch. */
  readonly sinceMs: number
  /** The addresses from which the two runs connected last. They may be the same, if a router hides both. */
  readonly addresses: readonly string[]
}

interface Watched {
  readonly runs: Map<string, SeenRun>
  lastMark: string
  /** The marks that returned, with the times at which they did. */
  returns: { readonly mark: string, readonly atMs: number }[]
  clone: Clone | undefined
}

const DAY_MS = 86_400_000
/** One return is proof already, but a single mistake must not raise an alarm. */
const RETURNS = 2
const MAX_RUNS = 8

/**
 * Notices that two machines use one key: marks of HELLO alternate. A mark belongs to one run of one machine and no later run has it, so
 * one that returns after another was seen means that both machines run. Neither a change of address nor a connection that was not closed
 * nor a restart makes a mark return. Only a hint: a client sends any mark it likes.
 */
export class CloneWatch {
  readonly #clock: Clock
  readonly #watched = new Map<string, Watched>()

  constructor (clock: Clock) {
    this.#clock = clock
  }

  /** Notes a session. Resolves to whether that made the clone known. @param mark in hexadecimal; undefined if it was not sent */
  note (identity: string, mark: string | undefined, address: string): 'noticed' | 'known' | undefined {
    if (mark === undefined) return this.of(identity) === undefined ? undefined : 'known'
    const nowMs = this.#clock.monotonicMs()
    const watched = this.#watched.get(identity) ?? { runs: new Map<string, SeenRun>(), lastMark: mark, returns: [], clone: undefined }
    this.#watched.set(identity, watched)
    this.#forgetOld(watched, nowMs)
    const { runs, lastMark } = watched
    if (mark !== lastMark && runs.has(mark)) watched.returns.push({ mark, atMs: nowMs })
    runs.delete(mark)
    runs.set(mark, { address, atMs: nowMs })
    for (const oldest of runs.keys()) if (runs.size > MAX_RUNS) runs.delete(oldest)
    watched.lastMark = mark
    if (watched.returns.length < RETURNS) return undefined
    const isKnown = watched.clone !== undefined
    const addresses = [...runs.values()].slice(-2).map(run => run.address)
    watched.clone = { sinceMs: watched.clone?.sinceMs ?? this.#clock.nowMs(), addresses }
    watched.returns = watched.returns.slice(-RETURNS)
    return isKnown ? 'known' : 'noticed'
  }

  /** The clone of a key; undefined if there seems to be none, or one of the two has not connected for a day. */
  of (identity: string): Clone | undefined {
    const watched = this.#watched.get(identity)
    if (watched === undefined) return undefined
    this.#forgetOld(watched, this.#clock.monotonicMs())
    return watched.clone
  }

  #forgetOld (watched: Watched, nowMs: number): void {
    watched.returns = watched.returns.filter(({ atMs }) => nowMs - atMs < DAY_MS)
    for (const [mark, { atMs }] of watched.runs) if (nowMs - atMs >= DAY_MS) watched.runs.delete(mark)
    if (watched.returns.length === 0) watched.clone = undefined
  }
}

/** What was noticed, and what to do about it. */
export function describeClone (client: string, { addresses }: Pick<Clone, 'addresses'>): string {
  const where = [...new Set(addresses)].map(address => printable(address)).join(' and ')
  return `CLONED: two machines use the key of ${printable(client)}, last at ${where}. On the one that is the copy, stop the client, ` +
    'remove its state directory, and run "filesync-client pair" again.'
}
