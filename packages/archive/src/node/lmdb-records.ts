import type { Name } from '@filesync/protocol'
import type { DamageRecord, DirectoryKey } from '../store/archive-index.ts'
import type { Batch, Section } from '../store/section.ts'

// No name contains it, so the keys of an area are contiguous and no path of one area can be mistaken for one of another area.
const SEPARATOR = '\u0001'
const AFTER_SEPARATOR = '\u0002'
/** No name or path contains it, and it is before all that they contain. */
const NUL = Buffer.alloc(1)

/** A batch as the journal holds it. */
export interface JournalRecord extends Omit<Batch, 'sections'> {
  readonly sections: readonly JournalSection[]
}

interface JournalSection extends Pick<Section, 'directory' | 'folder'> {
  readonly entries: Buffer
  readonly staged: Buffer
  readonly facts: Buffer
}

/** Damage as the index holds it. */
export interface StoredDamage extends Omit<DamageRecord, 'stored'> {
  readonly stored: { readonly listing: Buffer, readonly facts: Buffer }
}

interface KeyRange {
  readonly start: Buffer
  readonly end: Buffer
}

export function directoryKey ({ area, directory }: DirectoryKey): Buffer {
  return Buffer.from(area + SEPARATOR + directory)
}

export function journalKey (area: string, number: number): Buffer {
  const prefix = Buffer.from(area + SEPARATOR)
  const key = Buffer.alloc(prefix.length + 4)
  prefix.copy(key)
  key.writeUInt32BE(number, prefix.length)
  return key
}

/** The keys of an area, or those after a directory. */
export function keysOf (area: string, after?: string): KeyRange {
  return keyRange(after === undefined ? area + SEPARATOR : `${area}${SEPARATOR}${after}\0`, area + AFTER_SEPARATOR)
}

/** The keys of all directories below one. */
export function keysBelow (directory: Buffer): KeyRange {
  // In the order of characters, 0 follows `/`.
  return keyRange(`${directory.toString()}/`, `${directory.toString()}0`)
}

/** The key of a page of the directory with this key. */
export function pageKey (directory: Buffer, firstName: Name): Buffer {
  return Buffer.concat([directory, NUL, Buffer.from(firstName)])
}

/** The first name of the page with this key. */
export function pageNameOf (directory: Buffer, key: Buffer): Name {
  return key.toString('utf8', directory.length + NUL.length) as Name
}

/** The keys of all pages of a directory. */
export function pageKeysOf (directory: Buffer): KeyRange {
  return { start: Buffer.concat([directory, NUL]), end: Buffer.concat([directory, Buffer.of(1)]) }
}

function keyRange (start: string, end: string): KeyRange {
  return { start: Buffer.from(start), end: Buffer.from(end) }
}

/** A copy, because what lmdb returns may be in memory that its next read overwrites. */
export function copyOf (bytes: Uint8Array): Uint8Array<ArrayBuffer> {
  return new Uint8Array(bytes)
}

export function asBuffer (bytes: Uint8Array): Buffer {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength)
}

export function encodeBatch (batch: Batch): JournalRecord {
  return {
    ...batch,
    sections: batch.sections.map(({ entries, staged, facts, ...section }) => ({
      ...section,
      entries: asBuffer(entries),
      staged: Buffer.from(staged.buffer, staged.byteOffset, staged.byteLength),
      facts: asBuffer(facts),
    })),
  }
}

export function decodeBatch (record: JournalRecord): Batch {
  return {
    ...record,
    sections: record.sections.map(({ entries, staged, facts, ...section }) => (
      { ...section, entries: copyOf(entries), staged: new Uint32Array(copyOf(staged).buffer), facts: copyOf(facts) }
    )),
  }
}

export function encodeDamage ({ stored: { listing, facts }, ...record }: DamageRecord): StoredDamage {
  return { ...record, stored: { listing: asBuffer(listing), facts: asBuffer(facts) } }
}

export function decodeDamage ({ stored: { listing, facts }, ...record }: StoredDamage): DamageRecord {
  return { ...record, stored: { listing: copyOf(listing), facts: copyOf(facts) } }
}
