import { expect, test } from 'vitest'
import { quietLog } from '../src/status/quiet-log.ts'

test('leaves out events that report success, and keeps all others, also unknown ones', () => {
  const logged: string[] = []
  const log = quietLog((event, text) => { logged.push(`${event.event} ${text}`) })
  const events = ['listening', 'paired', 'pruned', 'session-failed', 'upkeep-failed', 'archive-away', 'something-new']
  for (const event of events) log({ event }, 'x')
  for (const result of ['OK', 'PROBLEMS', 'HALTED']) log({ event: 'synced', result }, result)
  log({ event: 'legacy-synced' }, 'x')
  expect(logged).toEqual(['session-failed x', 'upkeep-failed x', 'archive-away x', 'something-new x', 'synced PROBLEMS', 'synced HALTED'])
})
