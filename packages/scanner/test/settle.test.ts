import { appendFileSync, utimesSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { FileSyncError } from '@filesync/protocol'
import type { RelativePath } from '@filesync/protocol'
import { ManualClock } from '@filesync/protocol/testing'
import { describe, expect, test } from 'vitest'
import { settlesInMs } from '../src/settle.ts'
import { open, scratch, write } from './support/fixture.ts'
import { entries, paths, problems } from './support/tree-text.ts'

const signal = AbortSignal.timeout(30_000)

/** Waits until somebody waits on the clock: what is under test has come to its wait by itself. */
async function waiting (clock: ManualClock): Promise<void> {
  while (clock.scheduled === 0) await new Promise(resolve => { setImmediate(resolve) })
}

/** Turns the clock whenever somebody waits on it, until the work is done. */
async function turning<T> (clock: ManualClock, work: Promise<T>, beforeTurn: () => void = () => { /* nothing */ }): Promise<T> {
  let done = false
  const watched = work.finally(() => { done = true })
  for (; !done; await new Promise(resolve => { setImmediate(resolve) })) {
    if (clock.scheduled === 0) continue
    beforeTurn()
    clock.advance(1_000)
  }
  return await watched
}

describe('a file that was changed a moment ago', () => {
  test('is listed, so that it does not look deleted, but marked and explained', async () => {
    const root = scratch()
    write(root, { 'quiet/file': 'x' })
    writeFileSync(join(root, 'growing'), 'half')
    const clock = new ManualClock(Date.now())
    const scanner = await open(root, { clock })
    const snapshot = await scanner.scan({ signal })
    expect(paths(snapshot)).toContain('growing')
    expect(problems(snapshot)).toEqual(['growing UNSETTLED'])
    expect(snapshot.isUnsettled('growing' as RelativePath)).toBe(true)
    expect(snapshot.isUnsettled('quiet/file' as RelativePath)).toBe(false)
    expect(snapshot).toMatchObject({ complete: true, unsettledCount: 1 })
    expect(scanner.explain('growing' as RelativePath)).toMatchObject({ state: 'unsettled', problem: { code: 'UNSETTLED' } })

    clock.advance(2_100)
    const later = await scanner.scan({ signal })
    expect(later.problemCount).toBe(0)
    expect(later.isUnsettled('growing' as RelativePath)).toBe(false)
    expect(scanner.explain('growing' as RelativePath)).toMatchObject({ state: 'listed', entry: { sizeBytes: 4 } })
  })

  test('is waited for on request', async () => {
    const root = scratch()
    write(root, { 'quiet/file': 'x' })
    writeFileSync(join(root, 'written'), 'first')
    const clock = new ManualClock(Date.now())
    const scanner = await open(root, { clock })
    const scanning = scanner.scan({ signal, waitForSettled: true })
    await waiting(clock)
    appendFileSync(join(root, 'written'), ' second')
    const snapshot = await turning(clock, scanning)
    expect(snapshot.unsettledCount).toBe(0)
    expect(entries(snapshot).get('written')).toMatchObject({ sizeBytes: 12 })
  })

  test('is waited for within one scan while it is still being written to', async () => {
    const root = scratch()
    write(root, { 'quiet/file': 'x' })
    const clock = new ManualClock(Date.now())
    const file = join(root, 'copied')
    const grow = (): void => {
      appendFileSync(file, 'part ')
      utimesSync(file, clock.nowMs() / 1000, clock.nowMs() / 1000)
    }
    grow()
    const scanner = await open(root, { clock })
    const scanning = scanner.scan({ signal, waitForSettled: true })
    await waiting(clock)
    for (let ms = 0; ms < 1_500; ms += 100) {
      clock.advance(100)
      grow()
    }
    const snapshot = await turning(clock, scanning)
    expect(entries(snapshot).get('copied')).toMatchObject({ sizeBytes: 16 * 'part '.length })
    expect(snapshot.isUnsettled('copied' as RelativePath)).toBe(false)
    expect(snapshot).toMatchObject({ unsettledCount: 0, problemCount: 0, complete: true })
    // 1.5 s of writing and 2 s of rest, and not more than a turn of the clock beyond.
    expect(clock.monotonicMs()).toBeGreaterThanOrEqual(3_500)
    expect(clock.monotonicMs()).toBeLessThan(5_000)
  })

  test('is waited for only so long: of one that never rests the beginning is to be stored', async () => {
    const root = scratch()
    const log = join(root, 'log')
    writeFileSync(log, 'x')
    const clock = new ManualClock(Date.now())
    const startMs = clock.monotonicMs()
    const scanner = await open(root, { clock, settleWaitMs: 10_000 })
    const snapshot = await turning(clock, scanner.scan({ signal, waitForSettled: true }), () => {
      const nextMs = clock.nowMs() + 999
      utimesSync(log, nextMs / 1000, nextMs / 1000)
    })
    expect(problems(snapshot)).toEqual(['log GROWING'])
    expect(snapshot.isUnsettled('log' as RelativePath)).toBe(true)
    expect([...snapshot.growing]).toEqual(['log'])
    expect(scanner.explain('log' as RelativePath)).toMatchObject({ state: 'unsettled', problem: { code: 'GROWING' } })
    expect(clock.monotonicMs() - startMs).toBeGreaterThanOrEqual(10_000)
    expect(clock.monotonicMs() - startMs).toBeLessThan(13_000)
  })

  test('and never rests between scans either is growing after five minutes, and again five minutes after that', async () => {
    const root = scratch()
    // At a whole second: the system takes times as doubles, and one that is rounded up would lie in the future.
    const clock = new ManualClock(Math.floor(Date.now() / 1000) * 1000)
    const scanner = await open(root, { clock })
    const growing: number[] = []
    for (let minute = 0; minute <= 11; minute++, clock.advance(60_000)) {
      appendFileSync(join(root, 'log'), 'line')
      writeFileSync(join(root, `new at ${String(minute)}`), 'x')
      for (const name of ['log', `new at ${String(minute)}`]) utimesSync(join(root, name), clock.nowMs() / 1000, clock.nowMs() / 1000)
      const snapshot = await scanner.scan({ signal })
      expect(snapshot.unsettledCount).toBe(2)
      if (snapshot.growing.size > 0) growing.push(minute)
      expect(problems(snapshot).sort()).toEqual([`log ${snapshot.growing.has('log' as RelativePath) ? 'GROWING' : 'UNSETTLED'}`, `new at ${String(minute)} UNSETTLED`])
    }
    expect(growing).toEqual([5, 10])
    // Once it has rested, the time begins again.
    clock.advance(60_000)
    expect((await scanner.scan({ signal })).unsettledCount).toBe(0)
    utimesSync(join(root, 'log'), clock.nowMs() / 1000, clock.nowMs() / 1000)
    expect((await scanner.scan({ signal })).growing.size).toBe(0)
  })

  test('that is waited for can be given up', async () => {
    const root = scratch()
    writeFileSync(join(root, 'new'), 'x')
    const clock = new ManualClock(Date.now())
    const scanner = await open(root, { clock })
    const stop = new AbortController()
    const scanning = scanner.scan({ signal: stop.signal, waitForSettled: true })
    await waiting(clock)
    stop.abort(new FileSyncError('ABORTED', 'stopped'))
    await expect(scanning).rejects.toMatchObject({ code: 'ABORTED' })
  })

  test('with an old time set on it, as cp -p does, counts as quiet', async () => {
    const root = scratch()
    write(root, { copied: 'x' })
    const scanner = await open(root)
    expect((await scanner.scan({ signal })).problemCount).toBe(0)
  })
})

describe('the rule', () => {
  const nowMs = 1_700_000_000_000
  const at = (mtimeMs: number, ctimeMs = mtimeMs): Parameters<typeof settlesInMs>[0] => ({ mtimeMs, ctimeMs })

  test('goes by the mtime', () => {
    expect(settlesInMs(at(nowMs - 2_000), nowMs, 2_000)).toBeUndefined()
    expect(settlesInMs(at(nowMs - 1_500), nowMs, 2_000)).toBe(500)
    expect(settlesInMs(at(nowMs - 9_000, nowMs), nowMs, 2_000)).toBeUndefined()
  })

  test('goes by the ctime where the mtime lies in the future', () => {
    expect(settlesInMs(at(nowMs + 86_400_000, nowMs - 2_000), nowMs, 2_000)).toBeUndefined()
    expect(settlesInMs(at(nowMs + 86_400_000, nowMs - 500), nowMs, 2_000)).toBe(1_500)
  })

  test('does not wait for a clock that was set back', () => {
    expect(settlesInMs(at(nowMs + 3_600_000), nowMs, 2_000)).toBeUndefined()
    expect(settlesInMs(at(nowMs + 1_000), nowMs, 2_000)).toBe(3_000)
  })

  test('never trusts a change within one tick of the clock', () => {
    expect(settlesInMs(at(nowMs - 5), nowMs, 0)).toBe(15)
    expect(settlesInMs(at(nowMs - 20), nowMs, 0)).toBeUndefined()
  })
})
