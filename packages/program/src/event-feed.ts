import { FileSyncError } from '@filesync/protocol'
import type { LogEvent } from './event-log.ts'

/** What one reader may be behind; what is older is dropped then, and counted. */
const MAX_BEHIND = 1_000
/** Readers at once; each may hold that many events. */
const MAX_READERS = 16

interface Reader {
  events: LogEvent[]
  missed: number
  wake: () => void
}

/**
 * Hands events to whoever reads them at the moment. A reader that is too slow loses the oldest, and is told how many by
 * `{"event":"missed","count":n}`, so that it costs the program neither memory nor time.
 */
export class EventFeed {
  readonly #readers = new Set<Reader>()

  /** Whether anybody would take notice. */
  get hasReaders (): boolean {
    return this.#readers.size > 0
  }

  push (event: LogEvent): void {
    for (const reader of this.#readers) {
      if (reader.events.length >= MAX_BEHIND) {
        reader.events.shift()
        reader.missed++
      }
      reader.events.push(event)
      reader.wake()
    }
  }

  /** Everything from now on, until the signal is aborted. Throws SERVER_BUSY where too many read already. */
  read (signal: AbortSignal): AsyncGenerator<LogEvent, void, undefined> {
    if (this.#readers.size >= MAX_READERS) throw new FileSyncError('SERVER_BUSY', `${MAX_READERS} programs read the events already. End one of them first.`)
    const reader: Reader = { events: [], missed: 0, wake () { /* nobody waits yet */ } }
    // From the call on, not from the first question on: what happens between must not be lost.
    if (!signal.aborted) this.#readers.add(reader)
    signal.addEventListener('abort', () => {
      this.#readers.delete(reader)
      reader.wake()
    }, { once: true })
    return this.#take(reader, signal)
  }

  async * #take (reader: Reader, signal: AbortSignal): AsyncGenerator<LogEvent, void, undefined> {
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
