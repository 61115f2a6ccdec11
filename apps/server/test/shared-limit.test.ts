import { describe, expect, test } from 'vitest'
import { wait } from '@filesync/protocol'
import { ManualClock } from '@filesync/protocol/testing'
import { SharedLimit } from '../src/schedule/shared-limit.ts'
import type { Flow } from '../src/schedule/shared-limit.ts'

const RATE = 1_000_000

async function settled (): Promise<void> {
  await new Promise(resolve => { setImmediate(resolve) })
}

/** Takes frames of one size, one behind the other, as long as the signal lasts; `bytes` counts what passed. */
function sender (flow: Flow, frameBytes: number, signal: AbortSignal, work: () => Promise<void> = async () => { /* none */ }): { bytes: number } {
  const state = { bytes: 0 }
  const run = async (): Promise<void> => {
    for (;;) {
      await flow.take(frameBytes, signal)
      state.bytes += frameBytes
      await work()
    }
  }
  run().catch(() => { /* it was stopped */ })
  return state
}

async function pass (clock: ManualClock, seconds: number): Promise<void> {
  for (let step = 0; step < seconds * 200; step++) {
    clock.advance(5)
    await settled()
  }
}

describe('a rate that is shared', () => {
  test('bounds the sum, and is used up', async () => {
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

  test('is split evenly by bytes, whatever the size of frames', async () => {
    const clock = new ManualClock()
    const limit = new SharedLimit(RATE, clock)
    const stop = new AbortController()
    const [large, small] = [sender(limit.open(), 200_000, stop.signal), sender(limit.open(), 10_000, stop.signal)]
    await pass(clock, 10)
    stop.abort()
    expect(large.bytes / small.bytes).toBeGreaterThan(0.8)
    expect(large.bytes / small.bytes).toBeLessThan(1.25)
  })

  test('does not make who is busy with each of its small frames wait for large ones', async () => {
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

  test('is all for one where the others want nothing, and nobody catches up on that', async () => {
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

  test('lets go of who is gone, and goes on with the others', async () => {
    const clock = new ManualClock()
    const limit = new SharedLimit(RATE, clock)
    const [gone, stop] = [new AbortController(), new AbortController()]
    await limit.open().take(10_000, gone.signal)
    const waiting = limit.open().take(1_000 * RATE, gone.signal)
    const stays = sender(limit.open(), 50_000, stop.signal)
    await settled()
    gone.abort(new Error('gone'))
    await expect(waiting).rejects.toThrow('gone')
    await pass(clock, 3)
    stop.abort()
    expect(stays.bytes).toBeGreaterThan(1.8 * RATE)
  })
})
