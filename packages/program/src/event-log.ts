import { jsonLine, printable } from './printable.ts'
import { shownTime } from './shown-time.ts'

/** What happened, as fields. Texts in it may come from peers. */
export interface LogEvent {
  readonly event: string
  readonly [field: string]: string | number | boolean | undefined
}

/** Records an event; `text` says the same for people. */
export type EventLog = (event: LogEvent, text: string) => void

interface EventLogInit {
  readonly write: (line: string) => void
  /** One JSON object per line instead of text. */
  readonly json: boolean
  /** The time as ISO 8601. */
  readonly now: () => string
}

/**
 * A log with one line per event. In JSON the field `event` comes first, as the command line promises, and the time last.
 * Everything that a terminal would obey is escaped.
 */
export function createEventLog (init: EventLogInit): EventLog {
  return (event, text) => {
    const time = init.now()
    init.write(init.json ? jsonLine({ ...event, time }) : `${shownTime(time)} ${printable(text)}\n`)
  }
}
