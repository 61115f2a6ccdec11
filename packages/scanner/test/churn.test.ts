import { chmodSync, lstatSync, mkdirSync, renameSync, rmSync, symlinkSync, utimesSync, writeFileSync } from 'node:fs'
import type { Stats } from 'node:fs'
import { join } from 'node:path'
import { ROOT_PATH, toHex } from '@filesync/protocol'
import type { RelativePath } from '@filesync/protocol'
import { hashBytes, systemClock } from '@filesync/protocol/node'
import { describe, expect, onTestFinished, test } from 'vitest'
import { localRoot } from '../src/node/local-root.ts'
import { ReaderThreads } from '../src/node/reader-threads.ts'
import { TreeScanner } from '../src/tree-scanner.ts'
import type { TreeWatcher, WatchListener } from '../src/tree-watcher.ts'
import { open, plainDigest, scratch } from './fixture.ts'
import { entries } from './tree-text.ts'

const signal = AbortSignal.timeout(60_000)

/** Random numbers from a seed: mulberry32. */
function random (seed: number): (below: number) => number {
  let state = seed
  return below => {
    state = state + 0x6d2b79f5 | 0
    let mixed = Math.imul(state ^ state >>> 15, 1 | state)
    mixed = mixed + Math.imul(mixed ^ mixed >>> 7, 61 | mixed) ^ mixed
    return ((mixed ^ mixed >>> 14) >>> 0) % below
  }
}

function statOf (path: string): Stats | undefined {
  try {
    return lstatSync(path)
  } catch {
    return undefined
  }
}

/** Does something to a tree and tells which paths it touched. */
function change (root: string, pick: (below: number) => number): RelativePath[] {
  const name = (): string => `n${pick(6)}`
  const place = (): string => Array.from({ length: 1 + pick(4) }, name).join('/')
  const path = place()
  const full = join(root, path)
  const parent = join(full, '..')
  if (statOf(parent)?.isDirectory() !== true) return []
  const stat = statOf(full)
  const touched = [path as RelativePath]
  switch (pick(7)) {
    case 0: case 1:
      if (stat === undefined || stat.isFile()) {
        writeFileSync(full, 'x'.repeat(pick(2000)))
        utimesSync(full, 1_600_000_000 + pick(1e6), 1_600_000_000 + pick(1e6))
      }
      break
    case 2:
      if (stat === undefined) mkdirSync(full)
      break
    case 3:
      rmSync(full, { recursive: true, force: true })
      break
    case 4: {
      const target = place()
      const other = join(root, target)
      if (stat === undefined || statOf(other) !== undefined || statOf(join(other, '..'))?.isDirectory() !== true || other.startsWith(full)) break
      renameSync(full, other)
      touched.push(target as RelativePath)
      break
    }
    case 5:
      if (stat === undefined) symlinkSync(name(), full)
      break
    default:
      if (stat !== undefined && !stat.isSymbolicLink()) chmodSync(full, stat.isDirectory() ? 0o700 + pick(64) : pick(512))
  }
  return touched
}

/** A watch that is told by hand what a real one would tell. */
class ToldWatcher implements TreeWatcher {
  readonly capacity: number = 1_000_000
  listener: WatchListener | undefined
  subscribe (listener: WatchListener): Promise<() => Promise<void>> {
    this.listener = listener
    return Promise.resolve(async () => { this.listener = undefined })
  }
}

describe('after thousands of changes', () => {
  const seed = Number(process.env['FILESYNC_SEED'] ?? Date.now() % 1e9)

  test(`a watched picture that is read again in parts is that of a fresh walk (FILESYNC_SEED=${seed})`, async () => {
    const pick = random(seed)
    const root = scratch()
    writeFileSync(join(root, 'always'), '')
    const watcher = new ToldWatcher()
    const reader = new ReaderThreads(2, { root, byDescriptor: process.platform === 'linux' })
    const scanner = new TreeScanner({ root: localRoot(root, undefined), reader, watcher, hash: hashBytes, clock: systemClock }, {
      settleMs: 0, settleWaitMs: 1_000, builtInRules: true, fullWalkMs: 1e9, fallbackWalkMs: 1e9, memory: undefined,
    })
    const stop = new AbortController()
    const batches = scanner.watch({ signal: stop.signal })[Symbol.asyncIterator]()
    onTestFinished(async () => { await scanner.close() })
    expect((await batches.next()).value).toEqual({ reason: 'start', paths: 0 })
    for (let round = 0; round < 40; round++) {
      for (let i = 0; i < 100; i++) watcher.listener?.changed(change(root, pick))
      const snapshot = await scanner.scan({ signal, waitForSettled: true })
      expect(toHex(snapshot.rootDigest), `round ${round}`).toBe(plainDigest(root))
      const kinds = [...entries(snapshot).values()].map(entry => entry.kind)
      expect([snapshot.files, snapshot.directories]).toEqual([kinds.filter(kind => kind === 'file').length, kinds.filter(kind => kind === 'directory').length])
    }
    stop.abort(new Error('done'))
    await expect(batches.next()).rejects.toThrow('done')
  }, 40_000)

  test(`with scans under way all the time, the last picture is that of a fresh walk (FILESYNC_SEED=${seed})`, async () => {
    const pick = random(seed + 1)
    const root = scratch()
    writeFileSync(join(root, 'always'), '')
    const scanner = await open(root, { settleMs: 0 })
    for (let round = 0; round < 10; round++) {
      const scanning = scanner.scan({ signal })
      for (let i = 0; i < 200; i++) {
        change(root, pick)
        if (i % 20 === 0) await new Promise(resolve => { setImmediate(resolve) })
      }
      entries(await scanning)
    }
    const last = await scanner.scan({ signal, waitForSettled: true })
    expect(toHex(last.rootDigest)).toBe(plainDigest(root))
    expect(last.listing(ROOT_PATH)).toBeDefined()
  }, 40_000)
})
