import * as disk from './disk.ts'

/** The whole index; the lock file beside it has nothing that outlives a process. */
export const LMDB_FILE = 'data.mdb'
const LOCK_FILE = 'lock.mdb'
/** More than LMDB needs for its table of 126 readers. */
const LOCK_FILE_BYTES = 16_384
const ROOM_FILE = 'room'
/** More than a new index and its lock file need. */
const NEW_FILE_BYTES = 262_144

/** With 32-bit addresses the meta pages have another layout, and are not checked. */
const IS_64_BIT = !['arm', 'ia32', 'mips', 'mipsel'].includes(process.arch)
/** Offsets in LMDB's meta pages with 64-bit addresses (struct MDB_page and MDB_meta in its mdb.c, data version 2). */
const MAGIC_AT = 24
const MAGIC = 0xbeefc0de
const PAGE_BYTES_AT = 48
const FLAGS_AT = 52
/** MDB_OVERLAPPINGSYNC: the state that this meta page describes may not be flushed. */
const UNFLUSHED = 0x1000
const ROOTS_AT = [88, 136]
const TRANSACTION_AT = 152
const META_BYTES = 160
/** The root of an empty tree. */
const NO_PAGE = 2n ** 64n - 1n
const PAGE_BYTES_MAX = 65_536

/** One meta page; transaction 0 if it was never written. */
interface Meta {
  readonly magic: number
  readonly pageBytes: number
  readonly roots: readonly bigint[]
  readonly transaction: bigint
  /** Whether its state was known to be on the disk when the page was written. */
  readonly isFlushed: boolean
}

/**
 * Checks the LMDB file in a directory before it is mapped into memory, where a damaged file would end the process by a signal that
 * cannot be caught. Throws if the file does not begin like one of LMDB, or if the roots of the last flushed state are past the end of
 * the file. LMDB itself creates a file that is missing or empty. A file that never had a state flushed is removed: no write to it was
 * ever reported as done, and LMDB would read its zeros as a state.
 */
export function ensureLmdbFile (directory: string): void {
  const prefix = `${directory}/`
  if (!IS_64_BIT || !disk.existsAt(prefix, LMDB_FILE)) return
  const fd = disk.readAt(prefix, LMDB_FILE)
  try {
    const { sizeBytes } = disk.statOf(fd)
    if (sizeBytes > 0 && ensureWhole(fd, BigInt(sizeBytes)) === 'never flushed') disk.unlinkAt(prefix, LMDB_FILE)
  } finally {
    disk.close(fd)
  }
}

/** Size of the file; 0 if there is none. */
export function lmdbFileBytes (directory: string): number {
  return disk.statAt(`${directory}/`, LMDB_FILE)?.sizeBytes ?? 0
}

/**
 * Ensures that LMDB has the room that it needs to open. Without it, the process is ended by a signal when LMDB creates its file or
 * writes to its table of readers, which it maps into memory. No other process may have the index open. Throws ENOSPC and the like.
 */
export function ensureLmdbRoom (directory: string): void {
  const prefix = `${directory}/`
  if (lmdbFileBytes(directory) === 0) checkRoom(prefix)
  const fd = disk.continueAt(prefix, LOCK_FILE)
  try {
    // The entries of a process that has ended mean nothing to the next one.
    if (disk.statOf(fd).sizeBytes === 0 || disk.hasHole(fd)) disk.writeAll(fd, new Uint8Array(LOCK_FILE_BYTES), 0)
  } finally {
    disk.close(fd)
  }
}

function checkRoom (prefix: string): void {
  const fd = disk.continueAt(prefix, ROOM_FILE)
  try {
    disk.writeAll(fd, new Uint8Array(NEW_FILE_BYTES), 0)
  } finally {
    disk.close(fd)
    disk.unlinkAt(prefix, ROOM_FILE)
  }
}

function ensureWhole (fd: number, sizeBytes: bigint): 'whole' | 'never flushed' {
  const first = readMeta(fd, 0)
  const { pageBytes } = first
  if (first.magic !== MAGIC || pageBytes < META_BYTES || pageBytes > PAGE_BYTES_MAX) throw new Error('it is not an LMDB file')
  const second = readMeta(fd, pageBytes)
  if (second.magic !== MAGIC) throw new Error('it is not an LMDB file')
  // The later of the two pages may describe a state that never reached the disk. The last flushed state is recorded between them.
  const durable = readMeta(fd, pageBytes / 2)
  const isUnflushed = ({ isFlushed, transaction }: Meta): boolean => !isFlushed || transaction === 0n
  const wasWritten = first.transaction + second.transaction > 0n
  if (durable.transaction === 0n && wasWritten && [first, second].every(isUnflushed)) return 'never flushed'
  const hasRoots = ({ roots }: Meta): boolean => roots.every(page => page === NO_PAGE || (page + 1n) * BigInt(pageBytes) <= sizeBytes)
  if (durable.transaction > 0n ? !hasRoots(durable) : !hasRoots(first) && !hasRoots(second)) throw new Error('it is truncated')
  return 'whole'
}

function readMeta (fd: number, position: number): Meta {
  const bytes = new Uint8Array(META_BYTES)
  disk.readInto(fd, bytes, position)
  // LMDB writes numbers in the byte order of the machine.
  const words = new Uint32Array(bytes.buffer)
  const longs = new BigUint64Array(bytes.buffer)
  return {
    magic: words[MAGIC_AT / 4] ?? 0,
    pageBytes: words[PAGE_BYTES_AT / 4] ?? 0,
    roots: ROOTS_AT.map(at => longs[at / 8] ?? NO_PAGE),
    transaction: longs[TRANSACTION_AT / 8] ?? 0n,
    isFlushed: ((words[FLAGS_AT / 4] ?? 0) & UNFLUSHED) === 0,
  }
}
