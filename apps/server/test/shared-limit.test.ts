import { describe, expect, test } from 'vitest'
import { wait } from '@filesync/protocol'
import { ManualClock } from '@filesync/protocol/testing'
import { SharedLimit } from '../src/schedule/shared-limit.ts'
import type { Flow } from '../src/schedule/shared-limit.ts'
import { settlePromises } from './support/time.ts'

const RATE = 1_000_000

/** Sends frames of one size, one after another, until the signal aborts. `bytes` counts what passed. */
function sender (
  flow: Flow, frameBytes: number, signal: AbortSignal, work: () => Promise<void> = async () => { /* none */ },
): { bytes: number } {
  const state = { bytes: 0 }
  const run = async (): Promise<void> => {
    for (;;) {
      await flow.take(frameBytes, signal)
      state.bytes += frameBytes
      await work()
    }
  }
  run().catch(() => { /* aborted */ })
  return state
}

async function pass (clock: ManualClock, seconds: number): Promise<void> {
  for (let step = 0; step < seconds * 200; step++) {
    clock.advance(5)
    await settlePromises()
  }
}

describe('a shared limit', () => {
  test('limits the sum of all flows, and is used fully', async () => {
    const clock = new ManualClock()
    const limit = new SharedLimit(RATE, clock)
    const stop = new AbortController()
    const senders = [30_000, 30_000, 30_000].map(bytes => sender(limit.open(), bytes, stop.signal))
    await pass(clock, 10)
    stop.abort()
    const sum = senders.reduce((total, { bytes }) => total + bytes, 0)
    expect(sum).toBeGreaterThan(10 * RATE * 0.95)
    expect(sum).toBeLessThan(10.5 * RATE + 3 * 30_000)
  })

  test('is split evenly by bytes, whatever the frame size', async () => {
    const clock = new ManualClock()
    const limit = new SharedLimit(RATE, clock)
    const stop = new AbortController()
    const [large, small] = [sender(limit.open(), 200_000, stop.signal), sender(limit.open(), 10_000, stop.signal)]
    await pass(clock, 10)
    stop.abort()
    expect(large.bytes / small.bytes).toBeGreaterThan(0.8)
    expect(large.bytes / small.bytes).toBeLessThan(1.25)
  })

  test('does not delay a flow of small frames by large frames of another', async () => {
    const clock = new ManualClock()
    const limit = new SharedLimit(RATE, clock)
    const stop = new AbortController()
    const large = sender(limit.open(), 200_000, stop.signal)
    const small = sender(limit.open(), 10_000, stop.signal, async () => { await wait(clock, 15, stop.signal) })
    await pass(clock, 10)
    stop.abort()
    // Whole frames would let one of ten thousand bytes through for each of two hundred thousand.
    expect(large.bytes / small.bytes).toBeLessThan(4)
  })

  test('is used by one flow alone while others are idle, and idle flows do not catch up', async () => {
    const clock = new ManualClock()
    const limit = new SharedLimit(RATE, clock)
    const stop = new AbortController()
    const idle = limit.open()
    const first = sender(limit.open(), 20_000, stop.signal)
    await pass(clock, 5)
    expect(first.bytes).toBeGreaterThan(4.8 * RATE)
    const [firstBefore, second] = [first.bytes, sender(idle, 20_000, stop.signal)]
    await pass(clock, 5)
    stop.abort()
    expect(second.bytes / (first.bytes - firstBefore)).toBeGreaterThan(0.8)
    expect(second.bytes / (first.bytes - firstBefore)).toBeLessThan(1.25)
  })

  test('drops a flow that is aborted, and continues with the others', async () => {
    const clock = new ManualClock()
    const limit = new SharedLimit(RATE, clock)
    const [gone, stop] = [new AbortController(), new AbortController()]
    await limit.open().take(10_000, gone.signal)
    const waiting = limit.open().take(1_000 * RATE, gone.signal)
    const stays = sender(limit.open(), 50_000, stop.signal)
    await settlePromises()
    gone.abort(new Error('gone'))
    await expect(waiting).rejects.toThrow('gone')
    await pass(clock, 3)
    stop.abort()
    expect(stays.bytes).toBeGreaterThan(1.8 * RATE)
  })
})
