import { errnoOf } from '@filesync/protocol'
import type { HistoryLog } from '../store/content-store.ts'
import type { Beneath } from './beneath.ts'
import type { DiskFlushing } from './disk-flushing.ts'
import { HISTORY, inside, logName, OWN, parseLogName } from './disk-places.ts'
import * as disk from './disk.ts'
import { readWhole } from './whole-file.ts'

/** The history of syncs, beside the versions: one append-only file for each sync. */
export class DiskHistory {
  readonly #beneath: Beneath
  readonly #flushing: DiskFlushing

  constructor (beneath: Beneath, flushing: DiskFlushing) {
    this.#beneath = beneath
    this.#flushing = flushing
  }

  append (area: string, { count, bytes }: HistoryLog): void {
    this.#beneath.trim()
    const fd = disk.appendAt(this.#beneath.open(inside(HISTORY, area), 'make'), logName(count))
    try {
      disk.writeAll(fd, bytes)
      this.#flushing.written(fd)
      this.#flushing.made(inside(HISTORY, area), OWN)
    } finally {
      disk.close(fd)
    }
  }

  /** Oldest first. */
  read (area: string): HistoryLog[] {
    this.#beneath.trim()
    let prefix: string
    try {
      prefix = this.#beneath.open(inside(HISTORY, area))
    } catch (error) {
      // Nothing was appended yet. Reading creates nothing, because the disk may be read-only.
      if (errnoOf(error) === 'ENOENT') return []
      throw error
    }
    const counts = disk.namesIn(prefix).flatMap(name => parseLogName(name) ?? []).sort((a, b) => a - b)
    return counts.map(count => ({ count, bytes: readWhole(prefix, logName(count)) }))
  }

  drop (area: string, counts: readonly number[]): void {
    this.#beneath.trim()
    const prefix = this.#beneath.open(inside(HISTORY, area), 'make')
    for (const count of counts) if (disk.existsAt(prefix, logName(count))) disk.unlinkAt(prefix, logName(count))
  }
}
