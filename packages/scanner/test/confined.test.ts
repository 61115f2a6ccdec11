import { renameSync, rmSync, symlinkSync, unlinkSync } from 'node:fs'
import { join } from 'node:path'
import { Worker } from 'node:worker_threads'
import type { RelativePath } from '@filesync/protocol'
import { describe, expect, onTestFinished, test, vi } from 'vitest'
import { ConfinedDirectories } from '../src/node/confined-directories.ts'
import { open, scratch, write } from './support/fixture.ts'
import { entries } from './support/tree-text.ts'

const HOUR_MS = 3_600_000

/** A tree, and a directory outside of it that has the same names but other sizes. */
function treeAndOutside (): { readonly root: string, readonly outside: string } {
  const folder = scratch()
  const root = join(folder, 'root')
  const outside = join(folder, 'outside')
  write(root, { 'a/b/file': 'x' })
  write(outside, { 'b/file': 'outside', file: 'outside' })
  return { root, outside }
}

function replaceByLink (directory: string, target: string): void {
  renameSync(directory, `${directory}-away`)
  symlinkSync(target, directory)
}

function putBack (directory: string): void {
  unlinkSync(directory)
  renameSync(`${directory}-away`, directory)
}

/** Sets the clock forward, so that what was just created counts as old and plain paths are trusted. */
function anHourLater (): void {
  vi.useFakeTimers({ now: Date.now() + HOUR_MS, toFake: ['Date'] })
  onTestFinished(() => { vi.useRealTimers() })
}

describe.each([
  ['by descriptor', true], ['by lstat', false],
])('a walk that is confined %s', (_name, byDescriptor) => {
  const confined = (root: string): ConfinedDirectories => new ConfinedDirectories(root, byDescriptor)

  test('reads a directory', () => {
    const { root } = treeAndOutside()
    const directories = confined(root)
    onTestFinished(() => { directories.close() })
    const found = directories.read('a/b' as RelativePath, directory => [directory.names(), directory.stat('file')?.sizeBytes])
    expect(found).toEqual([['file'], 1])
    expect(directories.read('' as RelativePath, directory => directory.names())).toEqual(['a'])
  })

  test.each(['is gone', 'is a dangling link'])('keeps the file ids of all files if the first one %s after its lstat', now => {
    const { root } = treeAndOutside()
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

  test('does not follow a link', () => {
    const { root, outside } = treeAndOutside()
    replaceByLink(join(root, 'a'), outside)
    const directories = confined(root)
    onTestFinished(() => { directories.close() })
    for (const path of ['a', 'a/b']) {
      expect(() => directories.read(path as RelativePath, directory => directory.names())).toThrow(/ENOTDIR|ELOOP/u)
    }
  })

  test.each(['a', 'a/b'])('does not leave the tree if %s is replaced by a link while it is read, even if it is put back', path => {
    for (const isQuiet of [true, false]) for (const isPutBack of [true, false]) {
      const { root, outside } = treeAndOutside()
      if (isQuiet) anHourLater()
      const directories = confined(root)
      let times = 0
      const sizes: unknown[] = []
      const read = (): unknown => directories.read('a/b' as RelativePath, directory => {
        if (times++ === 0) replaceByLink(join(root, path), path === 'a' ? outside : join(outside, 'b'))
        const size = directory.stat('file')?.sizeBytes
        if (times === 1 && isPutBack) putBack(join(root, path))
        sizes.push(size)
        return size
      })
      let result: unknown
      try { result = read() } catch { result = 'gone' }
      vi.useRealTimers()
      directories.close()
      // Checking with lstat cannot detect a directory that was put back; descriptors can.
      if (byDescriptor || !isPutBack) expect([1, 'gone']).toContain(result)
      if (byDescriptor && isQuiet) expect(sizes[0]).toBe(7)
    }
  })
})

test('closes directories, so that their disk can be unmounted', () => {
  const { root } = treeAndOutside()
  const directories = new ConfinedDirectories(root, true)
  expect(directories.read('a/b' as RelativePath, directory => directory.path)).toBe('a/b')
  directories.close()
  rmSync(root, { recursive: true })
  expect(() => directories.read('' as RelativePath, directory => directory.names())).toThrow(/ENOENT/u)
})

test('a scan never lists what is outside while a directory is repeatedly replaced by a link', async () => {
  const { root, outside } = treeAndOutside()
  for (let i = 0; i < 50; i++) {
    write(root, { [`a/b/f${i}`]: 'x' })
    write(outside, { [`b/f${i}`]: 'outside' })
  }
  // The root must not look emptied while the directory is renamed.
  write(root, { stays: '' })
  const stop = new Int32Array(new SharedArrayBuffer(8))
  const replacer = new Worker(`
    const { renameSync, symlinkSync, unlinkSync } = require('node:fs')
    const { workerData: { directory, target, stop } } = require('node:worker_threads')
    for (; Atomics.load(stop, 0) === 0; Atomics.add(stop, 1, 1)) {
      renameSync(directory, directory + '-away'); symlinkSync(target, directory)
      unlinkSync(directory); renameSync(directory + '-away', directory)
    }`, { eval: true, workerData: { directory: join(root, 'a'), target: outside, stop } })
  const ended = new Promise(resolve => { replacer.once('exit', resolve) })
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
