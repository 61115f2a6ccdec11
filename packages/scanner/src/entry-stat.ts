/**
 * What is read of one name without following it. One record is written anew for each name, and keeps numbers of 64 bits in
 * arrays: an object and half a dozen big integers for each of a million files would keep the collector busy.
 */
export class EntryStat {
  /** Type and permission bits together, as in POSIX. */
  mode = 0
  sizeBytes = 0
  /** To within a thousandth; exact in `numbers`. */
  mtimeMs = 0
  ctimeMs = 0
  /** Device, inode, and time of birth in nanoseconds. */
  readonly ids: BigUint64Array = new BigUint64Array(3)
  /** What a listing holds of a file: mtime in nanoseconds, permissions, size in bytes and file id, the last three once they are known. */
  readonly numbers: BigInt64Array = new BigInt64Array(4)
  /** The same memory in halves of 32 bits, the lower first. */
  readonly idHalves: Uint32Array = new Uint32Array(this.ids.buffer)
  readonly halves: Uint32Array = new Uint32Array(this.numbers.buffer)
  /** Inode and time of birth, and the file id that is made from them. */
  readonly fileIdInput: Uint32Array = this.idHalves.subarray(2)
  readonly fileIdHalves: Uint32Array = this.halves.subarray(6)

  get dev (): bigint { return this.ids[0] ?? 0n }
  get ino (): bigint { return this.ids[1] ?? 0n }
  get mtimeNs (): bigint { return this.numbers[0] ?? 0n }
  get fileId (): bigint { return BigInt.asUintN(64, this.numbers[3] ?? 0n) }
}

export type EntryType = 'file' | 'directory' | 'symlink' | 'special'

const TYPE_MASK = 0o170000
const REGULAR = 0o100000
const DIRECTORY = 0o040000
const SYMLINK = 0o120000

/** The kind of thing that mode bits tell of. Devices, sockets and pipes are `special`. */
export function entryType (mode: number): EntryType {
  switch (mode & TYPE_MASK) {
    case REGULAR: return 'file'
    case DIRECTORY: return 'directory'
    case SYMLINK: return 'symlink'
    default: return 'special'
  }
}
