import { FileSyncError } from '@filesync/protocol'
import type { LogEvent } from './event-log.ts'

/** Unread events kept for one reader; older ones are dropped and counted. */
const MAX_UNREAD = 1_000
/** Readers at the same time; each may hold that many events. */
const MAX_READERS = 16

interface Reader {
  events: LogEvent[]
  missed: number
  wake: () => void
}

/**
 * Distributes events to its current readers. A reader that is too slow loses the oldest events and receives
 * `{"event":"missed","count":n}` in their place, so that it slows down nobody and needs bounded memory.
 */
export class EventFeed {
  readonly #readers = new Set<Reader>()

  get hasReaders (): boolean {
    return this.#readers.size > 0
  }

  push (event: LogEvent): void {
    for (const reader of this.#readers) {
      if (reader.events.length >= MAX_UNREAD) {
        reader.events.shift()
        reader.missed++
      }
      reader.events.push(event)
      reader.wake()
    }
  }

  /** All events from this call on, until the signal is aborted. Throws SERVER_BUSY if there are too many readers. */
  read (signal: AbortSignal): AsyncGenerator<LogEvent, void, undefined> {
    if (this.#readers.size >= MAX_READERS) {
      throw new FileSyncError('SERVER_BUSY', `${MAX_READERS} programs already follow the events. Stop one of them first.`)
    }
    const reader: Reader = { events: [], missed: 0, wake () { /* nobody waits yet */ } }
    // Registered here rather than in the generator: events between this call and the first next() must not be lost.
    if (!signal.aborted) this.#readers.add(reader)
    signal.addEventListener('abort', () => {
      this.#readers.delete(reader)
      reader.wake()
    }, { once: true })
    return this.#eventsOf(reader, signal)
  }

  async * #eventsOf (reader: Reader, signal: AbortSignal): AsyncGenerator<LogEvent, void, undefined> {
    try {
      while (!signal.aborted) {
        if (reader.missed > 0) {
          const count = reader.missed
          reader.missed = 0
          yield { event: 'missed', count }
          continue
        }
        const next = reader.events.shift()
        if (next !== undefined) yield next
        else await new Promise<void>(resolve => { reader.wake = resolve })
      }
    } finally {
      this.#readers.delete(reader)
    }
  }
}
