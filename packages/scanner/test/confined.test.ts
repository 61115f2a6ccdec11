import { renameSync, rmSync, symlinkSync, unlinkSync } from 'node:fs'
import { join } from 'node:path'
import { Worker } from 'node:worker_threads'
import type { RelativePath } from '@filesync/protocol'
import { describe, expect, onTestFinished, test, vi } from 'vitest'
import { ConfinedDirectories } from '../src/node/confined-directories.ts'
import { open, scratch, write } from './support/fixture.ts'
import { entries } from './support/tree-text.ts'

const HOUR_MS = 3_600_000

/** A tree and a place outside of it that has the same names, but other sizes. */
function twoPlaces (): { readonly root: string, readonly outside: string } {
  const place = scratch()
  const root = join(place, 'root')
  const outside = join(place, 'outside')
  write(root, { 'a/b/file': 'x' })
  write(outside, { 'b/file': 'outside', file: 'outside' })
  return { root, outside }
}

function exchange (directory: string, target: string): void {
  renameSync(directory, `${directory}-away`)
  symlinkSync(target, directory)
}

function exchangeBack (directory: string): void {
  unlinkSync(directory)
  renameSync(`${directory}-away`, directory)
}

/** Makes what was just created count as old, so that plain paths are trusted. */
function anHourLater (): void {
  vi.useFakeTimers({ now: Date.now() + HOUR_MS, toFake: ['Date'] })
  onTestFinished(() => { vi.useRealTimers() })
}

describe.each([
  ['by descriptor', true], ['by looking twice', false],
])('a walk confined %s', (_name, byDescriptor) => {
  const confined = (root: string): ConfinedDirectories => new ConfinedDirectories(root, byDescriptor)

  test('reads a directory', () => {
    const { root } = twoPlaces()
    const directories = confined(root)
    onTestFinished(() => { directories.close() })
    expect(directories.read('a/b' as RelativePath, directory => [directory.names(), directory.stat('file')?.sizeBytes])).toEqual([['file'], 1])
    expect(directories.read('' as RelativePath, directory => directory.names())).toEqual(['a'])
  })

  test.each(['is gone', 'is a link that leads nowhere'])('keeps the file ids of all files when the first one %s after it was looked at', now => {
    const { root } = twoPlaces()
    const path = join(root, 'a/b/file')
    write(root, { 'a/b/other': 'x' })
    const directories = confined(root)
    onTestFinished(() => { directories.close() })
    const kept = directories.read('a/b' as RelativePath, directory => {
      const first = directory.stat('file')
      unlinkSync(path)
      if (now !== 'is gone') symlinkSync('nowhere', path)
      const isFirst = first !== undefined && directory.hasStableInode('file', first)
      const other = directory.stat('other')
      return [isFirst, other !== undefined && directory.hasStableInode('other', other)]
    })
    expect(kept).toEqual([true, true])
  })

  test('does not go through a link', () => {
    const { root, outside } = twoPlaces()
    exchange(join(root, 'a'), outside)
    const directories = confined(root)
    onTestFinished(() => { directories.close() })
    for (const path of ['a', 'a/b']) expect(() => directories.read(path as RelativePath, directory => directory.names())).toThrow(/ENOTDIR|ELOOP/u)
  })

  test.each(['a', 'a/b'])('is not led out when %s is exchanged for a link while it is read, nor when it is put back', path => {
    for (const isQuiet of [true, false]) for (const isPutBack of [true, false]) {
      const { root, outside } = twoPlaces()
      if (isQuiet) anHourLater()
      const directories = confined(root)
      let times = 0
      const sizes: unknown[] = []
      const read = (): unknown => directories.read('a/b' as RelativePath, directory => {
        if (times++ === 0) exchange(join(root, path), path === 'a' ? outside : join(outside, 'b'))
        const size = directory.stat('file')?.sizeBytes
        if (times === 1 && isPutBack) exchangeBack(join(root, path))
        sizes.push(size)
        return size
      })
      let result: unknown
      try { result = read() } catch { result = 'gone' }
      vi.useRealTimers()
      directories.close()
      // Looking twice cannot see what was put back; that is what descriptors are for.
      if (byDescriptor || !isPutBack) expect([1, 'gone']).toContain(result)
      if (byDescriptor && isQuiet) expect(sizes[0]).toBe(7)
    }
  })
})

test('lets go of directories, so that their disk can be unmounted', () => {
  const { root } = twoPlaces()
  const directories = new ConfinedDirectories(root, true)
  const place = directories.read('a/b' as RelativePath, directory => directory.path)
  expect(place).toBe('a/b')
  directories.close()
  rmSync(root, { recursive: true })
  expect(() => directories.read('' as RelativePath, directory => directory.names())).toThrow(/ENOENT/u)
})

test('a scan never lists what lies outside while a directory and a link are exchanged all the time', async () => {
  const { root, outside } = twoPlaces()
  for (let i = 0; i < 50; i++) {
    write(root, { [`a/b/f${i}`]: 'x' })
    write(outside, { [`b/f${i}`]: 'outside' })
  }
  // While the directory has no name at all, the root must not look emptied.
  write(root, { stays: '' })
  const stop = new Int32Array(new SharedArrayBuffer(8))
  const exchanger = new Worker(`
    const { renameSync, symlinkSync, unlinkSync } = require('node:fs')
    const { workerData: { directory, target, stop } } = require('node:worker_threads')
    for (; Atomics.load(stop, 0) === 0; Atomics.add(stop, 1, 1)) {
      renameSync(directory, directory + '-away'); symlinkSync(target, directory); unlinkSync(directory); renameSync(directory + '-away', directory)
    }`, { eval: true, workerData: { directory: join(root, 'a'), target: outside, stop } })
  const ended = new Promise(resolve => { exchanger.once('exit', resolve) })
  const scanner = await open(root, { settleMs: 0 })
  let listed = 0
  try {
    for (let i = 0; i < 30 || Atomics.load(stop, 1) < 30 || listed === 0; i++) {
      const snapshot = await scanner.scan({ signal: AbortSignal.timeout(20_000) })
      for (const [path, entry] of entries(snapshot)) if (entry.kind === 'file' && path.includes('/b/')) {
        listed++
        expect(entry.sizeBytes).toBe(1)
      }
    }
  } finally {
    Atomics.store(stop, 0, 1)
    await ended
  }
  expect(listed).toBeGreaterThan(0)
}, 40_000)
