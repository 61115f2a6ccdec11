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

/** Waits until the code under test waits for the clock. */
async function waiting (clock: ManualClock): Promise<void> {
  while (clock.scheduled === 0) await new Promise(resolve => { setImmediate(resolve) })
}

/** Advances the clock whenever something waits for it, until the work is done. */
async function advancing<T> (clock: ManualClock, work: Promise<T>, beforeAdvance: () => void = () => { /* nothing */ }): Promise<T> {
  let done = false
  const watched = work.finally(() => { done = true })
  for (; !done; await new Promise(resolve => { setImmediate(resolve) })) {
    if (clock.scheduled === 0) continue
    beforeAdvance()
    clock.advance(1_000)
  }
  return await watched
}

describe('a file that was written to recently', () => {
  test('an unsettled file is listed, so that it does not look deleted, but is marked and explained', async () => {
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

  test('a scan waits on request for a file to settle', async () => {
    const root = scratch()
    write(root, { 'quiet/file': 'x' })
    writeFileSync(join(root, 'written'), 'first')
    const clock = new ManualClock(Date.now())
    const scanner = await open(root, { clock })
    const scanning = scanner.scan({ signal, waitForSettled: true })
    await waiting(clock)
    appendFileSync(join(root, 'written'), ' second')
    const snapshot = await advancing(clock, scanning)
    expect(snapshot.unsettledCount).toBe(0)
    expect(entries(snapshot).get('written')).toMatchObject({ sizeBytes: 12 })
  })

  test('one scan waits for a file that is still being written to', async () => {
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
    const snapshot = await advancing(clock, scanning)
    expect(entries(snapshot).get('copied')).toMatchObject({ sizeBytes: 16 * 'part '.length })
    expect(snapshot.isUnsettled('copied' as RelativePath)).toBe(false)
    expect(snapshot).toMatchObject({ unsettledCount: 0, problemCount: 0, complete: true })
    // 1.5 s of writing and 2 s to settle, and at most one advance of the clock more.
    expect(clock.monotonicMs()).toBeGreaterThanOrEqual(3_500)
    expect(clock.monotonicMs()).toBeLessThan(5_000)
  })

  test('a file that does not settle in time is growing: its listed size is to be stored', async () => {
    const root = scratch()
    const log = join(root, 'log')
    writeFileSync(log, 'x')
    const clock = new ManualClock(Date.now())
    const startMs = clock.monotonicMs()
    const scanner = await open(root, { clock, settleWaitMs: 10_000 })
    const snapshot = await advancing(clock, scanner.scan({ signal, waitForSettled: true }), () => {
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

  test('a file that is unsettled at every scan is growing after five minutes, and again five minutes later', async () => {
    const root = scratch()
    // A whole second: the system takes times as doubles, and a time that is rounded up would be in the future.
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
      const code = snapshot.growing.has('log' as RelativePath) ? 'GROWING' : 'UNSETTLED'
      expect(problems(snapshot).sort()).toEqual([`log ${code}`, `new at ${String(minute)} UNSETTLED`])
    }
    expect(growing).toEqual([5, 10])
    // After it has settled, the time starts again.
    clock.advance(60_000)
    expect((await scanner.scan({ signal })).unsettledCount).toBe(0)
    utimesSync(join(root, 'log'), clock.nowMs() / 1000, clock.nowMs() / 1000)
    expect((await scanner.scan({ signal })).growing.size).toBe(0)
  })

  test('waiting for a file to settle can be aborted', async () => {
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

  test('a copy with an old mtime, as cp -p makes it, is settled', async () => {
    const root = scratch()
    write(root, { copied: 'x' })
    const scanner = await open(root)
    expect((await scanner.scan({ signal })).problemCount).toBe(0)
  })
})

describe('settlesInMs', () => {
  const nowMs = 1_700_000_000_000
  const at = (mtimeMs: number, ctimeMs = mtimeMs): Parameters<typeof settlesInMs>[0] => ({ mtimeMs, ctimeMs })

  test('uses the mtime', () => {
    expect(settlesInMs(at(nowMs - 2_000), nowMs, 2_000)).toBeUndefined()
    expect(settlesInMs(at(nowMs - 1_500), nowMs, 2_000)).toBe(500)
    expect(settlesInMs(at(nowMs - 9_000, nowMs), nowMs, 2_000)).toBeUndefined()
  })

  test('uses the ctime if the mtime is in the future', () => {
    expect(settlesInMs(at(nowMs + 86_400_000, nowMs - 2_000), nowMs, 2_000)).toBeUndefined()
    expect(settlesInMs(at(nowMs + 86_400_000, nowMs - 500), nowMs, 2_000)).toBe(1_500)
  })

  test('does not wait after the clock was set back', () => {
    expect(settlesInMs(at(nowMs + 3_600_000), nowMs, 2_000)).toBeUndefined()
    expect(settlesInMs(at(nowMs + 1_000), nowMs, 2_000)).toBe(3_000)
  })

  test('never counts a change within one tick of the clock as settled', () => {
    expect(settlesInMs(at(nowMs - 5), nowMs, 0)).toBe(15)
    expect(settlesInMs(at(nowMs - 20), nowMs, 0)).toBeUndefined()
  })
})
