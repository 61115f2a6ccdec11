import { expect, test } from 'vitest'
import { quietLog } from '../src/status/quiet-log.ts'

test('what is well is left out, and trouble is not, also of a kind that nobody thought of', () => {
  const told: string[] = []
  const log = quietLog((event, text) => { told.push(`${event.event} ${text}`) })
  for (const event of ['listening', 'paired', 'pruned', 'session-failed', 'upkeep-failed', 'archive-away', 'something-new']) log({ event }, 'x')
  for (const result of ['OK', 'PROBLEMS', 'HALTED']) log({ event: 'synced', result }, result)
  log({ event: 'legacy-synced' }, 'x')
  expect(told).toEqual(['session-failed x', 'upkeep-failed x', 'archive-away x', 'something-new x', 'synced PROBLEMS', 'synced HALTED'])
})
