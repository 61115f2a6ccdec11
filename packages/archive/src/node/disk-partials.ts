import type { Beneath } from './beneath.ts'
import { inside, parseReclaimName, PARTIAL, STAGING } from './disk-places.ts'
import * as disk from './disk.ts'
import { countArrived, marksName, noteFlushed, parseMarksName } from './partial-marks.ts'

const PARTIAL_MODE = 0o600

/** Manages the partials: unfinished large files, between syncs and after a crash. */
export class DiskPartials {
  readonly #beneath: Beneath

  constructor (beneath: Beneath) {
    this.#beneath = beneath
  }

  /** The names of partials, and how many bytes of each arrived for certain; the rest is truncated. To be called while no sync runs. */
  list (area: string): Map<string, number> {
    const prefix = this.#open(area)
    const found = new Map<string, number>()
    const names = new Set(disk.namesIn(prefix))
    for (const name of names) {
      const of = parseMarksName(name)
      if (of !== undefined) {
        // Its file is complete.
        if (!names.has(of)) disk.unlinkAt(prefix, name)
        continue
      }
      const arrivedBytes = countArrived([prefix, name], [prefix, marksName(name)])
      if ((disk.statAt(prefix, name)?.sizeBytes ?? 0) > arrivedBytes) cutAt([prefix, name], arrivedBytes)
      found.set(name, arrivedBytes)
    }
    return found
  }

  /** Records how many bytes of some partials of an area were flushed. */
  flushed (area: string, partials: ReadonlyMap<string, number>): void {
    const prefix = this.#open(area)
    for (const [partial, flushedBytes] of partials) noteFlushed([prefix, marksName(partial)], flushedBytes)
  }

  keep (area: string, kept: ReadonlySet<string>): void {
    const prefix = this.#open(area)
    const names = new Set(disk.namesIn(prefix))
    for (const name of names) {
      const of = parseMarksName(name)
      if (of === undefined ? !kept.has(name) : !kept.has(of) || !names.has(of)) disk.unlinkAt(prefix, name)
    }
  }

  /** Turns large files that are complete but were never placed back into partials. */
  reclaim (area: string, staging: string): void {
    if (disk.statAt(this.#beneath.open(STAGING, 'make'), staging) === undefined) return
    const from = this.#beneath.open(inside(STAGING, staging))
    const to = this.#open(area)
    const names = disk.namesIn(from)
    const markers = names.flatMap(name => parseReclaimName(name) ?? [])
    const staged = new Set(markers.map(marker => marker.staged))
    // Further names of these files in staging are not needed.
    for (const name of names) if (parseReclaimName(name) === undefined && !staged.has(name)) dropAt(from, name)
    for (const found of markers) {
      if (!disk.existsAt(from, found.staged)) continue
      const fd = disk.readAt(from, found.staged)
      try {
        // Another name of it was placed, and what becomes of a partial must not happen to that one.
        if (disk.statOf(fd).links > 1) continue
        // It has the mode of the original, which may not be writable.
        disk.setMode(fd, PARTIAL_MODE)
      } finally {
        disk.close(fd)
      }
      disk.renameAt(from, found.staged, [to, found.partial])
    }
  }

  #open (area: string): string {
    return this.#beneath.open(inside(PARTIAL, area), 'make')
  }
}

/** Folders of contents stay: none of their files is reclaimed. */
function dropAt (prefix: string, name: string): void {
  if (disk.statAt(prefix, name)?.kind === 'file') disk.unlinkAt(prefix, name)
}

function cutAt (place: readonly [prefix: string, name: string], sizeBytes: number): void {
  const fd = disk.continueAt(...place)
  try {
    disk.truncate(fd, sizeBytes)
  } finally {
    disk.close(fd)
  }
}
