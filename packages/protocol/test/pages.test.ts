import {
  compareNames, cutPages, decodeListing, encodeListing, encodeParts, isPageTable, joinPages, leafPages, LIMITS, listingDigest,
  ListingRequester, ListingResponder, PageTree, PartsDecoder, readPageTable, ROOT_PATH,
} from '@filesync/protocol'
import type { ArrivedListing, FileEntry, Name, Page, Tree } from '@filesync/protocol'
import { hashBytes } from '@filesync/protocol/node'
import { seededRandom } from '@filesync/protocol/testing'
import { describe, expect, it } from 'vitest'

const file = (name: string, sizeBytes = 1): FileEntry => ({
  kind: 'file', name: name as Name, sizeBytes, mtimeNs: 5n, mode: 0o644, fileId: 7n,
})
const numbered = (count: number, prefix = 'f'): FileEntry[] =>
  Array.from({ length: count }, (_, i) => file(prefix + String(i).padStart(7, '0')))

function treeOf (listing: Uint8Array): PageTree {
  return new PageTree([...leafPages(listing, hashBytes)], hashBytes)
}

/** A tree with one directory, its root. */
function flatTree (listing: Uint8Array): Tree {
  return {
    rootDigest: listingDigest(listing, hashBytes), files: 0, directories: 0, bytes: 0,
    listing: directory => directory === ROOT_PATH ? listing : undefined,
  }
}

/** What arrives if every page is requested whose digest is not known, with the number of bytes. */
function exchange (tree: Tree, known?: PageTree): { readonly leaves: ArrivedListing[], readonly bytes: number } {
  const questions = new ListingRequester(tree.rootDigest, hashBytes)
  const answers = new ListingResponder(tree, hashBytes)
  const leaves: ArrivedListing[] = []
  let bytes = 0
  for (let request = questions.nextRequest(); request !== undefined; request = questions.nextRequest()) {
    const parts = new PartsDecoder(LIMITS.pageBytes)
    for (const payload of encodeParts(answers.answer(request), LIMITS.rawFrameBytes)) {
      bytes += payload.length
      for (const whole of parts.push(payload)) takeIn(questions.accept(whole))
    }
  }
  for (const { number, directory, bytes: page } of leaves) {
    const entries = decodeListing(page)
    for (const index of [0, entries.length - 1]) {
      if (entries.length > 0) expect(answers.entry(number, index)).toEqual({ directory, entry: entries[index] })
    }
  }
  return { leaves, bytes }

  function takeIn (arrived: ArrivedListing): void {
    if (arrived.table === undefined) leaves.push(arrived)
    arrived.table?.pages.forEach((page, index) => { if (known?.find(page.digest) === undefined) questions.requestPage(arrived, index) })
  }
}

function ordered (leaves: readonly ArrivedListing[]): Uint8Array[] {
  return leaves.toSorted((a, b) => compareNames(a.page?.firstName ?? '', b.page?.firstName ?? '')).map(({ bytes }) => bytes)
}

describe('the pages of a listing', () => {
  it.each([0, 1, 127, LIMITS.pageEntries])('are one for %i entries, which is the listing itself', count => {
    const listing = encodeListing(numbered(count))
    const pages = [...leafPages(listing, hashBytes)]
    expect(pages).toEqual([{ firstName: count === 0 ? '' : 'f0000000', entries: count, digest: hashBytes(listing), bytes: listing }])
    expect(pages[0]?.bytes).toBe(listing)
    expect(listingDigest(listing, hashBytes)).toEqual(hashBytes(listing))
    expect(treeOf(listing).digest).toEqual(hashBytes(listing))
  })

  it('have from 128 to 1024 entries, and joined give the listing again', () => {
    for (const count of [LIMITS.pageEntries + 1, 5000, 40_000]) {
      const listing = encodeListing(numbered(count))
      const pages = [...leafPages(listing, hashBytes)]
      expect(pages.length).toBeGreaterThan(1)
      for (const { entries } of pages.slice(0, -1)) {
        expect(entries).toBeGreaterThanOrEqual(LIMITS.pageMinEntries)
        expect(entries).toBeLessThanOrEqual(LIMITS.pageEntries)
      }
      expect(joinPages(pages.map(({ bytes }) => bytes))).toEqual(listing)
      expect(pages.flatMap(({ bytes }) => decodeListing(bytes))).toEqual(decodeListing(listing))
      for (const { firstName, entries, bytes, digest } of pages) {
        expect(decodeListing(bytes)).toHaveLength(entries)
        expect(decodeListing(bytes)[0]?.name).toBe(firstName)
        expect(digest).toEqual(hashBytes(bytes))
      }
    }
  })

  it('have about 380 entries in the mean, for names of many kinds', () => {
    const kinds: ((i: number) => string)[] = [
      i => `IMG_${String(i).padStart(6, '0')}.JPG`, i => String(i).padStart(6, '0'),
      i => hashBytes(Uint8Array.of(i, i >> 8, i >> 16)).join(''),
      i => `Größe ${String(i)} 照片`, i => 'x'.repeat(i % 200) + String(i),
    ]
    for (const kind of kinds) {
      const names = [...new Set(Array.from({ length: 25_000 }, (_, i) => kind(i).slice(0, 100)))].sort(compareNames)
      const pages = [...cutPages(encodeListing(names.map(name => file(name))))]
      const mean = names.length / pages.length
      expect(mean).toBeGreaterThan(300)
      expect(mean).toBeLessThan(470)
    }
  })

  it('stay what they are but for a few when a name comes, goes or changes', () => {
    const seed = 260_131
    const random = seededRandom(seed)
    const entries = numbered(12_000)
    const before = new Set([...leafPages(encodeListing(entries), hashBytes)].map(({ digest }) => digest.join()))
    for (let round = 0; round < 18; round++) {
      const at = random.below(entries.length)
      const changed = [
        entries.toSpliced(at, 0, file(`${entries[at]?.name ?? ''}x`)).sort((a, b) => compareNames(a.name, b.name)),
        entries.toSpliced(at, 1),
        entries.with(at, file(entries[at]?.name ?? '', 2)),
      ][round % 3] ?? []
      const other = [...leafPages(encodeListing(changed), hashBytes)].filter(({ digest }) => !before.has(digest.join()))
      expect(other.length, `seed ${String(seed)}, round ${String(round)}`).toBeLessThanOrEqual(4)
      expect(other.length).toBeGreaterThan(0)
    }
  })

  it('are under several levels of tables if there are many', () => {
    const digest = hashBytes(new Uint8Array(0))
    const leaves: Page[] = numbered(70_000).map(({ name }) => ({ firstName: name, entries: 128, digest }))
    const { levels, top } = new PageTree(leaves, hashBytes)
    expect(levels).toHaveLength(3)
    expect(top).toMatchObject({ entries: 70_000 * 128, leafFrom: 0, leafTo: 70_000, level: 2 })
    for (const [below = [], level = []] of [[levels[0], levels[1]], [levels[1], levels[2]]]) {
      expect(level.flatMap(({ from, to }) => below.slice(from, to))).toEqual(below)
      for (const { to, from } of level.slice(0, -1)) expect(to - from).toBeGreaterThanOrEqual(LIMITS.pageMinEntries)
      for (const { to, from } of level) expect(to - from).toBeLessThanOrEqual(LIMITS.pageEntries)
    }
  })
})

describe('the exchange of pages', () => {
  it('transfers every page of a large directory, and its entries are named by page', () => {
    const listing = encodeListing(numbered(50_000))
    const { leaves } = exchange(flatTree(listing))
    expect(leaves.length).toBe(treeOf(listing).levels[0]?.length)
    expect(joinPages(ordered(leaves))).toEqual(listing)
  })

  it('transfers less than 100 kB if one of 500,000 files changed', { timeout: 60_000 }, () => {
    const entries = numbered(500_000)
    const before = treeOf(encodeListing(entries))
    entries[250_000] = file(entries[250_000]?.name ?? '', 2)
    const { leaves, bytes } = exchange(flatTree(encodeListing(entries)), before)
    expect(leaves).toHaveLength(1)
    expect(bytes).toBeLessThan(100_000)
  })

  it('takes the pages of a tree that has them', () => {
    const listing = encodeListing(numbered(3000))
    const pages = [...leafPages(listing, hashBytes)]
    const asked: number[] = []
    const tree: Tree = {
      ...flatTree(listing),
      listing: () => { throw new Error('the whole listing is not needed') },
      pages: () => ({
        tree: new PageTree(pages, hashBytes),
        leaf: index => {
          asked.push(index)
          return pages[index]?.bytes ?? new Uint8Array(0)
        },
      }),
    }
    expect(joinPages(ordered(exchange(tree).leaves))).toEqual(listing)
    expect(new Set(asked).size).toBe(pages.length)
  })
})

describe('a page table', () => {
  it('differs from a listing by its first item', () => {
    const listing = encodeListing(numbered(3000))
    const tree = treeOf(listing)
    const table = tree.table(1, 0)
    expect([isPageTable(table), isPageTable(listing), isPageTable(encodeListing([]))]).toEqual([true, false, false])
    expect(readPageTable(table)).toEqual([...leafPages(listing, hashBytes)].map(({ firstName, entries, digest }) => ({
      firstName, entries, digest: new Uint8Array(digest),
    })))
    expect(() => decodeListing(table)).toThrow('malformed')
    expect(() => readPageTable(listing)).toThrow()
  })
})
