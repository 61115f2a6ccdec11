import type { NodeId } from './directory-node.ts'

/**
 * The result of `lstat` for one name. One record is reused for all names and keeps 64-bit numbers in typed arrays: an object
 * and half a dozen bigints for each of a million files would keep the garbage collector busy.
 */
export class EntryStat {
  /** Type and permission bits together, as in POSIX. */
  mode = 0
  sizeBytes = 0
  /** Rounded; the exact time is in `numbers`. */
  mtimeMs = 0
  ctimeMs = 0
  /** Device, inode, and time of birth in nanoseconds. */
  readonly ids: BigUint64Array = new BigUint64Array(3)
  /** A file's fields in a listing: mtime in nanoseconds, mode, size in bytes and file id. The last three are set by the reader. */
  readonly numbers: BigInt64Array = new BigInt64Array(4)
  /** The same memory as 32-bit halves, low half first. */
  readonly idHalves: Uint32Array = new Uint32Array(this.ids.buffer)
  readonly halves: Uint32Array = new Uint32Array(this.numbers.buffer)
  /** Inode and time of birth, and the file id that is derived from them. */
  readonly fileIdInput: Uint32Array = this.idHalves.subarray(2)
  readonly fileIdHalves: Uint32Array = this.halves.subarray(6)

  get dev (): bigint { return this.ids[0] ?? 0n }
  get ino (): bigint { return this.ids[1] ?? 0n }
  get mtimeNs (): bigint { return this.numbers[0] ?? 0n }
  /**
   * The id of a directory; call it after `writeFileId`. Roots of different disks that are mounted in a source often have the same inode
   * number and time of birth.
   */
  get nodeId (): NodeId {
    const [low = 0, high = 0] = this.fileIdHalves
    const [deviceLow = 0, deviceHigh = 0] = this.idHalves
    return { idLow: low ^ deviceLow, idHigh: high ^ deviceHigh }
  }

  get fileId (): bigint { return BigInt.asUintN(64, this.numbers[3] ?? 0n) }
}

export type EntryType = 'file' | 'directory' | 'symlink' | 'special'

const TYPE_MASK = 0o170000
const REGULAR = 0o100000
const DIRECTORY = 0o040000
const SYMLINK = 0o120000

/** The type of an entry by its mode bits. Devices, sockets and pipes are `special`. */
export function entryType (mode: number): EntryType {
  switch (mode & TYPE_MASK) {
    case REGULAR: return 'file'
    case DIRECTORY: return 'directory'
    case SYMLINK: return 'symlink'
    default: return 'special'
  }
}
