import { DIGEST_BYTES, ENTRY_KINDS, equalDigests } from '@filesync/protocol'
import { FACT_BYTES } from '../store/facts.ts'
import type { ListingCursor } from '../store/listing-cursor.ts'
import { isContent, NOT_STAGED } from '../store/section.ts'
import type { Section } from '../store/section.ts'
import type { FormerEntry } from './former-entries.ts'

/** Counts the files that left the mirror in a sync. Those that came are counted where they are placed. */
export class ChangeTally {
  /** Files whose place another file took. */
  replaced = 0
  /** Files that left, and whose place no file took. */
  removed = 0
  /** Files that were placed again with the same content, because the copy was damaged or missing. */
  same = 0
  sameBytes = 0
  /** Whether anything changed, be it only a time or a mode. */
  hasChanged = false

  /** The entry of a section at the cursor took the place of another one. */
  addReplaced ({ facts, staged }: Section, cursor: ListingCursor, old: FormerEntry | 'unknown' | undefined): void {
    if (old === undefined || old === 'unknown' || old.cursor.kind !== ENTRY_KINDS.file) return
    if (cursor.kind !== ENTRY_KINDS.file || !isContent(staged[cursor.index] ?? NOT_STAGED)) this.removed++
    else if (old.fact === undefined || !isSameDigest(facts.subarray(cursor.index * FACT_BYTES), old.fact)) this.replaced++
    else {
      this.same++
      this.sameBytes += cursor.sizeBytes()
    }
  }
}

function isSameDigest (left: Uint8Array, right: Uint8Array): boolean {
  return equalDigests(left.subarray(0, DIGEST_BYTES), right.subarray(0, DIGEST_BYTES))
}
