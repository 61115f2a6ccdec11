import { appendFileSync, mkdirSync, readFileSync, renameSync, rmSync, symlinkSync, utimesSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { toHex } from '@filesync/protocol'
import type { RelativePath } from '@filesync/protocol'
import { ManualClock } from '@filesync/protocol/testing'
import { describe, expect, onTestFinished, test } from 'vitest'
import type { ChangeBatch } from '@filesync/scanner'
import { ChangeWatch } from '../src/change-watch.ts'
import { DirtyDirectories } from '../src/dirty-directories.ts'
import { open, plainDigest, scratch, write } from './support/fixture.ts'
import { ManualWatcher, openWithManualWatcher } from './support/manual-watcher.ts'
import { paths } from './support/tree-text.ts'

const SETTLE_MS = 2_000

interface Started {
  readonly clock: ManualClock
  readonly watcher: ManualWatcher
  readonly watch: ChangeWatch
  readonly dirty: () => DirtyDirectories
  readonly scan: () => void
  readonly next: () => Promise<ChangeBatch>
}

function start (): Started {
  const clock = new ManualClock()
  const watcher = new ManualWatcher()
  let dirty = new DirtyDirectories()
  const watch = new ChangeWatch({
    watcher, clock, settleMs: SETTLE_MS, fullWalkMs: 900_000, fallbackWalkMs: 60_000, dirty: () => dirty,
    isIrrelevant: path => path.startsWith('own/'),
  })
  const stop = new AbortController()
  const batches = watch.run(stop.signal)
  onTestFinished(() => { stop.abort(new Error('over')) })
  return {
    clock, watcher, watch, dirty: () => dirty,
    scan () {
      dirty = new DirtyDirectories()
    },
    async next () {
      const step = await batches.next()
      if (step.done === true) throw new Error('the watch ended')
      return step.value
    },
  }
}

/** Lets the loop reach its wait. */
async function idle (): Promise<void> {
  for (let i = 0; i < 5; i++) await new Promise(resolve => { setImmediate(resolve) })
}

describe('a watch', () => {
  test('starts with a batch, and marks reported directories as dirty', async () => {
    const { clock, watcher, watch, dirty, scan, next } = start()
    expect(await next()).toEqual({ reason: 'start', paths: 0 })
    expect(watch.status).toEqual({ mode: 'watching', why: undefined })
    expect(dirty().everything).toBe(true)
    scan()
    const batch = next()
    await idle()
    watcher.report('a/b/file')
    expect(['a/b/file', 'a/b', 'a', ''].map(path => dirty().has(path as RelativePath))).toEqual([true, true, true, false])
    await idle()
    clock.advance(SETTLE_MS)
    expect(await batch).toEqual({ reason: 'changes', paths: 1 })
  })

  test('yields one batch for a burst of 10,000 changes', async () => {
    const { clock, watcher, scan, next } = start()
    await next()
    scan()
    const batch = next()
    for (let i = 0; i < 10; i++) {
      watcher.report(...Array.from({ length: 999 }, (_, at) => `d/f${i}-${at}`))
      await idle()
      clock.advance(140)
    }
    await idle()
    clock.advance(SETTLE_MS)
    expect(await batch).toEqual({ reason: 'changes', paths: 9_990 })
  })

  test('is neither delayed nor woken by a file that changes all the time', async () => {
    const { clock, watcher, scan, next } = start()
    await next()
    scan()
    let woken: ChangeBatch | undefined
    let batch = next().then(value => { woken = value })
    for (let ms = 0; ms < 60_000; ms += 500) {
      watcher.report('log')
      await idle()
      clock.advance(500)
    }
    await idle()
    expect(woken).toBeUndefined()
    watcher.report('document')
    const changedMs = clock.monotonicMs()
    while (woken === undefined) {
      await idle()
      clock.advance(500)
      watcher.report('log')
      await idle()
    }
    await batch
    expect(woken).toEqual({ reason: 'changes', paths: 1 })
    expect(clock.monotonicMs() - changedMs).toBeLessThanOrEqual(SETTLE_MS + 2_000)
    scan()
    woken = undefined
    batch = next().then(value => { woken = value })
    await idle()
    clock.advance(SETTLE_MS)
    await batch
    expect(woken).toEqual({ reason: 'changes', paths: 1 })
  })

  test('yields a batch for files that a scan found unsettled, even without further events', async () => {
    const { clock, watch, scan, next } = start()
    await next()
    scan()
    const batch = next()
    await idle()
    watch.expectSettled(['new' as RelativePath])
    await idle()
    clock.advance(SETTLE_MS)
    expect(await batch).toEqual({ reason: 'changes', paths: 1 })
  })

  test('reports missed changes until everything was walked', async () => {
    const { clock, watcher, watch, dirty, scan, next } = start()
    await next()
    scan()
    watch.scanCompleted()
    expect(watch.status).toEqual({ mode: 'watching', why: undefined })
    const batch = next()
    await idle()
    watcher.listener?.missed('Too much at once.')
    expect(dirty().everything).toBe(true)
    expect(watch.status).toEqual({ mode: 'watching', why: 'Too much at once.' })
    await idle()
    clock.advance(SETTLE_MS)
    expect(await batch).toMatchObject({ reason: 'changes' })
    scan()
    watcher.listener?.missed('Again, while it is walked.')
    watch.scanCompleted()
    expect(watch.status).toEqual({ mode: 'watching', why: 'Again, while it is walked.' })
    scan()
    watch.scanCompleted()
    expect(watch.status).toEqual({ mode: 'watching', why: undefined })
  })

  test('requests a full walk at a slow interval', async () => {
    const { clock, dirty, scan, next } = start()
    await next()
    scan()
    const batch = next()
    await idle()
    clock.advance(900_000)
    expect(await batch).toEqual({ reason: 'interval', paths: 0 })
    expect(dirty().everything).toBe(true)
  })

  test('falls back to walking if it is lost, reports that, and is resumed', async () => {
    const { clock, watcher, watch, scan, next } = start()
    await next()
    scan()
    const batch = next()
    await idle()
    watcher.refusal = 'no watches left'
    watcher.listener?.lost('The system stopped the watch.')
    expect(await batch).toEqual({ reason: 'lost', paths: 0 })
    expect(watch.status).toEqual({ mode: 'walking', why: 'The system stopped the watch.' })
    expect(watcher.listener).toBeUndefined()
    const second = next()
    await idle()
    clock.advance(60_000)
    expect(await second).toEqual({ reason: 'interval', paths: 0 })
    expect(watch.status).toEqual({ mode: 'walking', why: 'The folder cannot be watched: no watches left.' })
    watcher.refusal = undefined
    const third = next()
    await idle()
    clock.advance(60_000)
    await third
    expect(watch.status.mode).toBe('watching')
  })
})

describe('watching a real directory', () => {
  test('finds creations, changes, renames and deletions, reads only what changed, and reads nothing if nothing changed', async () => {
    const root = scratch()
    for (let i = 0; i < 500; i++) write(root, { [`d${i % 50}/f${i}`]: 'x' })
    const scanner = await open(root, { settleMs: 50 })
    const stop = new AbortController()
    const signal = AbortSignal.timeout(20_000)
    let read = 0
    const onProgress = (): void => { read++ }
    const batches = scanner.watch({ signal: stop.signal })[Symbol.asyncIterator]()
    expect((await batches.next()).value).toMatchObject({ reason: 'start' })
    await scanner.scan({ signal, onProgress })
    expect(read).toBe(51)
    expect(scanner.status).toEqual({ mode: 'watching', why: undefined })

    /** Scans on each batch until the snapshot equals a full walk. */
    const catchUp = async (): Promise<string[]> => {
      for (;;) {
        await batches.next()
        const snapshot = await scanner.scan({ signal, onProgress, waitForSettled: true })
        if (toHex(snapshot.rootDigest) === plainDigest(root)) return paths(snapshot)
      }
    }
    const changes: (() => void)[] = [
      () => { write(root, { 'd1/new': 'y', 'fresh/deep/file': 'z' }) },
      () => { appendFileSync(join(root, 'd2/f2'), 'more') },
      () => { renameSync(join(root, 'd3'), join(root, 'moved')) },
      () => { rmSync(join(root, 'd4'), { recursive: true }) },
      () => { write(root, { 'fresh/deep/again': '' }) },
    ]
    for (const change of changes) {
      read = 0
      change()
      await catchUp()
      expect(read).toBeLessThan(30)
    }
    const before = await scanner.scan({ signal })
    read = 0
    expect(await scanner.scan({ signal, onProgress })).toBe(before)
    expect(read).toBe(0)
    stop.abort(new Error('done'))
    await expect(batches.next()).rejects.toThrow('done')
    expect(scanner.status.mode).toBe('idle')
  }, 30_000)

  test('finds changes that were made in a directory while it had another name', async () => {
    const root = scratch()
    write(root, { 'd/deep/file': 'x', 'd/deep/er/file': 'x', 'other/file': 'x' })
    const { scanner, report } = await openWithManualWatcher(root)
    const signal = AbortSignal.timeout(20_000)
    await scanner.scan({ signal })
    renameSync(join(root, 'd'), join(root, 'away'))
    write(root, { 'away/deep/er/file': 'longer', 'away/deep/new': '' })
    renameSync(join(root, 'away'), join(root, 'd'))
    report(['d', 'away', 'away/deep/er/file', 'away/deep/new', 'away', 'd'])
    const snapshot = await scanner.scan({ signal, waitForSettled: true })
    expect(paths(snapshot)).toContain('d/deep/new')
    expect(toHex(snapshot.rootDigest)).toBe(plainDigest(root))
  })

  test('finds a change that was made through a symbolic link', async () => {
    const root = scratch()
    write(root, { 'dir/deep/file': 'x' })
    symlinkSync('dir', join(root, 'link'))
    const scanner = await open(root, { settleMs: 50 })
    const stop = new AbortController()
    onTestFinished(() => { stop.abort(new Error('over')) })
    const batches = scanner.watch({ signal: stop.signal })[Symbol.asyncIterator]()
    await batches.next()
    const signal = AbortSignal.timeout(20_000)
    await scanner.scan({ signal, waitForSettled: true })
    write(root, { 'link/deep/new': '' })
    let snapshot
    do {
      await batches.next()
      snapshot = await scanner.scan({ signal, waitForSettled: true })
    } while (toHex(snapshot.rootDigest) !== plainDigest(root))
    expect(paths(snapshot)).toContain('dir/deep/new')
  }, 20_000)

  test.runIf(process.platform === 'linux')('reports that the system dropped events, until everything was walked', async () => {
    const root = scratch()
    write(root, { 'busy/a': '', 'busy/b': '', 'other/file': '' })
    const scanner = await open(root, { settleMs: 50 })
    const stop = new AbortController()
    onTestFinished(() => { stop.abort(new Error('over')) })
    const batches = scanner.watch({ signal: stop.signal })[Symbol.asyncIterator]()
    await batches.next()
    const signal = AbortSignal.timeout(20_000)
    await scanner.scan({ signal, waitForSettled: true })
    // Two files in turn, because equal consecutive events are merged; the events after these are dropped.
    const queued = Number(readFileSync('/proc/sys/fs/inotify/max_queued_events', 'utf8'))
    const times = new Date('2021-01-02T03:04:05Z')
    for (let i = 0; i < queued; i++) utimesSync(join(root, 'busy', i % 2 === 0 ? 'a' : 'b'), times, times)
    write(root, { 'other/dropped': '' })
    expect(scanner.status).toEqual({ mode: 'watching', why: undefined })
    // A batch of earlier events may come first.
    do await batches.next(); while (scanner.status.why === undefined)
    expect(scanner.status).toEqual({ mode: 'watching', why: expect.stringContaining('may have dropped events') as string })
    expect(toHex((await scanner.scan({ signal, waitForSettled: true })).rootDigest)).toBe(plainDigest(root))
    expect(scanner.status).toEqual({ mode: 'watching', why: undefined })
  }, 20_000)

  test('detects that the directory was replaced by another one', async () => {
    const root = join(scratch(), 'root')
    write(root, { file: '' })
    const scanner = await open(root, { settleMs: 50 })
    const stop = new AbortController()
    onTestFinished(() => { stop.abort(new Error('over')) })
    const batches = scanner.watch({ signal: stop.signal })[Symbol.asyncIterator]()
    await batches.next()
    await scanner.scan({ signal: AbortSignal.timeout(10_000) })
    renameSync(root, `${root}-old`)
    mkdirSync(root)
    write(root, { other: '' })
    expect(paths(await scanner.scan({ signal: AbortSignal.timeout(10_000) }))).toEqual(['other'])
    expect((await batches.next()).value).toMatchObject({ reason: 'lost' })
    expect(scanner.status).toMatchObject({ mode: 'walking', why: expect.stringContaining('replaced') as string })
  }, 20_000)

  test('walks a directory that cannot be watched', async () => {
    const root = join(scratch(), 'root')
    write(root, { file: '' })
    const scanner = await open(root)
    rmSync(root, { recursive: true })
    const stop = new AbortController()
    const batches = scanner.watch({ signal: stop.signal })[Symbol.asyncIterator]()
    expect((await batches.next()).value).toMatchObject({ reason: 'start' })
    expect(scanner.status).toMatchObject({ mode: 'walking', why: expect.stringContaining('cannot be watched') as string })
    stop.abort(new Error('done'))
    await expect(batches.next()).rejects.toThrow('done')
    writeFileSync(root, '')
  })
})

test('an invalidated directory is read again by the next scan, even without an event', async () => {
  const root = scratch()
  write(root, { 'a/daily.0/file': 'one', 'a/new/file': 'two' })
  const { scanner } = await openWithManualWatcher(root)
  const signal = AbortSignal.timeout(20_000)
  const before = await scanner.scan({ signal })
  renameSync(join(root, 'a/daily.0'), join(root, 'a/daily.1'))
  renameSync(join(root, 'a/new'), join(root, 'a/daily.0'))
  expect(toHex((await scanner.scan({ signal })).rootDigest)).toBe(toHex(before.rootDigest))
  scanner.invalidate(['a/daily.0' as RelativePath])
  expect(toHex((await scanner.scan({ signal })).rootDigest)).toBe(plainDigest(root))
})
