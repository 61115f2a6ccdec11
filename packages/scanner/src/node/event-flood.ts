import { readFileSync } from 'node:fs'

/** Events in the queue that are not delivered: those of watches that were just closed. */
const UNDELIVERED_EVENTS = 400

/**
 * Detects that the kernel's queue of inotify events may have overflowed. libuv drops the event by which the kernel reports it,
 * but reads the whole queue within one turn of the event loop: a queue that was full shows as that many events in one turn.
 */
export class EventFlood {
  readonly #onFlood: () => void
  readonly #limit: number
  #count = 0

  /** @param onFlood called at least once while the events of a full queue are delivered, so after the lost changes were made */
  constructor (onFlood: () => void) {
    this.#onFlood = onFlood
    this.#limit = Math.max(1, Number(readFileSync('/proc/sys/fs/inotify/max_queued_events', 'utf8')) - UNDELIVERED_EVENTS)
  }

  /** Counts one event. */
  count (): void {
    if (this.#count === 0) setImmediate(() => { this.#count = 0 })
    if (++this.#count % this.#limit === 0) this.#onFlood()
  }
}
