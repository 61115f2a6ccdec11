import { formatDuration } from '@filesync/program'
import { FileSyncError } from '@filesync/protocol'
import type { Clock, TimeZone } from '@filesync/protocol'
import { formatWindow, openingAt } from './windows.ts'
import type { DailyWindow, Opening } from './windows.ts'

/** Share of the interval by which clients are spread, so that those that met once do not meet for ever. */
const JITTER = 0.1
/** The end of a window is looked for this often at least: a machine may sleep, and clocks are set. */
const LOOK_EVERY_MS = 30_000

/**
 * When a client should come again.
 *
 * @param intervalMs the server's sync interval
 * @param random uniform from 0 to 1
 * @returns milliseconds from now, within 10 % of the interval
 */
export function nextSyncInMs (intervalMs: number, random: number): number {
  return Math.round(intervalMs * (1 + JITTER * (2 * random - 1)))
}

export interface ScheduleInit {
  readonly intervalMs: number
  /** When syncs may run; at any time where there are none. */
  readonly windows: readonly DailyWindow[]
  readonly zone: TimeZone
  readonly clock: Clock
  /** Uniform from 0 to 1. */
  readonly random: () => number
}

/** When clients may come. */
export class Schedule {
  readonly #init: ScheduleInit

  constructor (init: ScheduleInit) {
    this.#init = init
  }

  /** Milliseconds until a client that is done should come again: at the interval, but within a window. */
  nextSyncInMs (): number {
    const { intervalMs, windows, zone, clock, random } = this.#init
    const inMs = nextSyncInMs(intervalMs, random())
    if (windows.length === 0) return inMs
    const atMs = clock.nowMs() + inMs
    const opening = openingAt(windows, atMs, zone)
    return opening.opensMs <= atMs ? inMs : this.#untilSomeTimeIn(opening)
  }

  /** Throws OUTSIDE_WINDOW where no sync may run now. */
  admit (): void {
    const closed = this.#closed('Nothing was transferred')
    if (closed !== undefined) throw closed
  }

  /** Calls back once, with OUTSIDE_WINDOW, when the window that is open closes. Returns what takes that back. */
  onClose (callback: (error: FileSyncError) => void): () => void {
    const { windows, zone, clock } = this.#init
    let cancel: () => void = () => { /* nothing is scheduled */ }
    const look = (): void => {
      const closed = this.#closed('What arrived is stored')
      if (closed !== undefined) callback(closed)
      else cancel = clock.schedule(Math.min(LOOK_EVERY_MS, openingAt(windows, clock.nowMs(), zone).closesMs - clock.nowMs()), look)
    }
    if (windows.length > 0) look()
    return () => { cancel() }
  }

  #closed (sofar: string): FileSyncError | undefined {
    const { windows, zone, clock } = this.#init
    const nowMs = clock.nowMs()
    if (windows.length === 0) return undefined
    const opening = openingAt(windows, nowMs, zone)
    if (opening.opensMs <= nowMs) return undefined
    const times = windows.map(formatWindow).join(', ')
    return new FileSyncError('OUTSIDE_WINDOW', `The server syncs at ${times} only, by its own clock, and opens in ${formatDuration(opening.opensMs - nowMs)}. ` +
      `${sofar}. A client that was started goes on by itself then; "push" has to be run again.`, { retryInMs: this.#untilSomeTimeIn(opening) })
  }

  // Not at its first second: all clients would be there.
  #untilSomeTimeIn ({ opensMs, closesMs }: Opening): number {
    const { intervalMs, clock, random } = this.#init
    return Math.ceil(opensMs - clock.nowMs() + random() * Math.min(intervalMs, (closesMs - opensMs) / 2))
  }
}
