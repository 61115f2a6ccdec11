import { constants } from 'node:os'
import { FileSyncError } from '@filesync/protocol'
import type { RelativePath } from '@filesync/protocol'
import type { Database, RootDatabase, RootDatabaseOptionsWithPath } from 'lmdb'
import type { AreaRecord, ArchiveIndex, DamageRecord, DirectoryKey, IndexWrite } from '../store/archive-index.ts'
import { FACT_BYTES } from '../store/facts.ts'
import type { StoredDirectory } from '../store/fold.ts'
import type { Batch, Section } from '../store/section.ts'
import { roomOf } from './disk.ts'
import { loadLmdb } from './load-lmdb.ts'
import { ensureLmdbFile, ensureLmdbRoom } from './lmdb-file.ts'
import { storeTrouble } from './trouble.ts'

// No name holds it, so an area's keys stand together and no path of one area can pass for another's.
const SEPARATOR = '\u0001'
const BEHIND = '\u0002'
/** Virtual, not taken from the disk: room for some 100 million files. */
const MAP_BYTES = 64 * 2 ** 30
/** What a write may leave that the disk had no room for. */
const FULL_BELOW_BYTES = 65_536
/** MDB_MAP_FULL. */
const MAP_FULL = -30_792
const EMPTY = new Uint8Array(0)

/** lmdb's declarations leave out `safeRestore`. */
const OPTIONS: Omit<RootDatabaseOptionsWithPath, 'path'> & { readonly safeRestore: boolean } = {
  mapSize: MAP_BYTES, maxDbs: 8, cache: false, encoding: 'binary', keyEncoding: 'binary',
  // With it, a transaction that fails rejects a promise of lmdb's own too, which nobody holds: that ends the process.
  eventTurnBatching: false,
  // What was not flushed is never read again. By default lmdb takes it for written while the system has not restarted, but a
  // disk that was pulled out and plugged in again has lost it all the same.
  safeRestore: true,
}

type Bytes = Database<Buffer, Buffer>

/** A batch as the journal holds it. */
interface JournalRecord extends Omit<Batch, 'sections'> {
  readonly sections: readonly (Pick<Section, 'directory' | 'folder'> & { readonly entries: Buffer, readonly staged: Buffer, readonly facts: Buffer })[]
}

/** Damage as the index holds it. */
interface StoredDamage extends Omit<DamageRecord, 'stored'> {
  readonly stored: { readonly listing: Buffer, readonly facts: Buffer }
}

/** Writes that share one transaction, and when it is on the disk. */
interface Group {
  readonly writes: (readonly IndexWrite[])[]
  readonly done: Promise<void>
}

/** Opens the index in a directory of its own. Throws ARCHIVE_UNAVAILABLE, ARCHIVE_FULL. */
export function openLmdbIndex (directory: string): ArchiveIndex {
  const { open } = loadLmdb()
  try {
    ensureLmdbFile(directory)
    ensureLmdbRoom(directory)
    const root = open<Buffer, Buffer>({ ...OPTIONS, path: directory })
    return new LmdbIndex(root, directory)
  } catch (cause) {
    throw diskTrouble(cause, directory) ?? storeTrouble(cause) ?? damagedIndex('opened', cause)
  }
}

class LmdbIndex implements ArchiveIndex {
  readonly #root: RootDatabase<Buffer, Buffer>
  readonly #directory: string
  readonly #listings: Bytes
  readonly #facts: Bytes
  readonly #signatures: Bytes
  readonly #areas: Database<AreaRecord, Buffer>
  readonly #journal: Database<JournalRecord, Buffer>
  readonly #damages: Database<readonly StoredDamage[], Buffer>
  #gathering: Group | undefined
  /** Resolves when nothing is being written, whatever became of it. */
  #idle: Promise<unknown> = Promise.resolve()
  #hasFailed = false
  #isClosed = false

  constructor (root: RootDatabase<Buffer, Buffer>, directory: string) {
    this.#directory = directory
    this.#root = root
    this.#listings = root.openDB<Buffer, Buffer>({ name: 'listings', encoding: 'binary', keyEncoding: 'binary' })
    this.#facts = root.openDB<Buffer, Buffer>({ name: 'facts', encoding: 'binary', keyEncoding: 'binary' })
    this.#signatures = root.openDB<Buffer, Buffer>({ name: 'signatures', encoding: 'binary', keyEncoding: 'binary' })
    this.#areas = root.openDB<AreaRecord, Buffer>({ name: 'areas', encoding: 'msgpack', keyEncoding: 'binary' })
    this.#journal = root.openDB<JournalRecord, Buffer>({ name: 'journal', encoding: 'msgpack', keyEncoding: 'binary' })
    this.#damages = root.openDB<readonly StoredDamage[], Buffer>({ name: 'damages', encoding: 'msgpack', keyEncoding: 'binary' })
  }

  async write (writes: readonly IndexWrite[]): Promise<void> {
    if (writes.length === 0) return
    this.#throwIfClosed()
    const group = this.#gathering ??= this.#newGroup()
    group.writes.push(writes)
    await group.done
  }

  // One transaction at a time: when one fails, lmdb never tells those who wait for an earlier one to be flushed.
  #newGroup (): Group {
    const writes: (readonly IndexWrite[])[] = []
    const done = this.#idle.then(async () => {
      this.#gathering = undefined
      await this.#commit(writes)
    })
    this.#idle = done.catch(() => { /* told to who wrote */ })
    return { writes, done }
  }

  async #commit (group: readonly (readonly IndexWrite[])[]): Promise<void> {
    try {
      await this.#root.transaction(() => { for (const writes of group) for (const write of writes) this.#apply(write) })
      await this.#root.flushed
      this.#hasFailed = false
    } catch (error) {
      this.#hasFailed = true
      const cause = await causeOf(error)
      throw this.#trouble('written', cause)
    }
  }

  directory (key: DirectoryKey): StoredDirectory | undefined {
    return this.#read(() => {
      const at = directoryKey(key)
      const listing = this.#listings.getBinary(at)
      if (listing === undefined) return undefined
      return { listing: plain(listing), facts: plain(this.#facts.getBinary(at) ?? EMPTY) }
    })
  }

  listing (key: DirectoryKey): Uint8Array | undefined {
    return this.#read(() => {
      const listing = this.#listings.getBinary(directoryKey(key))
      return listing === undefined ? undefined : plain(listing)
    })
  }

  * directories (area: string, after?: RelativePath): Generator<{ readonly directory: RelativePath, readonly files: number }, void, undefined> {
    const range = below(after === undefined ? area + SEPARATOR : `${area}${SEPARATOR}${after}\0`, area + BEHIND)
    for (const key of this.#each(() => this.#listings.getKeys(range))) {
      const directory = key.toString().slice(area.length + 1) as RelativePath
      yield { directory, files: this.#read(() => this.#facts.getBinaryFast(key)?.length ?? 0) / FACT_BYTES }
    }
  }

  areas (): string[] {
    return this.#read(() => [...this.#areas.getKeys()].map(key => key.toString()))
  }

  area (area: string): AreaRecord | undefined {
    return this.#read(() => this.#areas.get(Buffer.from(area)))
  }

  journal (area: string): { readonly number: number, readonly batch: Batch }[] {
    const range = below(area + SEPARATOR, area + BEHIND)
    const records = this.#read(() => [...this.#journal.getRange(range)])
    return records.map(({ key, value }) => ({ number: key.readUInt32BE(key.length - 4), batch: decodeBatch(value) }))
  }

  signature (area: string, path: RelativePath): Uint8Array | undefined {
    return this.#read(() => {
      const signature = this.#signatures.getBinary(directoryKey({ area, directory: path }))
      return signature === undefined ? undefined : plain(signature)
    })
  }

  * damages (area: string): Generator<{ readonly path: RelativePath, readonly records: readonly DamageRecord[] }, void, undefined> {
    const range = below(area + SEPARATOR, area + BEHIND)
    for (const { key, value } of this.#each(() => this.#damages.getRange(range))) {
      yield { path: key.toString().slice(area.length + 1) as RelativePath, records: value.map(decodeDamage) }
    }
  }

  damagesAt (area: string, path: RelativePath): readonly DamageRecord[] {
    return this.#read(() => this.#damages.get(directoryKey({ area, directory: path })) ?? []).map(decodeDamage)
  }

  async close (): Promise<void> {
    if (this.#isClosed) return
    this.#isClosed = true
    await this.#idle
    // lmdb waits for its last transaction to be flushed, and one that failed never is; an empty one always can.
    if (this.#hasFailed) await this.#root.transaction(() => { /* takes the place of the failed one */ })
    await this.#root.close()
  }

  #read<T> (work: () => T): T {
    this.#throwIfClosed()
    try {
      return work()
    } catch (cause) {
      throw this.#trouble('read', cause)
    }
  }

  /** As {@link #read}, for what is read one by one. */
  * #each<T> (range: () => Iterable<T>): Generator<T, void, undefined> {
    this.#throwIfClosed()
    try {
      yield * range()
    } catch (cause) {
      throw this.#trouble('read', cause)
    }
  }

  #trouble (what: 'read' | 'written', cause: unknown): FileSyncError {
    return diskTrouble(cause, this.#directory) ?? (cause instanceof FileSyncError ? cause : damagedIndex(what, cause))
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
    } else if ('damages' in write) {
      const key = directoryKey({ area: write.area, directory: write.path })
      if (write.damages.length === 0) this.#damages.removeSync(key)
      else this.#damages.putSync(key, write.damages.map(encodeDamage))
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

/** For what lmdb answers if pages of its file are not what it wrote there. */
function damagedIndex (what: 'opened' | 'read' | 'written', cause: unknown): FileSyncError {
  const why = cause instanceof Error ? ` (${cause.message})` : ''
  return new FileSyncError('ARCHIVE_UNAVAILABLE', `The archive index cannot be ${what}${why}. If it is damaged, stop the server and delete the folder ` +
    '.filesync/index in the archive; the server then rebuilds it by reading the archive.', { cause })
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

function encodeDamage ({ stored: { listing, facts }, ...record }: DamageRecord): StoredDamage {
  return { ...record, stored: { listing: asBuffer(listing), facts: asBuffer(facts) } }
}

function decodeDamage ({ stored: { listing, facts }, ...record }: StoredDamage): DamageRecord {
  return { ...record, stored: { listing: plain(listing), facts: plain(facts) } }
}

function asBuffer (bytes: Uint8Array): Buffer {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength)
}

/** What made a transaction fail: lmdb tells it in a promise beside the error, which ends the process where nobody waits for it. */
async function causeOf (error: unknown): Promise<unknown> {
  if (!(error instanceof Error && 'commitError' in error)) return error
  try {
    await error.commitError
    return error
  } catch (cause) {
    return cause
  }
}

/** The trouble of the disk that lmdb tells by the number of the system's error; undefined for any other. */
function diskTrouble (error: unknown, directory: string): FileSyncError | undefined {
  const code = codeOf(error)
  // What the disk took a part of before it was full, lmdb calls an error of the disk.
  const isFull = code === 'EIO' && roomOf(directory).freeBytes < FULL_BELOW_BYTES
  return storeTrouble(Object.assign(new Error(code, { cause: error }), { code: isFull ? 'ENOSPC' : code }))
}

function codeOf (error: unknown): string | undefined {
  if (!(error instanceof Error && 'code' in error)) return undefined
  if (error.code === MAP_FULL) return 'ENOSPC'
  return Object.entries(constants.errno).find(([, number]) => number === error.code)?.[0]
}
