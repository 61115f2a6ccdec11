import { beforeEach, expect, test } from 'vitest'
import { FileSyncError } from '@filesync/protocol'
import { ManualClock } from '@filesync/protocol/testing'
import { ChangeSignal } from '../src/push/change-signal.ts'
import { keepSyncing } from '../src/push/sync-loop.ts'
import type { RunOutcome } from '../src/push/sync-loop.ts'

const failed = (code: FileSyncError['code'], canRetry = true, retryInMs?: number): RunOutcome => ({
  kind: 'failed', canRetry, error: new FileSyncError(code, 'So it is.', { retryInMs }),
})
const done = (nextInMs: number, isStale = false): RunOutcome => ({ kind: 'done', nextInMs, isStale })

let clock: ManualClock
let changes: ChangeSignal
let stop: AbortController
let startedMs: number[]
let waits: [delayMs: number, failure: string | undefined][]

beforeEach(() => {
  clock = new ManualClock()
  changes = new ChangeSignal()
  stop = new AbortController()
  startedMs = []
  waits = []
})

/** A loop whose runs have these outcomes; the last one repeats. */
function loop (outcomes: readonly RunOutcome[]): Promise<FileSyncError> {
  const running = keepSyncing({
    run: async () => {
      changes.clear()
      startedMs.push(clock.monotonicMs())
      return outcomes[Math.min(startedMs.length, outcomes.length) - 1] ?? done(1000)
    },
    nextChange: async signal => { await changes.wait(signal) },
    onWait: (delayMs, failure) => { waits.push([delayMs, failure?.code]) },
    random: () => 1,
    clock,
    signal: stop.signal,
  })
  running.catch(() => { /* awaited by the test */ })
  return running
}

async function advance (byMs: number): Promise<void> {
  await new Promise(resolve => { setImmediate(resolve) })
  clock.advance(byMs)
  await new Promise(resolve => { setImmediate(resolve) })
}

test('runs again when the server asked for it', async () => {
  void loop([done(5000), done(7000)])
  await advance(4999)
  expect(startedMs).toEqual([0])
  await advance(1)
  await advance(7000)
  expect(startedMs).toEqual([0, 5000, 12_000])
  expect(waits).toEqual([[5000, undefined], [7000, undefined], [7000, undefined]])
})

test('runs at once after a change, and drops the old wait', async () => {
  void loop([done(60_000)])
  await advance(10_000)
  changes.set()
  await advance(0)
  expect(startedMs).toEqual([0, 10_000])
  expect(clock.scheduled).toBe(1)
  await advance(59_999)
  expect(startedMs).toHaveLength(2)
  await advance(1)
  expect(startedMs).toEqual([0, 10_000, 70_000])
})

test('scans again soon if files were replaced during a run', async () => {
  void loop([done(60_000, true), done(60_000, true), done(60_000, true), done(60_000), done(5000, true)])
  for (const waitMs of [1000, 2000, 4000, 60_000, 1000, 2000, 4000, 5000]) await advance(waitMs)
  expect(waits.map(([delayMs]) => delayMs).slice(0, 8)).toEqual([1000, 2000, 4000, 60_000, 1000, 2000, 4000, 5000])
})

test.each([[1, 1000], [-5, 1000], [999_999_999, 86_400_000]])('limits a wait of %i ms from the server to %i ms', async (saidMs, heldMs) => {
  void loop([done(saidMs)])
  await advance(heldMs - 1)
  expect(startedMs).toHaveLength(1)
  await advance(1)
  expect(startedMs).toHaveLength(2)
})

test('backs off after failures, up to a minute or the interval, and starts over after a success', async () => {
  void loop([
    ...Array.from({ length: 8 }, () => failed('SERVER_NOT_FOUND')), done(3000), failed('PEER_GONE'), failed('PEER_GONE'),
    failed('PEER_GONE'), failed('PEER_GONE'),
  ])
  for (let run = 0; run < 13; run++) await advance(60_000)
  expect(waits.slice(0, 8).map(([delayMs]) => delayMs)).toEqual([1000, 2000, 4000, 8000, 16_000, 32_000, 60_000, 60_000])
  expect(waits[7]?.[1]).toBe('SERVER_NOT_FOUND')
  expect(waits.slice(8, 13)).toEqual([
    [3000, undefined], [1000, 'PEER_GONE'], [2000, 'PEER_GONE'], [3000, 'PEER_GONE'], [3000, 'PEER_GONE'],
  ])
})

test('runs soon after the machine wakes up if a run was due during its sleep', async () => {
  void loop([done(8 * 3_600_000)])
  await advance(60_000)
  clock.jump(10 * 3_600_000)
  await advance(15_000)
  expect(startedMs).toEqual([0, 75_000])
})

test('is not delayed by a clock that is set back', async () => {
  void loop([done(20_000)])
  await advance(5_000)
  clock.jump(-86_400_000)
  for (let step = 0; step < 3; step++) await advance(5_000)
  expect(startedMs).toEqual([0, 20_000])
})

test('backs off to five minutes at most, even if the interval is a day', async () => {
  void loop([done(86_400_000), ...Array.from({ length: 20 }, () => failed('SERVER_NOT_FOUND'))])
  for (let run = 0; run < 15; run++) await advance(run === 0 ? 86_400_000 : 300_000)
  expect(waits.at(-1)).toEqual([300_000, 'SERVER_NOT_FOUND'])
})

test('waits as long as a server that ended the session asks, and does not count that as a failure', async () => {
  void loop([failed('PEER_GONE'), failed('OUTSIDE_WINDOW', true, 7_200_000), failed('SERVER_STOPPING', true, 5), failed('PEER_GONE')])
  for (const waitMs of [1000, 7_200_000, 1000]) await advance(waitMs)
  await advance(0)
  expect(waits).toEqual([[1000, 'PEER_GONE'], [7_200_000, 'OUTSIDE_WINDOW'], [1000, 'SERVER_STOPPING'], [1000, 'PEER_GONE']])
})

test('ends with an error that another run cannot fix', async () => {
  const error = await loop([failed('PEER_GONE'), failed('IDENTITY_CHANGED', false)].slice(1))
  expect(error.code).toBe('IDENTITY_CHANGED')
  expect(waits).toEqual([])
})

test.each([done(60_000), failed('PEER_GONE')])('ends its wait after %j when it is aborted', async outcome => {
  const running = loop([outcome])
  await advance(0)
  stop.abort(new FileSyncError('ABORTED', 'Stopped on request.'))
  await expect(running).rejects.toEqual(expect.objectContaining({ code: 'ABORTED' }))
  expect([startedMs, clock.scheduled]).toEqual([[0], 0])
})
