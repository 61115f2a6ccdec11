import { ManualClock } from '@filesync/protocol/testing'
import { beforeEach, expect, test } from 'vitest'
import { RefusalLimit } from '../src/refusal-limit.ts'
import type { SuppressedRefusals } from '../src/refusal-limit.ts'

let clock: ManualClock
let limit: RefusalLimit
let leftOut: SuppressedRefusals[]
beforeEach(() => {
  clock = new ManualClock()
  leftOut = []
  limit = new RefusalLimit({ clock, onSuppressed: one => { leftOut.push(one) } })
})

test('a flood from one address leaves room for a line about another one', () => {
  for (let n = 0; n < 10_000; n++) limit.admit('192.0.2.1')
  expect(limit.admit('192.0.2.2')).toBe(0)
  expect(limit.admit('192.0.2.1')).toBeUndefined()
})

test('reports each refusal, or counts it in a later one for its address', () => {
  let counted = 0
  for (let n = 0; n < 500; n++) {
    clock.advance(1_000)
    const before = limit.admit('192.0.2.1')
    if (before !== undefined) counted += before + 1
  }
  limit.flush()
  expect(counted + leftOut.reduce((sum, { count }) => sum + count, 0)).toBe(500)
})

test('reports suppressed refusals once, a minute later, if no other follows', () => {
  for (let n = 0; n < 25; n++) limit.admit('192.0.2.1')
  for (let n = 0; n < 21; n++) limit.admit('192.0.2.2')
  clock.advance(59_999)
  expect(leftOut).toEqual([])
  clock.advance(1)
  expect(leftOut).toEqual([{ address: '192.0.2.1', count: 5 }, { address: '192.0.2.2', count: 1 }])
  clock.advance(600_000)
  expect(leftOut).toHaveLength(2)
  expect(clock.scheduled).toBe(0)
})

test('limits memory and reports for any number of addresses, and gives a quiet one its own allowance again', () => {
  let told = 0
  for (let n = 0; n < 50_000; n++) if (limit.admit(`2001:db8::${n.toString(16)}`) !== undefined) told++
  expect(told).toBe(64 + 20)
  limit.flush()
  expect(leftOut).toEqual([{ address: 'other addresses', count: 50_000 - told }])
  clock.advance(600_000)
  expect(limit.admit('192.0.2.9')).toBe(0)
  for (let n = 0; n < 30; n++) limit.admit('192.0.2.9')
  limit.flush()
  expect(leftOut.at(-1)).toEqual({ address: '192.0.2.9', count: 11 })
})
