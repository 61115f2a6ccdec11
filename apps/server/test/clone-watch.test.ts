import { ManualClock } from '@filesync/protocol/testing'
import { expect, test } from 'vitest'
import { CloneWatch } from '../src/status/clone-watch.ts'

const HOUR_MS = 3_600_000

/** Notes arrivals of one key, one hour apart, each as its mark and its address. */
function noteAll (...arrivals: readonly (readonly [mark: string | undefined, address: string])[]): (string | undefined)[] {
  const clock = new ManualClock()
  const watch = new CloneWatch(clock)
  return arrivals.map(([mark, address]) => {
    clock.advance(HOUR_MS)
    return watch.note('key', mark, address)
  })
}

test('two runs that alternate are noticed at the second return, from one address or from two', () => {
  expect(noteAll(['a', '10.0.0.1'], ['b', '10.0.0.2'], ['a', '10.0.0.1'], ['b', '10.0.0.2'], ['a', '10.0.0.1']))
    .toEqual([undefined, undefined, undefined, 'noticed', 'known'])
  expect(noteAll(['a', 'nat'], ['b', 'nat'], ['a', 'nat'], ['b', 'nat']).at(-1)).toBe('noticed')
})

const HARMLESS: readonly (readonly [why: string, arrivals: readonly (readonly [mark: string | undefined, address: string])[]])[] = [
  ['its address changes', [['a', '10.0.0.1'], ['a', 'fe80::1'], ['a', '10.0.0.1'], ['a', 'fe80::1']]],
  ['it restarts again and again', [['a', 'x'], ['b', 'x'], ['c', 'x'], ['d', 'x'], ['e', 'x']]],
  ['it reconnects while its old connection is open', [['a', 'x'], ['a', 'x'], ['a', 'x']]],
  ['an earlier version sends no mark', [['a', 'x'], [undefined, 'y'], ['a', 'x'], [undefined, 'y'], ['a', 'x']]],
  ['it moves to a new machine once', [['a', 'x'], ['a', 'x'], ['b', 'y'], ['b', 'y'], ['b', 'y']]],
  ['one mark returns a single time', [['a', 'x'], ['b', 'y'], ['a', 'x'], ['a', 'x']]],
]

test.each(HARMLESS)('nothing is raised if %s', (_, arrivals) => {
  expect(noteAll(...arrivals).every(noted => noted === undefined)).toBe(true)
})

test('returns a day apart raise nothing, and a clone is forgotten a day after its last return', () => {
  const clock = new ManualClock()
  const watch = new CloneWatch(clock)
  for (const mark of ['a', 'b', 'a', 'b', 'a', 'b']) {
    expect(watch.note('key', mark, 'x')).toBeUndefined()
    clock.advance(23 * HOUR_MS)
  }
  for (const mark of ['a', 'b', 'a', 'b']) watch.note('key', mark, `at ${mark}`)
  expect(watch.of('key')).toMatchObject({ addresses: ['at a', 'at b'] })
  expect(watch.of('other')).toBeUndefined()
  clock.advance(24 * HOUR_MS)
  expect(watch.of('key')).toBeUndefined()
  expect(watch.note('key', 'a', 'x')).toBeUndefined()
})

test('a client that sends a new mark each time fills no memory and raises nothing', () => {
  const watch = new CloneWatch(new ManualClock())
  for (let n = 0; n < 1000; n++) expect(watch.note('key', String(n), 'x')).toBeUndefined()
})
