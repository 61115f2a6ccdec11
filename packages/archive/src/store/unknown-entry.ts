import { encodeListing } from '@filesync/protocol'
import type { DirectoryEntry, Entry, FileEntry, RelativePath, SymlinkEntry } from '@filesync/protocol'
import { FACT_BYTES } from './facts.ts'
import type { ListingCursor } from './listing-cursor.ts'
import type { Section } from './section.ts'

/** The mtime that marks an unknown entry; no client has a file from the year 1823. */
const UNKNOWN_NS = -(2n ** 62n)

/** What an unknown entry needs: for a directory, the digest of its listing in the index. */
export type UnknownInit =
  | Pick<FileEntry, 'kind' | 'name' | 'sizeBytes'>
  | Pick<SymlinkEntry, 'kind' | 'name' | 'target'>
  | Pick<DirectoryEntry, 'kind' | 'name' | 'digest'>

/** Whether an entry is unknown: it only marks a name as taken, or its stored content as lost. */
export function isUnknown (entry: Entry): boolean {
  return entry.mtimeNs === UNKNOWN_NS
}

/** An entry that equals no entry of a client, so that the next sync asks for what the client has under the name. */
export function unknownEntry (known: UnknownInit): Entry {
  const { name } = known
  if (known.kind === 'directory') return { kind: known.kind, name, mtimeNs: UNKNOWN_NS, mode: 0o755, digest: known.digest }
  if (known.kind === 'symlink') return { kind: known.kind, name, mtimeNs: UNKNOWN_NS, target: known.target }
  return unknownFile({ kind: known.kind, name, sizeBytes: known.sizeBytes })
}

/** As {@link isUnknown}, for an entry that is not decoded. */
export function isUnknownAt (cursor: ListingCursor): boolean {
  return cursor.mtimeNs() === UNKNOWN_NS
}

export function unknownFile (file: Pick<FileEntry, 'kind' | 'name' | 'sizeBytes'>): FileEntry {
  return { ...file, mtimeNs: UNKNOWN_NS, mode: 0o644, fileId: 0n }
}

/** A section of unknown entries, with empty facts. */
export function unknownSection (directory: RelativePath, entries: readonly Entry[]): Section {
  return {
    directory,
    entries: encodeListing(entries),
    staged: new Uint32Array(entries.length),
    facts: new Uint8Array(entries.length * FACT_BYTES),
  }
}
