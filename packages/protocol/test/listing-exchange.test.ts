import {
  cutPages, encodeListing, encodeParts, LIMITS, ListingRequester, ListingResponder, PartsDecoder, readListing, ROOT_PATH, toDigest,
} from '@filesync/protocol'
import type { ArrivedListing, Digest, DirectoryEntry, Entry, Name, RelativePath, Tree } from '@filesync/protocol'
import { hashBytes } from '@filesync/protocol/node'
import { memoryTree } from '@filesync/protocol/testing'
import type { TreeLiteral } from '@filesync/protocol/testing'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { anyName } from './support/arbitrary.ts'
import { refusal } from './support/refusal.ts'

const anyTree = fc.letrec<{ directory: TreeLiteral }>(tie => ({
  directory: fc.dictionary(
    anyName, fc.oneof({ maxDepth: 4, depthSize: 'small' }, fc.string(), fc.constant({ symlink: 'x' }), tie('directory')), { maxKeys: 5 }
  )
    .filter(literal => typeof literal.symlink !== 'string'),
})).directory

/** The complete exchange, as both sessions perform it, with every directory requested. */
function exchange (tree: Tree, payloadBytes: number): Map<string, Uint8Array> {
  const questions = new ListingRequester(tree.rootDigest, hashBytes)
  const answers = new ListingResponder(tree, hashBytes)
  const arrived = new Map<string, Uint8Array>()
  let tables = 0
  for (let page = questions.nextRequest(); page !== undefined; page = questions.nextRequest()) {
    expect(questions.isWaiting).toBe(true)
    const parts = new PartsDecoder(LIMITS.listingBytes)
    for (const payload of encodeParts(answers.answer(page), payloadBytes)) {
      for (const whole of parts.push(payload)) takeIn(questions.accept(whole))
    }
  }
  expect(questions.isComplete).toBe(true)
  expect(questions.arrived).toBe(arrived.size + tables)
  return arrived

  function takeIn (listing: ArrivedListing): void {
    if (listing.table !== undefined) {
      listing.table.pages.forEach((_, index) => { questions.requestPage(listing, index) })
      tables++
      return
    }
    arrived.set(`${listing.directory}\0${listing.page?.firstName ?? ''}`, listing.bytes)
    let index = 0
    for (const entry of readListing(listing.bytes)) {
      if (entry.kind === 'directory') questions.request(listing, index, entry)
      expect(answers.entry(listing.number, index)).toEqual({ directory: listing.directory, entry })
      index++
    }
  }
}

describe('the exchange of listings', () => {
  it('transfers every listing of a tree', () => {
    fc.assert(fc.property(anyTree, fc.integer({ min: 17, max: 400 }), (literal, payloadBytes) => {
      const tree = memoryTree(literal, hashBytes)
      const arrived = exchange(tree, payloadBytes)
      expect(arrived.size).toBe(tree.directories + 1)
      for (const [key, bytes] of arrived) expect(bytes).toEqual(tree.listing(key.split('\0')[0] as RelativePath))
    }))
  })

  it('requests many listings in several messages', () => {
    const many = Object.fromEntries(Array.from({ length: LIMITS.listingsPerRequest * 2 + 5 }, (_, i) => [`d${String(i)}`, {}]))
    const tree = memoryTree(many, hashBytes)
    const pages = [...cutPages(tree.listing(ROOT_PATH) ?? new Uint8Array(0))].length
    expect(exchange(tree, 1000).size).toBe(LIMITS.listingsPerRequest * 2 + 5 + pages)
    const questions = new ListingRequester(tree.rootDigest, hashBytes)
    expect(questions.nextRequest()).toEqual([])
    expect(questions.nextRequest()).toBeUndefined()
  })
})

describe('ListingRequester', () => {
  const root = encodeListing([])
  const rootOf = (bytes: Uint8Array): ListingRequester => {
    const questions = new ListingRequester(hashBytes(bytes), hashBytes)
    questions.nextRequest()
    return questions
  }
  const entry = (name: string, digest: Digest = hashBytes(root)): DirectoryEntry => ({
    kind: 'directory', name: name as Name, mtimeNs: 0n, mode: 0, digest,
  })

  it('rejects a listing that was not requested, or arrives twice', () => {
    const questions = rootOf(root)
    expect(refusal(() => questions.accept({ number: 1, bytes: root }))).toBe('MESSAGE_UNEXPECTED')
    expect(refusal(() => questions.accept({ number: 0, bytes: root }))).toBe('accepted')
    expect(refusal(() => questions.accept({ number: 0, bytes: root }))).toBe('MESSAGE_UNEXPECTED')
    expect(refusal(() => new ListingRequester(hashBytes(root), hashBytes).accept({ number: 0, bytes: root }))).toBe('MESSAGE_UNEXPECTED')
  })

  it('rejects a listing that differs from the announced one', () => {
    expect(refusal(() => rootOf(root).accept({ number: 0, bytes: encodeListing([entry('a')]) }))).toBe('LISTING_MISMATCH')
  })

  it('rejects directories whose paths are too deep or too long', () => {
    const parent = (directory: string): ArrivedListing => ({ number: 0, directory: directory as RelativePath, bytes: root })
    expect(refusal(() => { rootOf(root).request(parent(new Array(64).fill('a').join('/')), 0, entry('b')) })).toBe('LIMIT_EXCEEDED')
    expect(refusal(() => {
      rootOf(root).request(parent(new Array(4).fill('x'.repeat(254)).join('/')), 0, entry('abcde'))
    })).toBe('LIMIT_EXCEEDED')
  })

  it('rejects a tree that claims to be endless', () => {
    // Directories whose listings are the same cost the client nothing to claim.
    const questions = rootOf(root)
    const parent: ArrivedListing = { number: 0, directory: ROOT_PATH, bytes: root }
    const child = entry('a')
    expect(refusal(() => { for (let i = 0; i <= LIMITS.listingsWaiting; i++) questions.request(parent, i, child) })).toBe('LIMIT_EXCEEDED')
  })

  it('accepts a million directories, and rejects what no server can keep, even if little of it waits at once', { timeout: 30_000 }, () => {
    const child = entry('a')
    const bytes = root
    const questions = new ListingRequester(child.digest, () => child.digest)
    let asked = 0
    const askOn = (): void => {
      for (let page = questions.nextRequest(); page !== undefined; page = questions.nextRequest()) {
        for (let i = Math.max(page.length, 1); i > 0; i--) {
          const arrived: ArrivedListing = questions.accept({ number: asked++, bytes })
          // Four thousand in the root, and five hundred below each, which have none.
          const below = asked === 1 ? 4000 : arrived.directory === 'a' ? 500 : 0
          for (let j = 0; j < below; j++) questions.request(arrived, j, child)
        }
      }
    }
    expect(refusal(askOn)).toBe('LIMIT_EXCEEDED')
    expect(asked).toBeGreaterThan(1_000_000)
    expect(asked).toBeLessThanOrEqual(LIMITS.listingsPerSync)
  })
})

describe('ListingResponder', () => {
  const tree = memoryTree({ a: { 'x.txt': 'x' }, b: 'b', c: { symlink: 'b' } }, hashBytes)
  const asked = (): ListingResponder => {
    const answers = new ListingResponder(tree, hashBytes)
    for (const _ of answers.answer([]));
    return answers
  }

  it('resolves only entries of listings that were sent', () => {
    const answers = new ListingResponder(tree, hashBytes)
    expect(refusal(() => answers.entry(0, 0))).toBe('TASK_INVALID')
    for (const _ of answers.answer([]));
    expect(answers.entry(0, 1)).toMatchObject({ directory: '', entry: { name: 'b' } })
    expect(refusal(() => answers.entry(0, 3))).toBe('TASK_INVALID')
    expect(refusal(() => answers.entry(1, 0))).toBe('TASK_INVALID')
    expect(refusal(() => answers.entry(0xffff_ffff, 0xffff_ffff))).toBe('TASK_INVALID')
  })

  it.each([
    ['the root twice', []], ['a file', [[0, 1]]], ['a link', [[0, 2]]], ['an entry that is not there', [[0, 3]]],
    ['a listing that was not given', [[7, 0]]],
  ] as const)('refuses to be asked for %s', (_, page) => { expect(refusal(() => asked().answer(page))).toBe('TASK_INVALID') })

  it('rejects endless requests for the same listing', () => {
    const answers = asked()
    expect(refusal(() => answers.answer(new Array<readonly [number, number]>(10).fill([0, 0])))).toBe('TASK_INVALID')
  })

  it('finds the last entries of a million without keeping them decoded', () => {
    const entries = Array.from(
      { length: 200_000 },
      (_, i): Entry => ({ kind: 'file', name: `f${String(i).padStart(7, '0')}` as Name, mtimeNs: 0n, mode: 0, sizeBytes: 0, fileId: 0n })
    )
    const bytes = encodeListing(entries)
    const answers = new ListingResponder({
      rootDigest: toDigest(new Uint8Array(32)) as Digest, files: entries.length, directories: 0, bytes: 0, listing: () => bytes,
    }, undefined)
    for (const _ of answers.answer([]));
    entries.length = 0
    const before = process.memoryUsage().heapUsed
    for (const place of [199_999, 0, 199_999, 100_000, 1]) {
      expect(answers.entry(0, place).entry.name).toBe(`f${String(place).padStart(7, '0')}`)
    }
    expect(process.memoryUsage().heapUsed - before).toBeLessThan(24 << 20)
  })
})
