import { errnoOf } from '@filesync/protocol'
import type { HistoryLog } from '../store/content-store.ts'
import type { Beneath } from './beneath.ts'
import type { DiskFlushing } from './disk-flushing.ts'
import { HISTORY, inside, logName, OWN, parseLogName, POINTS } from './disk-places.ts'
import * as disk from './disk.ts'
import { readWhole } from './whole-file.ts'

const NEW_POINTS = `${POINTS}.new`

/** The history of syncs, beside the versions: one append-only file for each sync, and one for all points. */
export class DiskHistory {
  readonly #beneath: Beneath
  readonly #flushing: DiskFlushing

  constructor (beneath: Beneath, flushing: DiskFlushing) {
    this.#beneath = beneath
    this.#flushing = flushing
  }

  append (area: string, { count, bytes }: HistoryLog): void {
    this.#append(area, logName(count), bytes)
  }

  /** Oldest first. */
  read (area: string): HistoryLog[] {
    const prefix = this.#open(area)
    if (prefix === undefined) return []
    const counts = disk.namesIn(prefix).flatMap(name => parseLogName(name) ?? []).sort((a, b) => a - b)
    return counts.map(count => ({ count, bytes: readWhole(prefix, logName(count)) }))
  }

  drop (area: string, counts: readonly number[]): void {
    this.#beneath.trim()
    const prefix = this.#beneath.open(inside(HISTORY, area), 'make')
    for (const count of counts) if (disk.existsAt(prefix, logName(count))) disk.unlinkAt(prefix, logName(count))
  }

  appendPoints (area: string, bytes: Uint8Array): void {
    this.#append(area, POINTS, bytes)
  }

  points (area: string): Uint8Array {
    const prefix = this.#open(area)
    return prefix === undefined || !disk.existsAt(prefix, POINTS) ? new Uint8Array(0) : readWhole(prefix, POINTS)
  }

  replacePoints (area: string, bytes: Uint8Array): void {
    this.#beneath.trim()
    const prefix = this.#beneath.open(inside(HISTORY, area), 'make')
    // One that a crash left.
    if (disk.existsAt(prefix, NEW_POINTS)) disk.unlinkAt(prefix, NEW_POINTS)
    const fd = disk.createAt(prefix, NEW_POINTS, 0o600)
    try {
      disk.writeAll(fd, bytes)
      disk.syncFile(fd)
    } finally {
      disk.close(fd)
    }
    disk.replaceAt(prefix, NEW_POINTS, [prefix, POINTS])
    this.#flushing.named(inside(HISTORY, area), '', POINTS)
  }

  #append (area: string, name: string, bytes: Uint8Array): void {
    this.#beneath.trim()
    const fd = disk.appendAt(this.#beneath.open(inside(HISTORY, area), 'make'), name)
    try {
      disk.writeAll(fd, bytes)
      this.#flushing.written(fd)
      this.#flushing.made(inside(HISTORY, area), OWN)
    } finally {
      disk.close(fd)
    }
  }

  /** The history of an area; undefined if nothing was appended yet. Creates nothing, because the disk may be read-only. */
  #open (area: string): string | undefined {
    this.#beneath.trim()
    try {
      return this.#beneath.open(inside(HISTORY, area))
    } catch (error) {
      if (errnoOf(error) === 'ENOENT') return undefined
      throw error
    }
  }
}
