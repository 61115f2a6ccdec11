import type { EventLog } from '@filesync/program'

/** Lines that say that all is well. Named one by one, so that a line which is added later is not left out. */
const NORMAL: ReadonlySet<string> = new Set([
  'listening', 'metrics-listening', 'legacy-listening', 'paired', 'session-ended', 'pruned', 'index-made', 'archive-back',
])
const ENDED: ReadonlySet<string> = new Set(['synced', 'legacy-synced'])

/** A log of what is not well alone. */
export function quietLog (log: EventLog): EventLog {
  return (event, text) => {
    const isWell = NORMAL.has(event.event) || (ENDED.has(event.event) && (event['result'] === undefined || event['result'] === 'OK'))
    if (!isWell) log(event, text)
  }
}
