import { readFileSync } from 'node:fs'

/** Events that may stand in the queue without being told: those of watches that were just ended. */
const UNTOLD_EVENTS = 400

/**
 * Notices that the kernel's queue of inotify events may have overflowed. The kernel says so by an event that libuv drops, but
 * libuv also reads the queue to its end within one turn of the event loop: what was full shows as that many events in one turn.
 */
export class EventFlood {
  readonly #onFlood: () => void
  readonly #limit: number
  #count = 0

  /** @param onFlood called at least once while the events of a full queue are told, so after what was dropped had happened */
  constructor (onFlood: () => void) {
    this.#onFlood = onFlood
    this.#limit = Math.max(1, Number(readFileSync('/proc/sys/fs/inotify/max_queued_events', 'utf8')) - UNTOLD_EVENTS)
  }

  /** One more event was told. */
  count (): void {
    if (this.#count === 0) setImmediate(() => { this.#count = 0 })
    if (++this.#count % this.#limit === 0) this.#onFlood()
  }
}
