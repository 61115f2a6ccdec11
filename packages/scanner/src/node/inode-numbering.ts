import { lstatSync, statfsSync } from 'node:fs'

/**
 * Magic numbers of Linux file systems whose inode numbers change with a mount, or when the kernel evicts an inode: FAT and
 * exFAT store none on disk, and most FUSE daemons number files as they are looked up.
 */
const UNSTABLE = new Set<bigint>([0x4d44n, 0x2011_bab0n, 0x6573_5546n])

/**
 * Magic numbers of Linux file systems that are changed by this machine alone, so that every change is an event, and that have one name
 * for each entry: ext2 to ext4, XFS, Btrfs, F2FS, ZFS, bcachefs, overlayfs, tmpfs and ramfs.
 */
const WITH_EXACT_NAMES = new Set<bigint>([
  0xef53n, 0x5846_5342n, 0x9123_683en, 0xf2f5_2010n, 0x2fc1_2fc1n, 0xca45_1a4en, 0x794c_7630n, 0x0102_1994n, 0x8584_58f6n,
])

/** Caches for each device whether its inode numbers are stable. */
export class InodeNumbering {
  readonly #known = new Map<bigint, boolean>()
  readonly #exact = new Map<bigint, boolean>()
  #lastDevice: bigint | undefined
  #lastIsStable = true

  /**
   * @param device of a file or a directory
   * @param path returns the path of something on the device; called if the device is not cached. If it now leads elsewhere,
   *   the answer is true and is not cached: file ids that change cost a read, missing ones hide that a file was replaced
   */
  isStable (device: bigint, path: () => string): boolean {
    if (device === this.#lastDevice) return this.#lastIsStable
    let isStable = this.#known.get(device)
    if (isStable === undefined) {
      isStable = hasStableInodes(device, path())
      if (isStable === undefined) return true
      this.#known.set(device, isStable)
    }
    this.#lastDevice = device
    return this.#lastIsStable = isStable
  }

  /**
   * Whether every change in a file system is an event with the name of the entry. Some of its directories may still ignore letter case.
   *
   * @param path of something on the device
   */
  hasExactNames (device: bigint, path: string): boolean {
    let isExact = this.#exact.get(device)
    if (isExact === undefined) {
      isExact = process.platform === 'linux' ? askType(device, path, type => WITH_EXACT_NAMES.has(type)) : false
      if (isExact === undefined) return false
      this.#exact.set(device, isExact)
    }
    return isExact
  }

  /** Clears the cache: another file system may be mounted under the same device number. */
  forget (): void {
    this.#known.clear()
    this.#exact.clear()
    this.#lastDevice = undefined
  }
}

/** Whether the device to which a path leads has stable inode numbers. Undefined if the path leads elsewhere. */
export function hasStableInodes (device: bigint, path: string): boolean | undefined {
  // The numbers of file system types mean something else on other systems.
  return process.platform === 'linux' ? askType(device, path, type => !UNSTABLE.has(type)) : true
}

/** The answer for the type of the file system to which a path leads. Undefined if the path leads to another device. */
function askType (device: bigint, path: string, answer: (type: bigint) => boolean): boolean | undefined {
  try {
    const { type } = statfsSync(path, { bigint: true })
    // Unlike lstat, statfs follows a symbolic link that may have replaced the entry meanwhile.
    return lstatSync(path, { bigint: true }).dev === device ? answer(type) : undefined
  } catch {
    return undefined
  }
}
