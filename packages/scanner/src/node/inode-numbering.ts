import { lstatSync, statfsSync } from 'node:fs'

/**
 * Magic numbers of Linux file systems that give a file another inode number after a mount, or as soon as the kernel has
 * forgotten it: FAT and exFAT have none on disk, and most FUSE daemons count up as files are looked up.
 */
const UNSTABLE = new Set<bigint>([0x4d44n, 0x2011_bab0n, 0x6573_5546n])

/** Tells of devices whether their inode numbers last. */
export class InodeNumbering {
  readonly #known = new Map<bigint, boolean>()
  #lastDevice: bigint | undefined
  #lastLasts = true

  /**
   * @param device of a file or a directory
   * @param path of something on the device, called if the device is not known. If the path leads elsewhere by now, the answer
   *   is true and is not remembered: file ids that change cost a read, missing ones hide that a file was exchanged
   */
  lasts (device: bigint, path: () => string): boolean {
    if (device === this.#lastDevice) return this.#lastLasts
    let lasts = this.#known.get(device)
    if (lasts === undefined) {
      lasts = areNumbersKept(device, path())
      if (lasts === undefined) return true
      this.#known.set(device, lasts)
    }
    this.#lastDevice = device
    return this.#lastLasts = lasts
  }

  /** Another file system may be mounted under the number of a device. */
  forget (): void {
    this.#known.clear()
    this.#lastDevice = undefined
  }
}

/** Undefined if the path does not lead to the device, or no longer. */
function areNumbersKept (device: bigint, path: string): boolean | undefined {
  // The numbers of file system types mean something else on other systems.
  if (process.platform !== 'linux') return true
  try {
    const { type } = statfsSync(path, { bigint: true })
    // Unlike lstat, statfs follows a symbolic link that took the name meanwhile.
    return lstatSync(path, { bigint: true }).dev === device ? !UNSTABLE.has(type) : undefined
  } catch {
    return undefined
  }
}
