import { expect, test } from 'vitest'
import { compareClocks } from '../src/connect/prove-server.ts'

// The server reads its clock between the request and the answer, so it is `aheadMs` to `aheadMs + tookMs` ahead.
test.each([
  [0, 5, 'ok'],
  [2_000, 5, 'ok'],
  [2_001, 5, 'warning'],
  [2_001, 10_000, 'warning'],
  [-2_000, 0, 'ok'],
  [-2_001, 0, 'warning'],
  [-2_001, 1, 'ok'],
  [-60_000, 59_000, 'ok'],
])('a server clock measured %i ms ahead over a round trip of %i ms is reported as %s', (aheadMs, tookMs, level) => {
  expect(compareClocks(aheadMs, tookMs)).toMatchObject({ check: 'clock', level })
})

test('says which clock is ahead, and by how much at least', () => {
  expect(compareClocks(300_000, 5).what).toContain('5 min ahead of this machine')
  expect(compareClocks(-300_000, 0).what).toContain('This machine\'s clock is 5 min ahead of the server')
})
