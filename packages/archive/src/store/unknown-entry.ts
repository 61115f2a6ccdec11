import { encodeListing } from '@filesync/protocol'
import type { DirectoryEntry, Entry, FileEntry, RelativePath, SymlinkEntry } from '@filesync/protocol'
import { FACT_BYTES } from './facts.ts'
import type { ListingCursor } from './listing-cursor.ts'
import type { Section } from './section.ts'

/** Marks an entry of which nothing is known but its name; no client has a file of the year 1823. */
const UNKNOWN_NS = -(2n ** 62n)

/** What is known of an unknown entry; of a directory the digest of the listing below it. */
export type UnknownInit =
  | Pick<FileEntry, 'kind' | 'name' | 'sizeBytes'>
  | Pick<SymlinkEntry, 'kind' | 'name' | 'target'>
  | Pick<DirectoryEntry, 'kind' | 'name' | 'digest'>

/** Whether the entry only says that a name is taken, or that what was stored under it is not there any more. */
export function isUnknown (entry: Entry): boolean {
  return entry.mtimeNs === UNKNOWN_NS
}

/** An entry that equals none of a client, so the next sync asks for what the client has under the name. */
export function unknownEntry (known: UnknownInit): Entry {
  const { name } = known
  if (known.kind === 'directory') return { kind: known.kind, name, mtimeNs: UNKNOWN_NS, mode: 0o755, digest: known.digest }
  if (known.kind === 'symlink') return { kind: known.kind, name, mtimeNs: UNKNOWN_NS, target: known.target }
  return unknownFile({ kind: known.kind, name, sizeBytes: known.sizeBytes })
}

/** As {@link isUnknown}, of an entry that is not decoded. */
export function isUnknownAt (cursor: ListingCursor): boolean {
  return cursor.mtimeNs() === UNKNOWN_NS
}

export function unknownFile (file: Pick<FileEntry, 'kind' | 'name' | 'sizeBytes'>): FileEntry {
  return { ...file, mtimeNs: UNKNOWN_NS, mode: 0o644, fileId: 0n }
}

/** Unknown entries as a section. Their facts are of no content. */
export function unknownSection (directory: RelativePath, entries: readonly Entry[]): Section {
  return { directory, entries: encodeListing(entries), staged: new Uint32Array(entries.length), facts: new Uint8Array(entries.length * FACT_BYTES) }
}
