import { LIMITS } from '../limits.ts'
import { MsgpackReader } from '../encoding/msgpack-reader.ts'
import type { Name } from './name.ts'

const FNV_BASIS = 0x811c9dc5
const FNV_PRIME = 0x0100_0193
/** How many bits of the hash decide on the pages of one level: one name in 256 begins a page there. */
const LEVEL_BITS = 8
const LEVEL_MASK = 0xff

/**
 * The hash of a name that decides where pages begin: FNV-1a of 32 bits over its UTF-8 bytes, then the finalizer of MurmurHash3,
 * without which the high bits of similar names are similar.
 *
 * Sources: draft-eastlake-fnv; MurmurHash3 (`fmix32`) by Austin Appleby, public domain.
 */
export function nameHash (bytes: Uint8Array, start: number, end: number): number {
  let hash = FNV_BASIS
  for (let i = start; i < end; i++) hash = Math.imul(hash ^ (bytes[i] ?? 0), FNV_PRIME)
  hash = Math.imul(hash ^ hash >>> 16, 0x85eb_ca6b)
  hash = Math.imul(hash ^ hash >>> 13, 0xc2b2_ae35)
  return (hash ^ hash >>> 16) >>> 0
}

/**
 * Whether a page of one level that has `size` items ends before the next name. The rule looks at nothing but the page itself, so a change
 * in one page moves no other boundary beyond the next one that both have.
 *
 * @param level 0 for pages of entries, 1 for tables of these pages, and so on
 */
export function endsPage (size: number, nextHash: number, level: number): boolean {
  if (size >= LIMITS.pageEntries) return true
  return size >= LIMITS.pageMinEntries && (nextHash >>> LEVEL_BITS * level & LEVEL_MASK) === 0
}

/** Where one page is in the encoding of a whole listing. */
export interface PageRange {
  /** Offset of its first entry. */
  readonly start: number
  /** Offset after its last entry. */
  readonly end: number
  /** Number of its entries. */
  readonly entries: number
  /** Empty if the listing is. */
  readonly firstName: Name
}

/** The pages of a whole listing, in order: one if it has at most `LIMITS.pageEntries` entries. Throws LISTING_INVALID. */
export function * cutPages (listing: Uint8Array): Generator<PageRange, void, undefined> {
  const reader = new MsgpackReader(listing)
  const count = reader.array()
  let start = reader.offset
  let size = 0
  for (let left = count > LIMITS.pageEntries ? count : 0; left > 0; left--) {
    const at = reader.offset
    const fields = reader.array()
    const nameBytes = reader.skipStr()
    if (size > 0 && endsPage(size, nameHash(listing, reader.offset - nameBytes, reader.offset), 0)) {
      yield { start, end: at, entries: size, firstName: nameAt(listing, start) }
      start = at
      size = 0
    }
    reader.skip(fields - 1)
    size++
  }
  yield { start, end: listing.length, entries: size === 0 ? count : size, firstName: nameAt(listing, start) }
}

function nameAt (listing: Uint8Array, start: number): Name {
  if (start >= listing.length) return '' as Name
  const reader = new MsgpackReader(listing, start)
  reader.array()
  return reader.str() as Name
}
