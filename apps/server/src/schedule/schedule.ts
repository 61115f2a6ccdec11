import { formatDuration } from '@filesync/program'
import { FileSyncError } from '@filesync/protocol'
import type { Clock, TimeZone } from '@filesync/protocol'
import { formatWindow, openingAt } from './windows.ts'
import type { DailyWindow, Opening } from './windows.ts'

/** Clients are spread by this share of the interval; otherwise two that collide once would collide at every sync. */
const JITTER = 0.1
/** The end of a window is checked at least this often, because the machine may sleep and its clock may be set. */
const CHECK_EVERY_MS = 30_000

/**
 * The time until a client's next sync.
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
  /** When syncs may run; empty for any time. */
  readonly windows: readonly DailyWindow[]
  readonly zone: TimeZone
  readonly clock: Clock
  /** Uniform from 0 to 1. */
  readonly random: () => number
}

/** Decides when clients may sync. */
export class Schedule {
  readonly #init: ScheduleInit

  constructor (init: ScheduleInit) {
    this.#init = init
  }

  /** Milliseconds until a client that has finished should sync again: after the interval, but inside a window. */
  nextSyncInMs (): number {
    const { intervalMs, windows, zone, clock, random } = this.#init
    const inMs = nextSyncInMs(intervalMs, random())
    if (windows.length === 0) return inMs
    const atMs = clock.nowMs() + inMs
    const opening = openingAt(windows, atMs, zone)
    return opening.opensMs <= atMs ? inMs : this.#untilInside(opening)
  }

  /** Throws OUTSIDE_WINDOW if no sync may run now. */
  admit (): void {
    const closed = this.#closed('Nothing was transferred')
    if (closed !== undefined) throw closed
  }

  /** Calls back once, with OUTSIDE_WINDOW, when the current window closes. Returns a function that cancels this. */
  onClose (callback: (error: FileSyncError) => void): () => void {
    const { windows, zone, clock } = this.#init
    let cancel: () => void = () => { /* nothing is scheduled */ }
    const check = (): void => {
      const closed = this.#closed('What arrived is stored')
      if (closed !== undefined) callback(closed)
      else {
        const untilCloseMs = openingAt(windows, clock.nowMs(), zone).closesMs - clock.nowMs()
        cancel = clock.schedule(Math.min(CHECK_EVERY_MS, untilCloseMs), check)
      }
    }
    if (windows.length > 0) check()
    return () => { cancel() }
  }

  #closed (done: string): FileSyncError | undefined {
    const { windows, zone, clock } = this.#init
    const nowMs = clock.nowMs()
    if (windows.length === 0) return undefined
    const opening = openingAt(windows, nowMs, zone)
    if (opening.opensMs <= nowMs) return undefined
    const times = windows.map(formatWindow).join(', ')
    const when = `The server syncs only at ${times}, by its own clock; the next window opens in ${formatDuration(opening.opensMs - nowMs)}.`
    const next = 'A client that keeps running continues then by itself; a single "push" has to be run again.'
    return new FileSyncError('OUTSIDE_WINDOW', `${when} ${done}. ${next}`, { retryInMs: this.#untilInside(opening) })
  }

  // Spread over the first part of the window: otherwise all clients would arrive the moment it opens.
  #untilInside ({ opensMs, closesMs }: Opening): number {
    const { intervalMs, clock, random } = this.#init
    return Math.ceil(opensMs - clock.nowMs() + random() * Math.min(intervalMs, (closesMs - opensMs) / 2))
  }
}
