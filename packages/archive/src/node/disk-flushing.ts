import { randomBytes } from 'node:crypto'
import { errnoOf } from '@filesync/protocol'
import type { Beneath } from './beneath.ts'
import { flushDirectory } from './disk-directories.ts'
import { inside, STAGING } from './disk-places.ts'
import * as disk from './disk.ts'

/**
 * How the writes of a worker reach stable storage. `whole`: by one call for the whole file system, made elsewhere. `each`: file by
 * file and directory by directory. `relayed`: the same, but through another program or machine that may not flush directories.
 */
export type FlushMode = 'whole' | 'each' | 'relayed'

/** Errors for a name that has moved since it was noted; it was noted again at its new place. */
const GONE = new Set(['ENOENT', 'ENOTDIR', 'ELOOP', 'ENOTREG'])

/** Flushes what one disk worker changed. Does nothing if the file system is flushed as a whole. */
export class DiskFlushing {
  readonly #mode: FlushMode
  readonly #beneath: Beneath
  readonly #directories = new Set<string>()
  readonly #files = new Map<string, readonly [directory: string, name: string]>()

  constructor (beneath: Beneath, mode: FlushMode) {
    this.#beneath = beneath
    this.#mode = mode
  }

  /** Flushes the content of an open file. */
  written (fd: number): void {
    if (this.#mode !== 'whole') disk.syncFile(fd)
  }

  /** Names were added to a directory of an area, or removed from it. */
  changed (area: string, directory = ''): void {
    if (this.#mode !== 'whole') this.#directories.add(inside(area, directory))
  }

  /** As {@link changed}, for a directory that may have been created together with some of those above it. */
  made (directory: string, below: string): void {
    if (this.#mode === 'whole') return
    for (let path = directory; path.length >= below.length && path !== ''; path = path.slice(0, Math.max(path.lastIndexOf('/'), 0))) {
      this.#directories.add(path)
    }
  }

  /** A file was given this name. On a relaying file system, only flushing the file itself is certain to flush its name. */
  named (area: string, directory: string, name: string): void {
    if (this.#mode === 'whole') return
    const at = inside(area, directory)
    this.#directories.add(at)
    if (this.#mode === 'relayed') this.#files.set(`${at}/${name}`, [at, name])
  }

  /** Flushes everything that was noted; it is on stable storage when this returns. */
  flush (): void {
    if (this.#directories.size === 0) return
    for (const [directory, name] of this.#files.values()) this.#ignoreIfGone(() => { this.#flushFile(directory, name) })
    for (const directory of this.#directories) this.#ignoreIfGone(() => { flushDirectory(this.#beneath, directory) })
    if (this.#mode === 'relayed') this.#flushNewFile()
    this.#files.clear()
    this.#directories.clear()
  }

  #flushFile (directory: string, name: string): void {
    this.#beneath.trim()
    const fd = disk.readAt(this.#beneath.open(directory), name)
    try {
      disk.syncFile(fd)
    } finally {
      disk.close(fd)
    }
  }

  /** ext4 and XFS write their changes in order: once a file that is newer than all of them is on the disk, they are too. */
  #flushNewFile (): void {
    const prefix = this.#beneath.open(STAGING, 'make')
    const name = `flush-${randomBytes(6).toString('hex')}`
    const fd = disk.createAt(prefix, name, 0o600)
    try {
      disk.writeAll(fd, Uint8Array.of(1))
      disk.syncFile(fd)
    } finally {
      disk.close(fd)
      this.#ignoreIfGone(() => { disk.unlinkAt(prefix, name) })
    }
  }

  #ignoreIfGone (work: () => void): void {
    this.#beneath.trim()
    try {
      work()
    } catch (error) {
      if (!GONE.has(errnoOf(error))) throw error
    }
  }
}
