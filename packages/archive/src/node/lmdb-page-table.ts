import { DIGEST_BYTES } from '@filesync/protocol'
import type { Digest, Name } from '@filesync/protocol'
import type { StoredPage } from '../store/stored-pages.ts'
import { copyOf } from './lmdb-records.ts'

/** The first byte of a table. No listing begins with it: MessagePack never uses it. */
const TABLE = 0xc1
const NUMBER_BYTES = 2
/** In a row after the name: number of entries, number of files, digest. */
const ROW_BYTES = 2 * NUMBER_BYTES + DIGEST_BYTES

/** Whether the record of a directory is the table of its pages, not its listing. */
export function isTable (record: Uint8Array): boolean {
  return record[0] === TABLE
}

/** The table of the pages of a directory: for each the length of its first name (a byte), the name, entries, files (u16 each), digest. */
export function encodeTable (pages: readonly StoredPage[]): Buffer {
  const names = pages.map(({ firstName }) => Buffer.from(firstName))
  const table = Buffer.alloc(1 + names.reduce((sum, name) => sum + 1 + name.length + ROW_BYTES, 0))
  table[0] = TABLE
  let at = 1
  for (const [i, name] of names.entries()) {
    const page = pages[i]
    if (page === undefined) break
    at = table.writeUInt8(name.length, at)
    table.set(name, at)
    at = table.writeUInt16BE(page.entries, at + name.length)
    at = table.writeUInt16BE(page.files, at)
    table.set(page.digest, at)
    at += DIGEST_BYTES
  }
  return table
}

/** @param record is not kept: lmdb overwrites it with its next read */
export function decodeTable (record: Uint8Array): StoredPage[] {
  const table = Buffer.from(copyOf(record).buffer)
  const pages: StoredPage[] = []
  for (let at = 1; at < table.length;) {
    const nameEnd = at + 1 + table.readUInt8(at)
    const firstName = table.toString('utf8', at + 1, nameEnd) as Name
    const filesAt = nameEnd + NUMBER_BYTES
    at = nameEnd + ROW_BYTES
    pages.push({
      firstName, entries: table.readUInt16BE(nameEnd), files: table.readUInt16BE(filesAt),
      digest: table.subarray(at - DIGEST_BYTES, at) as Uint8Array as Digest,
    })
  }
  return pages
}
