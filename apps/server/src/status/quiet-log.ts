import type { EventLog } from '@filesync/program'

/** Events that report success. Each is listed, so that an event added later is not silenced. */
const NORMAL: ReadonlySet<string> = new Set([
  'listening', 'metrics-listening', 'legacy-listening', 'paired', 'session-ended', 'pruned', 'index-made', 'archive-back',
])
const ENDED: ReadonlySet<string> = new Set(['synced', 'legacy-synced'])

/** A log without the events that report success. */
export function quietLog (log: EventLog): EventLog {
  return (event, text) => {
    const isSuccess = NORMAL.has(event.event) || (ENDED.has(event.event) && (event['result'] === undefined || event['result'] === 'OK'))
    if (!isSuccess) log(event, text)
  }
}
