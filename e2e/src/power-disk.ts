import { execFileSync } from 'node:child_process'
import { existsSync, mkdirSync, mkdtempSync, renameSync, rmSync, truncateSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { SCRATCH } from './programs.ts'

/** A file system to cut the power of. */
export interface DiskKind {
  readonly name: string
  /** The command that makes it, before the name of the image. */
  readonly format: readonly string[]
  /** Options of its mount. */
  readonly options: string
  /** The archive is on a FUSE file system, whose daemon keeps its files on this one. */
  readonly isBelowFuse: boolean
}

const EXT4 = ['mkfs.ext4', '-q', '-m0', '-F']

function kind (name: string, format: readonly string[], options = 'rw', isBelowFuse = false): DiskKind {
  return { name, format, options, isBelowFuse }
}

/** All that can be tested, with what the system has for it. */
export const DISK_KINDS: readonly DiskKind[] = [
  kind('ext4', EXT4),
  kind('xfs', ['mkfs.xfs', '-q', '-f']),
  kind('btrfs', ['mkfs.btrfs', '-q', '-f']),
  kind('ext4 with data=writeback', EXT4, 'data=writeback'),
  kind('ext4 with commit=300', EXT4, 'commit=300'),
  kind('ext4 with nodelalloc', EXT4, 'nodelalloc'),
  kind('bindfs on ext4', EXT4, 'rw', true),
  kind('bindfs on xfs', ['mkfs.xfs', '-q', '-f'], 'rw', true),
]

/** mkfs.xfs refuses less than 300 MiB. */
const IMAGE_MIB = 640
const UNMOUNT_AGAIN_MS = 50
const UNMOUNT_TRIES = 400
/** Sparse, for two images at a time. */
const HOST_MIB = 3 * IMAGE_MIB

function run (tool: string, ...args: string[]): void {
  execFileSync(tool, args, { stdio: ['ignore', 'ignore', 'pipe'] })
}

function make (path: string, sizeMib: number, format: readonly string[]): void {
  writeFileSync(path, '')
  truncateSync(path, sizeMib << 20)
  const [tool = '', ...args] = format
  run(tool, ...args, path)
}

/** What was killed takes a moment to let go of its files, and XFS and btrfs do not mount a copy while the original is mounted. */
async function unmountWhenIdle (at: string): Promise<void> {
  for (let tries = 0; ; tries++) {
    try {
      run('umount', at)
      return
    } catch (error) {
      if (tries === UNMOUNT_TRIES) throw error
      await sleep(UNMOUNT_AGAIN_MS)
    }
  }
}

/**
 * A disk in an image file, and the image in a file system that copies files by sharing their blocks. Such a copy holds what
 * had reached the disk at one moment, also in the middle of a flush, and nothing of what was only in the system's memory:
 * what a power cut at that moment would leave.
 */
export class PowerDisk {
  /** Where the file system is mounted that is written to. */
  readonly at: string
  readonly #folder: string
  readonly #kind: DiskKind
  readonly #lower: string
  /** What is mounted, in the order in which it was. */
  readonly #mounted: string[] = []
  readonly #onExit = (): void => { this.dispose() }

  /** @param folder an empty directory for the images; @param at an empty directory, or a place for one */
  constructor (folder: string, at: string, kind: DiskKind) {
    this.at = at
    this.#folder = folder
    this.#kind = kind
    this.#lower = kind.isBelowFuse ? join(folder, 'lower') : at
    for (const directory of [join(folder, 'host'), this.#lower, at]) mkdirSync(directory, { recursive: true })
    process.once('exit', this.#onExit)
    try {
      make(join(folder, 'host.img'), HOST_MIB, ['mkfs.xfs', '-q', '-f', '-m', 'reflink=1'])
      this.#mount('-o', 'loop', join(folder, 'host.img'), join(folder, 'host'))
      make(this.#image, IMAGE_MIB, kind.format)
      this.#start()
    } catch (error) {
      this.dispose()
      throw error
    }
  }

  get #image (): string {
    return join(this.#folder, 'host', 'image')
  }

  /** Takes what the disk holds now, ends who uses it, and starts again from what was taken. */
  async cut (end: () => Promise<void>): Promise<void> {
    const taken = `${this.#image}.taken`
    run('cp', '--reflink=always', this.#image, taken)
    await end()
    for (const at of this.#mounted.slice(1).reverse()) {
      await unmountWhenIdle(at)
      this.#mounted.pop()
    }
    rmSync(this.#image)
    renameSync(taken, this.#image)
    this.#start()
  }

  dispose (): void {
    process.off('exit', this.#onExit)
    for (const at of this.#mounted.splice(0).reverse()) run('umount', '-l', at)
    rmSync(join(this.#folder, 'host.img'), { force: true })
  }

  #start (): void {
    this.#mount('-o', `loop,${this.#kind.options}`, this.#image, this.#lower)
    if (!this.#kind.isBelowFuse) return
    run('bindfs', this.#lower, this.at)
    this.#mounted.push(this.at)
  }

  #mount (...args: string[]): void {
    run('mount', ...args)
    this.#mounted.push(args.at(-1) ?? '')
  }
}

/** Why the power of this kind of disk cannot be cut here; undefined if it can. */
export function whyNoPowerCut (kind: DiskKind): string | undefined {
  if (process.platform !== 'linux') return 'images are mounted on Linux only'
  if (kind.isBelowFuse && !existsSync('/dev/fuse')) return 'there is no FUSE here (/dev/fuse)'
  const folder = mkdtempSync(join(SCRATCH, 'filesync-power-'))
  try {
    new PowerDisk(folder, join(folder, 'at'), kind).dispose()
    return undefined
  } catch (error) {
    const needed = `root, loop devices, xfsprogs and the tools of ${kind.name} are needed`
    return `a disk of ${kind.name} cannot be made and mounted here (${needed}): ${(error as Error).message.trim()}`
  } finally {
    rmSync(folder, { recursive: true })
  }
}
