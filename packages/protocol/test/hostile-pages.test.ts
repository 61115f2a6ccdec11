import {
  decodeListing,
  encodeListing,
  encodePageTable,
  leafPages,
  LIMITS,
  ListingRequester,
  ListingResponder,
  PageTree,
} from '@filesync/protocol'
import type { ArrivedListing, Digest, FileEntry, HashBytes, LeafPage, Name, Page, Tree } from '@filesync/protocol'
import { hashBytes } from '@filesync/protocol/node'
import { describe, expect, it } from 'vitest'
import { refusal } from './support/refusal.ts'

const file = (name: string): FileEntry => ({ kind: 'file', name: name as Name, sizeBytes: 1, mtimeNs: 0n, mode: 0o644, fileId: 0n })
const files = (from: number, to: number): FileEntry[] =>
  Array.from({ length: to - from }, (_, i) => file(`f${String(from + i).padStart(7, '0')}`))
const listing = encodeListing(files(0, 20_000))
const leaves: readonly LeafPage[] = [...leafPages(listing, hashBytes)]
const digest = hashBytes(new Uint8Array(1))

/** A requester at which a root arrived. */
function rootArrived (root: Uint8Array, hash: HashBytes = hashBytes): { questions: ListingRequester, root: ArrivedListing } {
  const questions = new ListingRequester(hash(root), hash)
  questions.nextRequest()
  return { questions, root: questions.accept({ number: 0, bytes: root }) }
}

/** The code for a root table of these items, or that for the page at `index` with these bytes. */
function pageCode (pages: readonly Page[], index: number, bytes: Uint8Array): string {
  return refusal(() => {
    const { questions, root } = rootArrived(encodePageTable(pages))
    questions.requestPage(root, index)
    questions.nextRequest()
    questions.accept({ number: 1, bytes })
  })
}

function rootCode (bytes: Uint8Array): string {
  return refusal(() => rootArrived(bytes))
}

const page = (bytes: Uint8Array, firstName: string, entries: number): Page => ({
  firstName: firstName as Name, entries, digest: hashBytes(bytes),
})

describe('a page', () => {
  it('is accepted as it is', () => {
    leaves.forEach(({ bytes }, index) => { expect(pageCode(leaves, index, bytes)).toBe('accepted') })
  })

  it('is refused with other bytes than announced', () => {
    const [first, second] = leaves
    expect(pageCode(leaves, 0, second?.bytes ?? new Uint8Array(0))).toBe('LISTING_MISMATCH')
    expect(pageCode(leaves, 1, first?.bytes ?? new Uint8Array(0))).toBe('LISTING_MISMATCH')
  })

  it('is refused if it is truncated at any byte, or has one more', () => {
    const bytes = leaves[0]?.bytes ?? new Uint8Array(0)
    const { questions, root } = rootArrived(encodePageTable(leaves.map(leaf => ({ ...leaf, digest }))), () => digest)
    questions.requestPage(root, 0)
    questions.nextRequest()
    const accept = (forged: Uint8Array): string => refusal(() => questions.accept({ number: 1, bytes: forged }))
    for (let length = 0; length < bytes.length; length++) expect(accept(bytes.subarray(0, length)), String(length)).toBe('LISTING_INVALID')
    expect(accept(Uint8Array.of(...bytes, 0))).toBe('LISTING_INVALID')
    expect(accept(bytes)).toBe('accepted')
  })

  it('is refused with another number of entries than announced', () => {
    const bytes = leaves[0]?.bytes ?? new Uint8Array(0)
    for (const entries of [1, (leaves[0]?.entries ?? 0) - 1, (leaves[0]?.entries ?? 0) + 1]) {
      expect(pageCode([page(bytes, 'f0000000', entries), ...leaves.slice(1)], 0, bytes)).toBe('LISTING_INVALID')
    }
    const empty = encodeListing([])
    expect(pageCode([page(empty, 'f0000000', 1), ...leaves.slice(1)], 0, empty)).toBe('LISTING_INVALID')
  })

  it('is refused with names that belong to its neighbors', () => {
    const whole = encodeListing(files(0, leaves[0]?.entries ?? 0))
    const early = encodeListing([file('e'), ...files(1, leaves[0]?.entries ?? 0)])
    const late = encodeListing([...files(0, (leaves[0]?.entries ?? 0) - 1), file('g')])
    const others = leaves.slice(1)
    const entries = leaves[0]?.entries ?? 0
    expect(pageCode([page(whole, 'f0000000', entries), ...others], 0, whole)).toBe('accepted')
    expect(pageCode([page(early, 'f0000000', entries), ...others], 0, early)).toBe('LISTING_INVALID')
    expect(pageCode([page(late, 'f0000000', entries), ...others], 0, late)).toBe('LISTING_INVALID')
  })

  it('is refused if it is cut elsewhere: too early, too late, or into tiny ones', () => {
    const at = leaves[0]?.entries ?? 0
    const cutAt = (first: number, from: number, to: number): string => {
      const bytes = encodeListing(files(from, to))
      const other = encodeListing(files(to, 20_000))
      const pages = [
        page(bytes, `f${String(from).padStart(7, '0')}`, to - from),
        page(other, `f${String(to).padStart(7, '0')}`, 20_000 - to),
      ]
      return pageCode(pages, first, bytes)
    }
    expect(cutAt(0, 0, at)).toBe('accepted')
    for (const to of [1, 2, 64, at - 1, at + 1, at + 200]) expect(cutAt(0, 0, to), String(to)).toBe('LISTING_INVALID')
  })

  it('is refused if it is longer than a page may be', () => {
    const bytes = encodeListing(files(0, LIMITS.pageEntries + 1))
    expect(pageCode([page(bytes, 'f0000000', LIMITS.pageEntries + 1), ...leaves.slice(5)], 0, bytes)).toBe('LISTING_INVALID')
  })
})

describe('a page table', () => {
  it('is refused where one page would do, with one item, with none, and with too many', () => {
    const small = files(0, 1000)
    const halves = [encodeListing(small.slice(0, 500)), encodeListing(small.slice(500))]
    const [one = new Uint8Array(0), two = new Uint8Array(0)] = halves
    expect(rootCode(encodePageTable([page(one, 'f0000000', 500), page(two, 'f0000500', 500)]))).toBe('LISTING_INVALID')
    expect(rootCode(encodePageTable([page(listing, 'f0000000', 20_000)]))).toBe('LISTING_INVALID')
    const many = files(0, LIMITS.pageEntries + 1).map(({ name }) => ({ firstName: name, entries: 200, digest }))
    expect(rootCode(encodePageTable(many))).toBe('LISTING_INVALID')
    expect(rootCode(encodePageTable(many.slice(1)))).toBe('accepted')
  })

  it('is refused with pages out of order, or a page twice', () => {
    expect(rootCode(encodePageTable(leaves.toReversed()))).toBe('LISTING_INVALID')
    expect(rootCode(encodePageTable([...leaves.slice(0, 2), ...leaves.slice(1)]))).toBe('LISTING_INVALID')
  })

  it('is refused with a mixture of pages and entries, and with invalid names', () => {
    const table = encodePageTable(leaves)
    const entry = encodeListing([file('zzz')]).subarray(1)
    const mixed = Uint8Array.of(...table, ...entry)
    mixed[2] = (mixed[2] ?? 0) + 1
    expect(rootCode(mixed)).toBe('LISTING_INVALID')
    for (const name of ['..', 'a/b', '\u0000', '.filesync', '']) {
      expect(rootCode(encodePageTable([{ firstName: name as Name, entries: 2000, digest }, ...leaves])), name).toBe('NAME_INVALID')
    }
  })

  it('is refused with more entries than a directory may have, or with none in a page', () => {
    const claims = (entries: number): string => rootCode(encodePageTable([
      { firstName: 'a' as Name, entries, digest }, { firstName: 'b' as Name, entries: 2000, digest },
    ]))
    expect([claims(LIMITS.listingEntries), claims(LIMITS.listingEntries + 1), claims(0)]).toEqual(
      ['LISTING_INVALID', 'LISTING_INVALID', 'LISTING_INVALID'])
  })

  it('is refused if it is truncated at any byte, or has one more', () => {
    const table = encodePageTable(leaves.slice(0, 5))
    for (let length = 0; length < table.length; length++) {
      const code = refusal(() => {
        const { root } = rootArrived(table.subarray(0, length), () => digest)
        // Too little is left to say that it is a table, so it is taken for a listing.
        if (root.table === undefined) decodeListing(root.bytes)
      })
      expect(code, String(length)).toBe('LISTING_INVALID')
    }
    expect(rootCode(Uint8Array.of(...table, 0))).toBe('LISTING_INVALID')
  })

  it('is refused below another one with other sums, other names, or one that contains itself', () => {
    const inner = encodePageTable(leaves)
    const entries = leaves.reduce((sum, leaf) => sum + leaf.entries, 0)
    const next: Page = { firstName: 'g' as Name, entries: 500_000, digest }
    expect(pageCode([page(inner, 'f0000000', entries + 1), next], 0, inner)).toBe('LISTING_INVALID')
    expect(pageCode([page(inner, 'f0000001', entries), next], 0, inner)).toBe('LISTING_INVALID')
    // Only a broken digest lets a table name itself; the depth ends it.
    const { questions, root } = rootArrived(encodePageTable([
      { firstName: 'f0000000' as Name, entries: 20_000, digest }, { firstName: 'f0020000' as Name, entries: 20_000, digest },
    ]), () => digest)
    questions.requestPage(root, 1)
    questions.nextRequest()
    const again = encodePageTable(files(20_000, 20_100).map(({ name }) => ({ firstName: name, entries: 200, digest })))
    const below = questions.accept({ number: 1, bytes: again })
    questions.requestPage(below, 99)
    questions.nextRequest()
    const deeper = encodePageTable([{ firstName: 'f0020099' as Name, entries: 200, digest }])
    expect(refusal(() => questions.accept({ number: 2, bytes: deeper }))).toBe('LISTING_INVALID')
  })

  it('cannot make a million tiny pages', () => {
    const [item = new Uint8Array(0)] = [encodePageTable([{ firstName: 'f0000000' as Name, entries: 1, digest }]).subarray(1)]
    const million = new Uint8Array(5 + 1_000_000 * item.length)
    million.set([0xdd, 0, 0x0f, 0x42, 0x40])
    million.set(item, 5)
    million.copyWithin(5 + item.length, 5, million.length - item.length)
    expect(rootCode(million)).toBe('LISTING_INVALID')
    // In two levels each table is short enough, but not cut by the rule.
    const table = encodePageTable(files(0, 1000).map(({ name }) => ({ firstName: name, entries: 1, digest })))
    const top = Array.from({ length: 1000 }, (_, i) => page(table, `f${String(i * 1000).padStart(7, '0')}`, 1000))
    expect(pageCode(top, 0, table)).toBe('LISTING_INVALID')
  })
})

describe('a whole listing', () => {
  it('is refused if it is longer than a page', () => {
    expect(rootCode(encodeListing(files(0, LIMITS.pageEntries)))).toBe('accepted')
    expect(rootCode(encodeListing(files(0, LIMITS.pageEntries + 1)))).toBe('LISTING_INVALID')
    expect(rootCode(listing)).toBe('LISTING_INVALID')
  })
})

describe('requests for pages', () => {
  const tree: Tree = { rootDigest: new PageTree(leaves, hashBytes).digest, files: 0, directories: 0, bytes: 0, listing: () => listing }
  const asked = (...references: (readonly [number, number])[]): string => refusal(() => {
    const answers = new ListingResponder(tree, hashBytes)
    for (const _ of answers.answer([]));
    for (const _ of answers.answer(references));
  })

  it.each([
    ['a page', [[0, 0]], 'accepted'], ['a page that is not there', [[0, leaves.length]], 'TASK_INVALID'],
    ['the same page twice', [[0, 1], [0, 1]], 'TASK_INVALID'], ['a file in a page', [[0, 0], [1, 0]], 'TASK_INVALID'],
    ['a listing that was not sent', [[2, 0]], 'TASK_INVALID'],
  ] as const)('for %s', (_, references, code) => { expect(asked(...references)).toBe(code) })

  it('never name a table as a file', () => {
    const answers = new ListingResponder(tree, hashBytes)
    for (const _ of answers.answer([]));
    expect(refusal(() => answers.entry(0, 0))).toBe('TASK_INVALID')
  })

  it('arrive under the digest that was announced', () => {
    const sent = [...new ListingResponder(tree, hashBytes).answer([])]
    expect(sent.map(({ bytes }) => hashBytes(bytes) satisfies Digest)).toEqual([tree.rootDigest])
  })
})
