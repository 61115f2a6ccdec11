import { constants } from 'node:os'
import { FileSyncError } from '@filesync/protocol'
import type { Digest, Name, RelativePath } from '@filesync/protocol'
import { hashBytes } from '@filesync/protocol/node'
import type { Database, RootDatabase, RootDatabaseOptionsWithPath } from 'lmdb'
import type { ArchiveIndex, AreaRecord, DamageRecord, DirectoryKey, IndexWrite } from '../store/archive-index.ts'
import type { StoredDirectory } from '../store/fold.ts'
import { isPaged } from '../store/stored-pages.ts'
import type { FoundPage, StoredPages } from '../store/stored-pages.ts'
import type { Batch } from '../store/section.ts'
import { roomOf } from './file-system.ts'
import { loadLmdb } from './load-lmdb.ts'
import { forgetArea, moveArea } from './lmdb-areas.ts'
import type { AreaDatabases } from './lmdb-areas.ts'
import { LmdbDirectories } from './lmdb-directories.ts'
import { ensureLmdbFile, ensureLmdbRoom, lmdbFileBytes } from './lmdb-file.ts'
import {
  asBuffer, copyOf, decodeBatch, decodeDamage, directoryKey, encodeBatch, encodeDamage, journalKey, keysOf,
} from './lmdb-records.ts'
import type { JournalRecord, StoredDamage } from './lmdb-records.ts'
import { storeError } from './disk-errors.ts'

/** Virtual memory, which takes nothing from the disk: enough for some 100 million files. */
const MAP_BYTES = 64 * 2 ** 30
/** How much may still be free after a write that the disk had no room for. */
const FULL_BELOW_BYTES = 65_536
/** MDB_MAP_FULL. */
const MAP_FULL = -30_792
/** A write may replace this share of the index, or the first of these limits if that is more, but never more than the second. */
const STEP_SHARE = 1 / 32
const STEP_BYTES_MIN = 1 << 19
const STEP_BYTES_MAX = 16 << 20
/** Damaged paths that are read at once while they are listed; see `LmdbDirectories`. */
const DAMAGES_AT_ONCE = 256

/** lmdb's type declarations omit `safeRestore`. */
const OPTIONS: Omit<RootDatabaseOptionsWithPath, 'path'> & { readonly safeRestore: boolean } = {
  mapSize: MAP_BYTES, maxDbs: 12, cache: false, encoding: 'binary', keyEncoding: 'binary',
  // With it, a failed transaction also rejects a promise inside lmdb that nothing handles, which ends the process.
  eventTurnBatching: false,
  // Never read what was not flushed. By default lmdb considers it written as long as the system has not restarted, but a disk that
  // was pulled out and plugged in again has lost it.
  safeRestore: true,
}

type Bytes = Database<Buffer, Buffer>

/** Writes that share one transaction. */
interface Group {
  readonly writes: (readonly IndexWrite[])[]
  /** Resolves when the transaction is on the disk. */
  readonly done: Promise<void>
}

/** Opens the index that has a directory to itself. Throws ARCHIVE_UNAVAILABLE, ARCHIVE_FULL. */
export function openLmdbIndex (directory: string): ArchiveIndex {
  const { open } = loadLmdb()
  try {
    ensureLmdbFile(directory)
    ensureLmdbRoom(directory)
    const root = open<Buffer, Buffer>({ ...OPTIONS, path: directory })
    return new LmdbIndex(root, directory)
  } catch (cause) {
    throw diskError(cause, directory) ?? storeError(cause) ?? indexUnusable('opened', cause)
  }
}

class LmdbIndex implements ArchiveIndex {
  readonly #root: RootDatabase<Buffer, Buffer>
  readonly #directory: string
  readonly #directories: LmdbDirectories
  readonly #signatures: Bytes
  readonly #areas: Database<AreaRecord, Buffer>
  readonly #journal: Database<JournalRecord, Buffer>
  readonly #damages: Database<readonly StoredDamage[], Buffer>
  #gathering: Group | undefined
  /** Resolves when nothing is being written, whether or not that succeeded. */
  #idle: Promise<unknown> = Promise.resolve()
  #hasFailed = false
  #stepBytes: number | undefined
  #isClosed = false

  constructor (root: RootDatabase<Buffer, Buffer>, directory: string) {
    this.#directory = directory
    this.#root = root
    this.#directories = new LmdbDirectories(root, hashBytes)
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

  // One transaction at a time: if one fails, lmdb never settles the promises of those that wait for an earlier one to be flushed.
  #newGroup (): Group {
    const writes: (readonly IndexWrite[])[] = []
    const done = this.#idle.then(async () => {
      this.#gathering = undefined
      await this.#commit(writes)
    })
    this.#idle = done.catch(() => { /* reported to the writers */ })
    return { writes, done }
  }

  async #commit (group: readonly (readonly IndexWrite[])[]): Promise<void> {
    try {
      await this.#root.transaction(() => { for (const writes of group) for (const write of writes) this.#apply(write) })
      await this.#root.flushed
      this.#hasFailed = false
      this.#stepBytes = undefined
    } catch (error) {
      this.#hasFailed = true
      const cause = await causeOf(error)
      throw this.#toError('written', cause)
    }
  }

  get stepBytes (): number {
    return this.#stepBytes ??= Math.min(STEP_BYTES_MAX, Math.max(STEP_BYTES_MIN, lmdbFileBytes(this.#directory) * STEP_SHARE))
  }

  directory (key: DirectoryKey): StoredDirectory | undefined {
    return this.#read(() => this.#directories.directory(key))
  }

  listing (key: DirectoryKey): Uint8Array | undefined {
    return this.#read(() => this.#directories.listing(key))
  }

  stored (key: DirectoryKey): StoredDirectory | StoredPages | undefined {
    const stored = this.#read(() => this.#directories.stored(key))
    return stored === undefined || !isPaged(stored) ? stored : this.#guarded(stored)
  }

  pages (key: DirectoryKey): StoredPages | undefined {
    const pages = this.#read(() => this.#directories.pages(key))
    return pages === undefined ? undefined : this.#guarded(pages)
  }

  page (key: DirectoryKey, name: Name): FoundPage | undefined {
    return this.#read(() => this.#directories.page(key, name))
  }

  digest (key: DirectoryKey): Digest | undefined {
    return this.#read(() => this.#directories.digest(key))
  }

  directories (area: string, after?: RelativePath): Iterable<{ readonly directory: RelativePath, readonly files: number }> {
    return this.#each(() => this.#directories.directories(area, after))
  }

  areas (): string[] {
    return this.#read(() => [...this.#areas.getKeys()].map(key => key.toString()))
  }

  area (area: string): AreaRecord | undefined {
    return this.#read(() => this.#areas.get(Buffer.from(area)))
  }

  journal (area: string): { readonly number: number, readonly batch: Batch }[] {
    const records = this.#read(() => [...this.#journal.getRange(keysOf(area))])
    return records.map(({ key, value }) => ({ number: key.readUInt32BE(key.length - 4), batch: decodeBatch(value) }))
  }

  signature (area: string, path: RelativePath): Uint8Array | undefined {
    return this.#read(() => {
      const signature = this.#signatures.getBinary(directoryKey({ area, directory: path }))
      return signature === undefined ? undefined : copyOf(signature)
    })
  }

  * damages (area: string): Generator<{ readonly path: RelativePath, readonly records: readonly DamageRecord[] }, void, undefined> {
    for (let last: string | undefined; ;) {
      const found = this.#read(() => [...this.#damages.getRange({ ...keysOf(area, last), limit: DAMAGES_AT_ONCE })])
      for (const { key, value } of found) {
        last = key.toString().slice(area.length + 1)
        yield { path: last as RelativePath, records: value.map(decodeDamage) }
      }
      if (found.length < DAMAGES_AT_ONCE) return
    }
  }

  damagesAt (area: string, path: RelativePath): readonly DamageRecord[] {
    return this.#read(() => this.#damages.get(directoryKey({ area, directory: path })) ?? []).map(decodeDamage)
  }

  async close (): Promise<void> {
    if (this.#isClosed) return
    this.#isClosed = true
    await this.#idle
    // lmdb waits for its last transaction to be flushed. A failed one never is, but an empty one always can be.
    if (this.#hasFailed) await this.#root.transaction(() => { /* becomes the last one */ })
    await this.#root.close()
  }

  #read<T> (work: () => T): T {
    this.#throwIfClosed()
    try {
      return work()
    } catch (cause) {
      throw this.#toError('read', cause)
    }
  }

  /** As {@link #read}, for records that are read one by one. */
  * #each<T> (range: () => Iterable<T>): Generator<T, void, undefined> {
    const records = range()[Symbol.iterator]()
    for (;;) {
      // Each by itself: the index may be closed in between.
      const next = this.#read(() => records.next())
      if (next.done === true) return
      yield next.value
    }
  }

  /** The same pages, whose contents are read as {@link #read} does. */
  #guarded (pages: StoredPages): StoredPages {
    return {
      leaves: pages.leaves,
      tree: () => pages.tree(),
      read: leaf => this.#read(() => pages.read(leaf)),
      listing: leaf => this.#read(() => pages.listing(leaf)),
    }
  }

  #toError (what: 'read' | 'written', cause: unknown): FileSyncError {
    return diskError(cause, this.#directory) ?? (cause instanceof FileSyncError ? cause : indexUnusable(what, cause))
  }

  // lmdb reports a read after its close by throwing an error from a timer, where nothing can catch it.
  #throwIfClosed (): void {
    if (this.#isClosed) throw new FileSyncError('ABORTED', 'The archive is closed.')
  }

  #apply (write: IndexWrite): void {
    if ('put' in write) {
      this.#directories.put(write.put, write.stored)
    } else if ('patch' in write) {
      this.#directories.patch(write.patch, write.leaves)
    } else if ('rewrite' in write) {
      this.#directories.rewrite(write.rewrite, write.pages)
    } else if ('drop' in write) {
      this.#directories.drop(write.drop, write.recursive)
    } else if ('renamedTo' in write) {
      const { renamingTo: _, ...record } = this.#areas.get(Buffer.from(write.area)) ?? { open: false, lastStampMs: 0 }
      moveArea(this.#databases, write.area, { to: write.renamedTo, value: record })
    } else if ('forgotten' in write) {
      forgetArea(this.#databases, write.area)
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

  get #databases (): AreaDatabases {
    return { areas: this.#areas, others: [...this.#directories.databases, this.#signatures, this.#journal, this.#damages] }
  }
}

/** For the errors of lmdb when pages of its file are not what it wrote. */
function indexUnusable (what: 'opened' | 'read' | 'written', cause: unknown): FileSyncError {
  const why = cause instanceof Error ? ` (${cause.message})` : ''
  return new FileSyncError('ARCHIVE_UNAVAILABLE', `The archive index cannot be ${what}${why}. If it is damaged, stop the server and ` +
    'delete the folder .filesync/index in the archive; the server then rebuilds it by reading the archive.', { cause })
}

/** Why a transaction failed: lmdb attaches the cause to the error as a rejected promise, which ends the process unless it is awaited. */
async function causeOf (error: unknown): Promise<unknown> {
  if (!(error instanceof Error && 'commitError' in error)) return error
  try {
    await error.commitError
    return error
  } catch (cause) {
    return cause
  }
}

/** The error of the disk that lmdb reports by the system's error number; undefined for other errors. */
function diskError (error: unknown, directory: string): FileSyncError | undefined {
  const code = codeOf(error)
  // If the disk becomes full in the middle of a write, lmdb reports an I/O error.
  const isFull = code === 'EIO' && roomOf(directory).freeBytes < FULL_BELOW_BYTES
  return storeError(Object.assign(new Error(code, { cause: error }), { code: isFull ? 'ENOSPC' : code }))
}

function codeOf (error: unknown): string | undefined {
  if (!(error instanceof Error && 'code' in error)) return undefined
  if (error.code === MAP_FULL) return 'ENOSPC'
  return Object.entries(constants.errno).find(([, number]) => number === error.code)?.[0]
}
