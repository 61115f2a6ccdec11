/** What is read of one name without following it. Node's BigIntStats has this shape. */
export interface EntryStat {
  readonly dev: bigint
  readonly ino: bigint
  /** Type and permission bits together, as in POSIX. */
  readonly mode: bigint
  readonly size: bigint
  readonly mtimeNs: bigint
  readonly ctimeNs: bigint
  readonly birthtimeNs: bigint
}

export type EntryType = 'file' | 'directory' | 'symlink' | 'special'

const TYPE_MASK = 0o170000
const REGULAR = 0o100000
const DIRECTORY = 0o040000
const SYMLINK = 0o120000
const INT64_MIN = -(2n ** 63n)
const INT64_MAX = 2n ** 63n - 1n

/** The kind of thing that mode bits tell of. Devices, sockets and pipes are `special`. */
export function entryType (mode: number): EntryType {
  switch (mode & TYPE_MASK) {
    case REGULAR: return 'file'
    case DIRECTORY: return 'directory'
    case SYMLINK: return 'symlink'
    default: return 'special'
  }
}

/** A time as a listing can hold it. */
export function clampTimeNs (timeNs: bigint): bigint {
  return timeNs > INT64_MAX ? INT64_MAX : timeNs < INT64_MIN ? INT64_MIN : timeNs
}
