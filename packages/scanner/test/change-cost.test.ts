import { leafPages, LIMITS, listingDigest, PageTree, ROOT_PATH, toHex } from '@filesync/protocol'
import type { RelativePath } from '@filesync/protocol'
import { hashBytes } from '@filesync/protocol/node'
import { ManualClock, seededRandom } from '@filesync/protocol/testing'
import { describe, expect, onTestFinished, test, vi } from 'vitest'
import type { DirectoryReader, DirectoryReading, ReadRequest } from '../src/directory-reading.ts'
import { DirtyDirectories } from '../src/dirty-directories.ts'
import { RuleSets } from '../src/rule-set.ts'
import type { NodeSnapshot } from '../src/snapshot.ts'
import { memoryScanner, MemoryTree } from '../src/testing/index.ts'
import { MemoryReader } from '../src/testing/memory-reader.ts'
import { walk } from '../src/walk.ts'
import type { WalkResult } from '../src/walk.ts'
import { changeTree, fill } from './support/random-tree-change.ts'
import { entries } from './support/tree-text.ts'

const NOW_MS = Date.UTC(2026, 0, 1)
const OLD_NS = BigInt(Date.UTC(2020, 0, 1)) * 1_000_000n

/** What one walk did. */
interface Work extends WalkResult {
  /** Entries that were looked up. */
  readonly stats: number
  readonly hashedBytes: number
}

/** Walks a tree in memory again and again, and counts. */
class CountedWalks {
  readonly tree = new MemoryTree(() => NOW_MS)
  readonly #ruleSets = new RuleSets()
  #last: WalkResult | undefined

  async walk (...changed: string[]): Promise<Work> {
    let stats = 0
    let hashedBytes = 0
    const dirty = new DirtyDirectories()
    for (const path of changed) dirty.markEvent(path as RelativePath)
    if (this.#last === undefined) dirty.markEverything()
    const inner = new MemoryReader(this.tree)
    const reader: DirectoryReader = {
      parallel: 1, hold: () => inner.hold(), releaseHandles: () => { inner.releaseHandles() },
      read: async (batch: readonly ReadRequest[]): Promise<readonly DirectoryReading[]> => {
        for (const { directory, named } of batch) stats += named?.names.length ?? this.tree.node(directory)?.children.size ?? 0
        return await inner.read(batch)
      },
    }
    const hash: typeof hashBytes = bytes => {
      hashedBytes += bytes.length
      return hashBytes(bytes)
    }
    const result = await walk({
      reader, hash, ruleSets: this.#ruleSets, rules: this.#ruleSets.none, settleMs: 0, previous: this.#last?.root, dirty, links: 'keep',
      excluded: [], omitted: new Map(), mounts: { isMarked: () => false, isAway: () => false },
    }, { signal: new AbortController().signal, nowMs: () => NOW_MS, onDirectory: () => { /* not shown */ } })
    this.#last = result
    return { ...result, stats, hashedBytes }
  }

  /** Totals of the last walk, and of one that takes nothing from it. */
  async totals (): Promise<[unknown, unknown]> {
    const last = this.#last
    const fresh = new CountedWalks()
    Object.assign(fresh.tree.root, this.tree.root)
    return [totalsOf(last), totalsOf(await fresh.walk())]
  }
}

function totalsOf (result: WalkResult | undefined): unknown {
  if (result === undefined) return undefined
  const { root: { files, directories, bytes, odd }, rootDigest } = result
  return { files, directories, bytes, odd, rootDigest: toHex(rootDigest) }
}

describe('one changed file', () => {
  test('in a tree of 20,000 directories is found by visiting the directories above it, and no others', async () => {
    const walks = new CountedWalks()
    for (let i = 0; i < 20_000; i++) walks.tree.write(`a${i % 5}/b${i % 20}/c${i}/file` as RelativePath, 'x', OLD_NS)
    expect(await walks.walk()).toMatchObject({ visited: 20_026, read: 20_026 })
    walks.tree.write('a3/b3/c13/file' as RelativePath, 'changed', OLD_NS)
    const work = await walks.walk('a3/b3/c13/file')
    // The root and a3 are passed through; b3 has the time of c13.
    expect(work).toMatchObject({ visited: 4, read: 2 })
    expect(work.hashedBytes).toBeLessThan(150_000)
    const [actual, expected] = await walks.totals()
    expect(actual).toEqual(expected)
  }, 40_000)

  test('in one of 20,000 directories beside each other costs two looks, and the pages that name the directory', async () => {
    const walks = new CountedWalks()
    for (let i = 0; i < 20_000; i++) walks.tree.write(`d${i}/file` as RelativePath, 'x', OLD_NS)
    const first = await walks.walk()
    walks.tree.write('d777/file' as RelativePath, 'changed', OLD_NS)
    const work = await walks.walk('d777/file')
    expect(work).toMatchObject({ visited: 2, read: 2, stats: 2 })
    expect(work.hashedBytes).toBeLessThan(first.hashedBytes / 10)
    const [before, after] = [first.root.large?.pages ?? [], work.root.large?.pages ?? []]
    expect(after.length).toBe(before.length)
    expect(before.filter((page, at) => page !== after[at]).length).toBe(1)
    const [actual, expected] = await walks.totals()
    expect(actual).toEqual(expected)
  }, 40_000)

  test('in a directory of 20,000 files costs a look at the file, whether it is changed, new, renamed or gone', async () => {
    const walks = new CountedWalks()
    fill(walks.tree, 'big', 20_000)
    await walks.walk()
    const check = async (looks: number, ...paths: string[]): Promise<void> => {
      const { stats, hashedBytes, root } = await walks.walk(...paths)
      // The root has only this directory, and is read for its time.
      expect(stats, paths.join()).toBe(looks + 1)
      expect(hashedBytes, paths.join()).toBeLessThan(300_000)
      expect(root.child('big' as never)?.large?.pages.length).toBeGreaterThan(20)
      const [actual, expected] = await walks.totals()
      expect(actual, paths.join()).toEqual(expected)
    }
    walks.tree.write('big/f777.txt' as RelativePath, 'longer than before', OLD_NS)
    await check(1, 'big/f777.txt')
    walks.tree.write('big/new' as RelativePath, 'x', OLD_NS)
    await check(1, 'big/new')
    walks.tree.rename('big/f123.txt' as RelativePath, 'big/z123.txt' as RelativePath)
    await check(2, 'big/f123.txt', 'big/z123.txt')
    walks.tree.remove('big/f19999.txt' as RelativePath)
    await check(1, 'big/f19999.txt')
  }, 40_000)
})

describe('a directory that is not read when single entries change', () => {
  const seed = Number(process.env['FILESYNC_SEED'] ?? Date.now() % 1e9)

  test(`is the same after thousands of random changes as if it were read whole (FILESYNC_SEED=${seed})`, async () => {
    const pick = seededRandom(seed).below
    const clock = new ManualClock(NOW_MS)
    const tree = new MemoryTree(() => clock.nowMs())
    fill(tree, 'big', 3_000)
    fill(tree, 'edge', LIMITS.pageEntries)
    fill(tree, 'small', 20)
    const scanner = memoryScanner({ tree, clock, hash: hashBytes })
    const stop = new AbortController()
    const batches = scanner.watch({ signal: stop.signal })[Symbol.asyncIterator]()
    onTestFinished(() => { stop.abort(new Error('over')) })
    await batches.next()
    await scanner.scan({ signal: stop.signal })
    const read = vi.spyOn(MemoryReader.prototype, 'read')
    onTestFinished(() => { read.mockRestore() })
    let looked = 0
    for (let round = 0; round < 60; round++) {
      const top = ['big', 'edge', 'small'][pick(3)] ?? ''
      // Few at a time, or so many that the directory is read whole.
      const changes = pick(20) === 0 ? 500 : 1 + pick(12)
      for (let i = 0; i < changes; i++) changeTree(tree, top, pick)
      const snapshot = await scanner.scan({ signal: stop.signal })
      const answers = await Promise.all(read.mock.results.map(({ value }) => value as Promise<DirectoryReading[]>))
      looked += answers.flat().filter(answer => answer.status === 'read' && answer.isOfNames === true).length
      const fresh = await memoryScanner({ tree, clock, hash: hashBytes }).scan({ signal: stop.signal })
      expect(describeSnapshot(snapshot), `round ${round}`).toEqual(describeSnapshot(fresh))
      if (round % 10 === 0) expect([...entries(snapshot)], `round ${round}`).toEqual([...entries(fresh)])
      expectPages(snapshot as NodeSnapshot)
      read.mockClear()
    }
    expect(looked).toBeGreaterThan(20)
  }, 120_000)
})

function describeSnapshot (snapshot: Awaited<ReturnType<ReturnType<typeof memoryScanner>['scan']>>): unknown {
  const { files, directories, bytes, complete, problemCount, problems, ignoredCount, unsettledCount, leftOut, rootDigest } = snapshot
  const odd = { complete, problemCount, problems, ignoredCount, unsettledCount, leftOut }
  return { files, directories, bytes, odd, rootDigest: toHex(rootDigest) }
}

/** The pages of large directories are those that their whole listings are cut into. */
function expectPages (snapshot: NodeSnapshot): void {
  for (const directory of [ROOT_PATH, ...['big', 'edge', 'small'] as RelativePath[]]) {
    const listing = snapshot.listing(directory) ?? new Uint8Array(0)
    const leaves = [...leafPages(listing, hashBytes)]
    const pages = snapshot.pages(directory)
    if (leaves.length === 1) {
      expect(pages, directory).toBeUndefined()
      continue
    }
    expect(pages?.tree.levels, directory).toEqual(new PageTree(leaves, hashBytes).levels)
    expect(leaves.map((_, at) => pages?.leaf(at)), directory).toEqual(leaves.map(({ bytes }) => bytes))
    expect(toHex(pages?.tree.digest ?? hashBytes(new Uint8Array(0)))).toBe(toHex(listingDigest(listing, hashBytes)))
  }
}
