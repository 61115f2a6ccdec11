import type { Digest, HashBytes } from '../digest.ts'
import { DIGEST_BYTES } from '../digest.ts'
import { ENTRY_KINDS } from '../encoding/listing-kinds.ts'

/** A file or link of a page. */
export interface SafePageEntry {
  readonly kind: 'file' | 'symlink'
  readonly name: string
  /** Of the content; 0 for a link. */
  readonly sizeBytes: number
  /** Of the content, or of a link's target in UTF-8. */
  readonly digest: Digest
}

/** Bytes of a record without its name: kind (1), length of the name (2), size (8), digest. */
const FIXED_BYTES = 11 + DIGEST_BYTES

/**
 * The digest of a page of SAFE_PAGES_QUESTION: that of one record for each entry, in the order of their names. A record is the kind as in
 * listings (1 byte), the length of the name (u16), the name in UTF-8, the size (u64), and the digest (32 bytes); big-endian.
 */
export function safePageDigest (entries: readonly SafePageEntry[], hash: HashBytes): Digest {
  const names = entries.map(({ name }) => new TextEncoder().encode(name))
  const records = new Uint8Array(names.reduce((sum, { length }) => sum + FIXED_BYTES + length, 0))
  const view = new DataView(records.buffer)
  let at = 0
  for (const [i, { kind, sizeBytes, digest }] of entries.entries()) {
    const name = names[i] ?? new Uint8Array(0)
    records[at] = ENTRY_KINDS[kind]
    view.setUint16(at + 1, name.length)
    records.set(name, at + 3)
    at += 3 + name.length
    view.setBigUint64(at, BigInt(sizeBytes))
    records.set(digest, at + 8)
    at += 8 + DIGEST_BYTES
  }
  return hash(records)
}
