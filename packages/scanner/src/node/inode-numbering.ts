import { lstatSync, statfsSync } from 'node:fs'

/**
 * Magic numbers of Linux file systems whose inode numbers change with a mount, or when the kernel evicts an inode: FAT and
 * exFAT store none on disk, and most FUSE daemons number files as they are looked up.
 */
const UNSTABLE = new Set<bigint>([0x4d44n, 0x2011_bab0n, 0x6573_5546n])

/** Caches for each device whether its inode numbers are stable. */
export class InodeNumbering {
  readonly #known = new Map<bigint, boolean>()
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

  /** Clears the cache: another file system may be mounted under the same device number. */
  forget (): void {
    this.#known.clear()
    this.#lastDevice = undefined
  }
}

/** Whether the device to which a path leads has stable inode numbers. Undefined if the path leads elsewhere. */
export function hasStableInodes (device: bigint, path: string): boolean | undefined {
  // The numbers of file system types mean something else on other systems.
  if (process.platform !== 'linux') return true
  try {
    const { type } = statfsSync(path, { bigint: true })
    // Unlike lstat, statfs follows a symbolic link that may have replaced the entry meanwhile.
    return lstatSync(path, { bigint: true }).dev === device ? !UNSTABLE.has(type) : undefined
  } catch {
    return undefined
  }
}
