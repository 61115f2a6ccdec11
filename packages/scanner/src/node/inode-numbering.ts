import { statfsSync } from 'node:fs'

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

  /** @param path of something on the device, asked for where the device was not met before */
  lasts (device: bigint, path: () => string): boolean {
    if (device === this.#lastDevice) return this.#lastLasts
    let lasts = this.#known.get(device)
    if (lasts === undefined) this.#known.set(device, lasts = areNumbersKept(path()))
    this.#lastDevice = device
    return this.#lastLasts = lasts
  }

  /** Another file system may be mounted under the number of a device. */
  forget (): void {
    this.#known.clear()
    this.#lastDevice = undefined
  }
}

function areNumbersKept (path: string): boolean {
  // The numbers of file system types mean something else on other systems.
  if (process.platform !== 'linux') return true
  try {
    return !UNSTABLE.has(statfsSync(path, { bigint: true }).type)
  } catch {
    // A symbolic link that took its place leads nowhere, or it is gone: the next look at the directory tells.
    return false
  }
}
