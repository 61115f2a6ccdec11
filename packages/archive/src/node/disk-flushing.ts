import { randomBytes } from 'node:crypto'
import { errnoOf } from '@filesync/protocol'
import type { Beneath } from './beneath.ts'
import { flushDirectory } from './disk-directories.ts'
import { inside, STAGING } from './disk-places.ts'
import * as disk from './disk.ts'

/**
 * How what a worker writes gets to stable storage. `whole`: by one call for the file system, which is made elsewhere. `each`: file by
 * file and directory by directory. `relayed`: the same, by way of another program or machine that may not flush directories.
 */
export type FlushMode = 'whole' | 'each' | 'relayed'

/** What became of a name since it was noted; it is noted again at its new place. */
const GONE = new Set(['ENOENT', 'ENOTDIR', 'ELOOP', 'ENOTREG'])

/** Flushes what one disk worker changed. Costs nothing where the file system is flushed as a whole. */
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

  /** Names came to a directory of an area, or left it. */
  changed (area: string, directory = ''): void {
    if (this.#mode !== 'whole') this.#directories.add(inside(area, directory))
  }

  /** As {@link changed}, of a directory that may have been made together with some of those above it. */
  made (directory: string, below: string): void {
    if (this.#mode === 'whole') return
    for (let path = directory; path.length >= below.length && path !== ''; path = path.slice(0, Math.max(path.lastIndexOf('/'), 0))) this.#directories.add(path)
  }

  /** A file got this name. What is relayed has its name flushed for certain only with the file itself. */
  named (area: string, directory: string, name: string): void {
    if (this.#mode === 'whole') return
    const at = inside(area, directory)
    this.#directories.add(at)
    if (this.#mode === 'relayed') this.#files.set(`${at}/${name}`, [at, name])
  }

  /** Everything that was noted is on stable storage when it returns. */
  flush (): void {
    if (this.#directories.size === 0) return
    for (const [directory, name] of this.#files.values()) this.#unlessGone(() => { this.#flushFile(directory, name) })
    for (const directory of this.#directories) this.#unlessGone(() => { flushDirectory(this.#beneath, directory) })
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

  /** ext4 and XFS write their changes in order: with a file that is younger than all of them, they are on the disk too. */
  #flushNewFile (): void {
    const prefix = this.#beneath.open(STAGING, 'make')
    const name = `flush-${randomBytes(6).toString('hex')}`
    const fd = disk.createAt(prefix, name, 0o600)
    try {
      disk.writeAll(fd, Uint8Array.of(1))
      disk.syncFile(fd)
    } finally {
      disk.close(fd)
      this.#unlessGone(() => { disk.unlinkAt(prefix, name) })
    }
  }

  #unlessGone (work: () => void): void {
    this.#beneath.trim()
    try {
      work()
    } catch (error) {
      if (!GONE.has(errnoOf(error))) throw error
    }
  }
}
