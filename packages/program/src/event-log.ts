import { jsonLine, printable } from './printable.ts'
import { shownTime } from './shown-time.ts'

/** What happened, in facts. Text in it may come from peers. */
export interface LogEvent {
  readonly event: string
  readonly [field: string]: string | number | boolean | undefined
}

/** Takes an event; `text` says the same to people. */
export type EventLog = (event: LogEvent, text: string) => void

export interface EventLogInit {
  readonly write: (line: string) => void
  /** One JSON object a line instead of text. */
  readonly json: boolean
  /** The time as ISO 8601. */
  readonly now: () => string
}

/**
 * A log of one line an event. As JSON the event comes first, as the command line contract words it, and the time last;
 * everything that a terminal would obey is escaped.
 */
export function createEventLog (init: EventLogInit): EventLog {
  return (event, text) => {
    const time = init.now()
    init.write(init.json ? jsonLine({ ...event, time }) : `${shownTime(time)} ${printable(text)}\n`)
  }
}
