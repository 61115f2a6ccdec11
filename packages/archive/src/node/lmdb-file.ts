import * as disk from './disk.ts'

/** All that an index is; the other file holds nothing that outlives a process. */
export const LMDB_FILE = 'data.mdb'
const LOCK_FILE = 'lock.mdb'
/** More than LMDB takes for its 126 readers. */
const LOCK_FILE_BYTES = 16_384
const ROOM_FILE = 'room'
/** More than a new index takes, with its lock file. */
const NEW_FILE_BYTES = 262_144

/** Where addresses have 32 bits the meta pages are laid out otherwise, and are taken as they are. */
const IS_64_BIT = !['arm', 'ia32', 'mips', 'mipsel'].includes(process.arch)
/** Places in LMDB's meta pages (struct MDB_page and MDB_meta in its mdb.c, data version 2), where addresses have 64 bits. */
const MAGIC_AT = 24
const MAGIC = 0xbeefc0de
const PAGE_BYTES_AT = 48
const FLAGS_AT = 52
/** MDB_OVERLAPPINGSYNC: the state of this meta page is not known to be flushed. */
const UNFLUSHED = 0x1000
const ROOTS_AT = [88, 136]
const TRANSACTION_AT = 152
const META_BYTES = 160
/** The root of a tree that is empty. */
const NO_PAGE = 2n ** 64n - 1n
const PAGE_BYTES_MAX = 65_536

/** What one meta page says; 0 transactions where it was never written. */
interface Meta {
  readonly magic: number
  readonly pageBytes: number
  readonly roots: readonly bigint[]
  readonly transaction: bigint
  /** Whether its state was known to be on the disk when it was written. */
  readonly isFlushed: boolean
}

/**
 * Looks at the file of LMDB in a directory before it is mapped into memory, where a damaged one ends the process by a signal that nobody can
 * catch. Throws where its beginning is none of LMDB's, or where the state that was written out last has its roots behind the
 * end of the file. LMDB makes a file that is missing or empty. One of which no state was ever flushed is removed: nothing that
 * anybody waited for is in it, and LMDB takes its zeros for a state.
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

/**
 * Sees to it that LMDB finds the room that it needs to open: without, it is ended by a signal, where it makes its file and where it writes to
 * its table of readers, which it maps into memory. Nobody else may have the index open. Throws ENOSPC and the like.
 */
export function ensureLmdbRoom (directory: string): void {
  const prefix = `${directory}/`
  if ((disk.statAt(prefix, LMDB_FILE)?.sizeBytes ?? 0) === 0) tryRoom(prefix)
  const fd = disk.continueAt(prefix, LOCK_FILE)
  try {
    // What is there of a process that ended says nothing to the next one.
    if (disk.statOf(fd).sizeBytes === 0 || disk.hasHole(fd)) disk.writeAll(fd, new Uint8Array(LOCK_FILE_BYTES), 0)
  } finally {
    disk.close(fd)
  }
}

function tryRoom (prefix: string): void {
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
  // Of the two, the later one may be of a state that never got to the disk. What did is written down once more between them.
  const durable = readMeta(fd, pageBytes / 2)
  const isUnflushed = ({ isFlushed, transaction }: Meta): boolean => !isFlushed || transaction === 0n
  if (durable.transaction === 0n && first.transaction + second.transaction > 0n && [first, second].every(isUnflushed)) return 'never flushed'
  const hasRoots = ({ roots }: Meta): boolean => roots.every(page => page === NO_PAGE || (page + 1n) * BigInt(pageBytes) <= sizeBytes)
  if (durable.transaction > 0n ? !hasRoots(durable) : !hasRoots(first) && !hasRoots(second)) throw new Error('it is truncated')
  return 'whole'
}

function readMeta (fd: number, position: number): Meta {
  const bytes = new Uint8Array(META_BYTES)
  disk.readInto(fd, bytes, position)
  // LMDB writes numbers as the machine has them.
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
