import { DIGEST_BYTES } from '../digest.ts'
import type { Digest } from '../digest.ts'
import { FileSyncError } from '../errors.ts'
import { LIMITS } from '../limits.ts'
import { PAGE } from '../encoding/listing-kinds.ts'
import { MsgpackReader } from '../encoding/msgpack-reader.ts'
import { MsgpackWriter } from '../encoding/msgpack-writer.ts'
import { outOfOrder } from './listing.ts'
import { checkName, compareNames } from './name.ts'
import type { Name } from './name.ts'

/** One page of a directory, or a table of pages, as the table above names it. */
export interface Page {
  /** The name of its first entry. Empty only for the page of an empty directory. */
  readonly firstName: Name
  /** Number of entries in it, or in all pages below it. */
  readonly entries: number
  /** Of its encoding. */
  readonly digest: Digest
}

const ITEM_FIELDS = 4
const writer = new MsgpackWriter()

/** A page table: a MessagePack array of `[first name, 3, entries, digest]`, in the order of the names. */
export function encodePageTable (pages: readonly Page[]): Uint8Array {
  writer.reset()
  writer.array(pages.length)
  for (const { firstName, entries, digest } of pages) {
    writer.array(ITEM_FIELDS)
    writer.str(firstName)
    writer.uint(PAGE)
    writer.uint(entries)
    writer.bin(digest)
  }
  return writer.toBytes()
}

/** Whether an encoding is that of a page table, judged by its first item; a listing otherwise. */
export function isPageTable (bytes: Uint8Array): boolean {
  try {
    const reader = new MsgpackReader(bytes)
    if (reader.array() === 0 || reader.array() !== ITEM_FIELDS) return false
    reader.skipStr()
    return reader.uint() === PAGE
  } catch {
    return false
  }
}

/** The items of a page table. Throws LISTING_INVALID or NAME_INVALID for anything not in canonical form. */
export function readPageTable (bytes: Uint8Array): Page[] {
  const reader = new MsgpackReader(bytes)
  const count = reader.array()
  if (count === 0 || count > LIMITS.pageEntries) throw malformed(`it has ${String(count)} items`)
  const pages: Page[] = []
  for (let left = count; left > 0; left--) {
    const page = readItem(reader)
    const previous = pages.at(-1)
    if (previous !== undefined && compareNames(previous.firstName, page.firstName) >= 0) throw outOfOrder(page.firstName)
    pages.push(page)
  }
  if (reader.remainingBytes > 0) throw malformed('bytes follow its last item')
  return pages
}

function readItem (reader: MsgpackReader): Page {
  if (reader.array() !== ITEM_FIELDS) throw malformed('an item has another number of fields')
  const name = reader.str()
  const fault = checkName(name)
  if (fault !== undefined) throw new FileSyncError('NAME_INVALID', `A page table contains an invalid name (${fault}).`)
  if (reader.uint() !== PAGE) throw malformed('an item is not a page')
  const entries = reader.uint()
  if (entries === 0 || entries > LIMITS.listingEntries) throw malformed(`a page claims ${String(entries)} entries`)
  return { firstName: name as Name, entries, digest: reader.bin(DIGEST_BYTES) as Digest }
}

function malformed (why: string): FileSyncError {
  return new FileSyncError('LISTING_INVALID', `A page table is malformed: ${why}.`)
}
