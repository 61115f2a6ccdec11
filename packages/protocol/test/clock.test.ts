import { wait, waitThroughSleep } from '@filesync/protocol'
import { systemClock } from '@filesync/protocol/node'
import { ManualClock } from '@filesync/protocol/testing'
import { describe, expect, it } from 'vitest'

describe('wait', () => {
  it('resolves when the delay has elapsed, and not before', async () => {
    const clock = new ManualClock()
    let isOver = false
    const waiting = wait(clock, 100).then(() => { isOver = true })
    clock.advance(99)
    await Promise.resolve()
    expect(isOver).toBe(false)
    clock.advance(1)
    await waiting
    expect(clock.scheduled).toBe(0)
  })

  it('rejects with the reason if it is aborted before or during the wait, and leaves no timer', async () => {
    const clock = new ManualClock()
    const reason = new Error('enough')
    await expect(wait(clock, 100, AbortSignal.abort(reason))).rejects.toBe(reason)
    const stop = new AbortController()
    const waiting = wait(clock, 100, stop.signal)
    stop.abort(reason)
    await expect(waiting).rejects.toBe(reason)
    expect(clock.scheduled).toBe(0)
  })
})

describe('ManualClock', () => {
  it('calls due callbacks in order, including those scheduled meanwhile', () => {
    const clock = new ManualClock(1000)
    const called: string[] = []
    clock.schedule(20, () => called.push(`b at ${String(clock.monotonicMs())}`))
    clock.schedule(10, () => {
      called.push(`a at ${String(clock.monotonicMs())}`)
      clock.schedule(5, () => called.push(`c at ${String(clock.monotonicMs())}`))
    })
    const cancel = clock.schedule(12, () => called.push('never'))
    cancel()
    clock.advance(30)
    expect(called).toEqual(['a at 10', 'c at 15', 'b at 20'])
    expect(clock.nowMs()).toBe(1030)
  })

  it('jumps without affecting durations', () => {
    const clock = new ManualClock(1000)
    clock.jump(-500)
    expect([clock.nowMs(), clock.monotonicMs()]).toEqual([500, 0])
  })
})

describe('systemClock', () => {
  it('calls back unless it was cancelled', async () => {
    let cancelled = false
    systemClock.schedule(0, () => { cancelled = true })()
    await new Promise<void>(resolve => {
      // Unreferenced timers do not keep the process alive, so something else has to.
      const keep = setInterval(() => { /* only there */ }, 1000)
      systemClock.schedule(1, () => {
        clearInterval(keep)
        resolve()
      })
    })
    expect(cancelled).toBe(false)
    expect(systemClock.monotonicMs()).toBeGreaterThan(0)
  })
})

describe('waitThroughSleep', () => {
  const settled = async (): Promise<void> => { await new Promise(resolve => { setImmediate(resolve) }) }

  function waiting (clock: ManualClock, delayMs: number): { isOver: boolean } {
    const state = { isOver: false }
    void waitThroughSleep(clock, delayMs).then(() => { state.isOver = true })
    return state
  }

  it('resolves when the delay has elapsed, and not before', async () => {
    const clock = new ManualClock()
    const state = waiting(clock, 100_000)
    for (const [stepMs, isOver] of [[99_999, false], [1, true]] as const) {
      clock.advance(stepMs)
      await settled()
      expect(state.isOver).toBe(isOver)
    }
    expect(clock.scheduled).toBe(0)
  })

  it('ends soon after the machine has slept past its end', async () => {
    const clock = new ManualClock()
    const state = waiting(clock, 8 * 3_600_000)
    clock.jump(9 * 3_600_000)
    await settled()
    expect(state.isOver).toBe(false)
    clock.advance(15_000)
    await settled()
    expect(state.isOver).toBe(true)
  })

  it('is not prolonged by a wall clock that is set back', async () => {
    const clock = new ManualClock()
    const state = waiting(clock, 60_000)
    clock.jump(-86_400_000)
    for (let step = 0; step < 4; step++) {
      clock.advance(15_000)
      await settled()
    }
    expect(state.isOver).toBe(true)
  })
})
