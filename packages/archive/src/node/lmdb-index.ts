import { asFileSyncError, FileSyncError } from '@filesync/protocol'
import type { RelativePath } from '@filesync/protocol'
import { open } from 'lmdb'
import type { Database, RootDatabase } from 'lmdb'
import type { AreaRecord, ArchiveIndex, DirectoryKey, IndexWrite } from '../archive-index.ts'
import { FACT_BYTES } from '../facts.ts'
import type { StoredDirectory } from '../fold.ts'
import type { Batch, Section } from '../section.ts'
import { ensureLmdbFile } from './lmdb-file.ts'

// No name holds it, so an area's keys stand together and no path of one area can pass for another's.
const SEPARATOR = '\u0001'
const BEHIND = '\u0002'
/** Virtual, not taken from the disk: room for some 100 million files. */
const MAP_BYTES = 64 * 2 ** 30
const EMPTY = new Uint8Array(0)

type Bytes = Database<Buffer, Buffer>

/** A batch as the journal holds it. */
interface JournalRecord extends Omit<Batch, 'sections'> {
  readonly sections: readonly (Pick<Section, 'directory' | 'folder'> & { readonly entries: Buffer, readonly staged: Buffer, readonly facts: Buffer })[]
}

/** Opens the index in a directory of its own. Throws ARCHIVE_UNAVAILABLE. */
export function openLmdbIndex (directory: string): ArchiveIndex {
  try {
    ensureLmdbFile(directory)
    const root = open<Buffer, Buffer>({ path: directory, mapSize: MAP_BYTES, maxDbs: 8, cache: false, encoding: 'binary', keyEncoding: 'binary' })
    return new LmdbIndex(root)
  } catch (cause) {
    throw new FileSyncError('ARCHIVE_UNAVAILABLE', 'The index of the archive cannot be opened. If it is damaged, delete the folder .filesync/index ' +
      'in the archive: it is made again by reading the archive.', { cause })
  }
}

class LmdbIndex implements ArchiveIndex {
  readonly #root: RootDatabase<Buffer, Buffer>
  readonly #listings: Bytes
  readonly #facts: Bytes
  readonly #signatures: Bytes
  readonly #areas: Database<AreaRecord, Buffer>
  readonly #journal: Database<JournalRecord, Buffer>
  #isClosed = false

  constructor (root: RootDatabase<Buffer, Buffer>) {
    this.#root = root
    this.#listings = root.openDB<Buffer, Buffer>({ name: 'listings', encoding: 'binary', keyEncoding: 'binary' })
    this.#facts = root.openDB<Buffer, Buffer>({ name: 'facts', encoding: 'binary', keyEncoding: 'binary' })
    this.#signatures = root.openDB<Buffer, Buffer>({ name: 'signatures', encoding: 'binary', keyEncoding: 'binary' })
    this.#areas = root.openDB<AreaRecord, Buffer>({ name: 'areas', encoding: 'msgpack', keyEncoding: 'binary' })
    this.#journal = root.openDB<JournalRecord, Buffer>({ name: 'journal', encoding: 'msgpack', keyEncoding: 'binary' })
  }

  async write (writes: readonly IndexWrite[]): Promise<void> {
    if (writes.length === 0) return
    this.#throwIfClosed()
    try {
      await this.#root.transaction(() => { for (const write of writes) this.#apply(write) })
      await this.#root.flushed
    } catch (error) {
      throw isFull(error)
        ? new FileSyncError('ARCHIVE_FULL', 'The disk of the archive is full. Free some space on the server.', { cause: error })
        : asFileSyncError(error, 'ARCHIVE_UNAVAILABLE')
    }
  }

  directory (key: DirectoryKey): StoredDirectory | undefined {
    this.#throwIfClosed()
    const at = directoryKey(key)
    const listing = this.#listings.getBinary(at)
    if (listing === undefined) return undefined
    return { listing: plain(listing), facts: plain(this.#facts.getBinary(at) ?? EMPTY) }
  }

  listing (key: DirectoryKey): Uint8Array | undefined {
    this.#throwIfClosed()
    const listing = this.#listings.getBinary(directoryKey(key))
    return listing === undefined ? undefined : plain(listing)
  }

  * directories (area: string, after?: RelativePath): Generator<{ readonly directory: RelativePath, readonly files: number }, void, undefined> {
    this.#throwIfClosed()
    for (const key of this.#listings.getKeys(below(after === undefined ? area + SEPARATOR : `${area}${SEPARATOR}${after}\0`, area + BEHIND))) {
      const directory = key.toString().slice(area.length + 1) as RelativePath
      yield { directory, files: (this.#facts.getBinaryFast(key)?.length ?? 0) / FACT_BYTES }
    }
  }

  areas (): string[] {
    this.#throwIfClosed()
    return [...this.#areas.getKeys()].map(key => key.toString())
  }

  area (area: string): AreaRecord | undefined {
    this.#throwIfClosed()
    return this.#areas.get(Buffer.from(area))
  }

  journal (area: string): { readonly number: number, readonly batch: Batch }[] {
    this.#throwIfClosed()
    return [...this.#journal.getRange(below(area + SEPARATOR, area + BEHIND)).map(({ key, value }) => ({ number: key.readUInt32BE(key.length - 4), batch: decodeBatch(value) }))]
  }

  signature (area: string, path: RelativePath): Uint8Array | undefined {
    this.#throwIfClosed()
    const signature = this.#signatures.getBinary(directoryKey({ area, directory: path }))
    return signature === undefined ? undefined : plain(signature)
  }

  async close (): Promise<void> {
    if (this.#isClosed) return
    this.#isClosed = true
    await this.#root.close()
  }

  // lmdb answers a read behind its close with an error that it throws later, from a timer, where nobody can catch it.
  #throwIfClosed (): void {
    if (this.#isClosed) throw new FileSyncError('ABORTED', 'The archive is closed.')
  }

  #apply (write: IndexWrite): void {
    if ('put' in write) {
      const key = directoryKey(write.put)
      this.#listings.putSync(key, asBuffer(write.stored.listing))
      if (write.stored.facts.length > 0) this.#facts.putSync(key, asBuffer(write.stored.facts))
      else this.#facts.removeSync(key)
    } else if ('drop' in write) {
      this.#drop(write.drop, write.andBelow)
    } else if ('record' in write) {
      this.#areas.putSync(Buffer.from(write.area), write.record)
    } else if ('journal' in write) {
      const key = journalKey(write.area, write.journal)
      if (write.batch === undefined) this.#journal.removeSync(key)
      else this.#journal.putSync(key, encodeBatch(write.batch))
    } else {
      const key = directoryKey({ area: write.area, directory: write.path })
      if (write.signature === undefined) this.#signatures.removeSync(key)
      else this.#signatures.putSync(key, asBuffer(write.signature))
    }
  }

  #drop (key: DirectoryKey, andBelow: boolean): void {
    const at = directoryKey(key)
    const keys = [at]
    // The character behind `/` ends the range of everything below.
    if (andBelow) for (const gone of this.#listings.getKeys(below(`${at.toString()}/`, `${at.toString()}0`))) keys.push(gone)
    for (const gone of keys) {
      this.#listings.removeSync(gone)
      this.#facts.removeSync(gone)
    }
  }
}

function directoryKey ({ area, directory }: DirectoryKey): Buffer {
  return Buffer.from(area + SEPARATOR + directory)
}

function journalKey (area: string, number: number): Buffer {
  const prefix = Buffer.from(area + SEPARATOR)
  const key = Buffer.alloc(prefix.length + 4)
  prefix.copy(key)
  key.writeUInt32BE(number, prefix.length)
  return key
}

function below (start: string, end: string): { start: Buffer, end: Buffer } {
  return { start: Buffer.from(start), end: Buffer.from(end) }
}

// A copy: what lmdb hands out may lie in memory that its next read writes over.
function plain (bytes: Uint8Array): Uint8Array<ArrayBuffer> {
  return new Uint8Array(bytes)
}

function encodeBatch (batch: Batch): JournalRecord {
  return {
    ...batch,
    sections: batch.sections.map(({ entries, staged, facts, ...section }) => (
      { ...section, entries: asBuffer(entries), staged: Buffer.from(staged.buffer, staged.byteOffset, staged.byteLength), facts: asBuffer(facts) }
    )),
  }
}

function decodeBatch (record: JournalRecord): Batch {
  return {
    ...record,
    sections: record.sections.map(({ entries, staged, facts, ...section }) => (
      { ...section, entries: plain(entries), staged: new Uint32Array(plain(staged).buffer), facts: plain(facts) }
    )),
  }
}

function asBuffer (bytes: Uint8Array): Buffer {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength)
}

function isFull (error: unknown): boolean {
  return error instanceof Error && /ENOSPC|EDQUOT|No space left|MDB_MAP_FULL|quota/i.test(error.message)
}
