import { mkdirSync, renameSync, rmSync, symlinkSync } from 'node:fs'
import { join } from 'node:path'
import { ListingWriter } from '@filesync/protocol'
import type { RelativePath } from '@filesync/protocol'
import { hashBytes, systemClock } from '@filesync/protocol/node'
import { ManualClock } from '@filesync/protocol/testing'
import { describe, expect, onTestFinished, test } from 'vitest'
import { memoryScanner, MemoryTree, scannerConformance } from '../src/testing/index.ts'
import type { ScannedTree } from '../src/testing/index.ts'
import type { DirectoryReader, DirectoryReading, ReadRequest } from '../src/directory-reading.ts'
import { IgnoreRules } from '../src/ignore-rules.ts'
import { ConfinedDirectories } from '../src/node/confined-directories.ts'
import { localRoot } from '../src/node/local-root.ts'
import { readDirectory } from '../src/read-directory.ts'
import { ruleFiles } from '../src/rule-set.ts'
import { TreeScanner } from '../src/tree-scanner.ts'
import { scratch, write } from './support/fixture.ts'
import { ManualWatcher } from './support/manual-watcher.ts'
import { problems } from './support/tree-text.ts'

const NOW_MS = Date.UTC(2026, 0, 1)
const YEARS_AGO_NS = BigInt(Date.UTC(2020, 0, 1)) * 1_000_000n

function inMemory (): ScannedTree {
  const tree = new MemoryTree(() => NOW_MS)
  return {
    scanner: memoryScanner({ tree, clock: new ManualClock(NOW_MS), hash: hashBytes }),
    hash: hashBytes,
    write: (path, text) => { tree.write(path as RelativePath, text, YEARS_AGO_NS) },
    makeDirectory: path => { tree.makeDirectory(path as RelativePath) },
    link: (path, target) => { tree.link(path as RelativePath, target) },
    rename: (from, to) => { tree.rename(from as RelativePath, to as RelativePath) },
    remove: path => { tree.remove(path as RelativePath) },
  }
}

/** Reads like a reader thread, without starting one for each case. */
function directReader (root: string, byDescriptor: boolean): DirectoryReader & { close (): Promise<void> } {
  const directories = new ConfinedDirectories(root, byDescriptor)
  const read = ({ directory, rules, named, ...request }: ReadRequest): DirectoryReading => {
    const writer = new ListingWriter()
    const context = {
      ...request, writer, rules: new IgnoreRules(ruleFiles(rules)),
      ...(named !== undefined && { named: { ...named, rules: new IgnoreRules(ruleFiles(named.rules)) } }),
    }
    const listed = directories.read(directory, opened => readDirectory(opened, context))
    return { ...listed, block: writer.flush() }
  }
  return {
    parallel: 1,
    read: async batch => batch.map(read),
    hold: () => () => { /* no process to keep alive */ },
    releaseHandles: () => { directories.close() },
    close: async () => { directories.close() },
  }
}

function onDisk (byDescriptor: boolean): ScannedTree {
  const root = scratch()
  const reader = directReader(root, byDescriptor)
  const watcher = new ManualWatcher()
  const scanner = new TreeScanner({ root: localRoot(root, undefined), reader, watcher, hash: hashBytes, clock: systemClock }, {
    settleMs: 0, settleWaitMs: 1_000, builtInRules: true, fullWalkMs: 1e9, fallbackWalkMs: 1e9, memory: undefined,
    links: 'keep', excluded: [],
  })
  onTestFinished(async () => { await scanner.close() })
  return {
    scanner,
    hash: hashBytes,
    write: (path, text) => { write(root, { [path]: text }) },
    makeDirectory: path => { mkdirSync(join(root, path), { recursive: true }) },
    link: (path, target) => { symlinkSync(target, join(root, path)) },
    rename: (from, to) => { renameSync(join(root, from), join(root, to)) },
    remove: path => { rmSync(join(root, path), { recursive: true }) },
  }
}

describe('a tree in memory', () => {
  test.each(scannerConformance)('$name', async conformance => { await conformance.run(inMemory()) })

  test('reports changes to a watch, and marks files that have not settled', async () => {
    const clock = new ManualClock(NOW_MS)
    const tree = new MemoryTree(() => clock.nowMs())
    tree.write('old' as RelativePath, 'x', YEARS_AGO_NS)
    const scanner = memoryScanner({ tree, clock, hash: hashBytes })
    const stop = new AbortController()
    const batches = scanner.watch({ signal: stop.signal })[Symbol.asyncIterator]()
    expect((await batches.next()).value).toMatchObject({ reason: 'start' })
    const before = await scanner.scan({ signal: stop.signal })
    tree.write('new/file' as RelativePath, 'y')
    const [batch, moving] = [batches.next(), await scanner.scan({ signal: stop.signal })]
    expect(moving.files).toBe(2)
    expect(['new/file', 'old'].map(path => moving.isUnsettled(path as RelativePath))).toEqual([true, false])
    clock.advance(2_100)
    expect((await batch).value).toMatchObject({ reason: 'changes' })
    const after = await scanner.scan({ signal: stop.signal })
    expect([before.files, after.files, after.unsettledCount]).toEqual([1, 2, 0])
    expect(await scanner.scan({ signal: stop.signal })).toBe(after)
    stop.abort(new Error('done'))
    await expect(batches.next()).rejects.toThrow('done')
  })

  test('fails to read the paths that were refused', async () => {
    const { scanner } = inMemory()
    await scanner.close()
    const tree = new MemoryTree(() => NOW_MS)
    for (const path of ['locked/file', 'file', 'open']) tree.write(path as RelativePath, '', YEARS_AGO_NS)
    tree.makeSpecial('pipe' as RelativePath)
    for (const path of ['locked', 'file']) tree.refuse(path as RelativePath, 'EACCES')
    const refused = memoryScanner({ tree, clock: new ManualClock(NOW_MS), hash: hashBytes })
    const snapshot = await refused.scan({ signal: AbortSignal.timeout(5_000) })
    expect(snapshot.complete).toBe(false)
    expect(problems(snapshot)).toEqual(['file UNREADABLE', 'locked UNREADABLE'])
    expect(snapshot.leftOut).toMatchObject({ first: [{ path: 'pipe', code: 'SPECIAL_FILE' }], count: 1 })
  })
})

describe.each([
  ['by descriptor', true], ['by path', false],
])('a local directory, read %s', (_name, byDescriptor) => {
  test.each(scannerConformance)('$name', async conformance => { await conformance.run(onDisk(byDescriptor)) })
})
