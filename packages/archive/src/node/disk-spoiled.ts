import { readListing } from '@filesync/protocol'
import type { EntryPosition, SpoiledFiles } from '../store/content-store.ts'
import { isNoisy, isPlain, sampleRanges } from '../store/noise.ts'
import { isContent, NOT_STAGED } from '../store/section.ts'
import type { Section } from '../store/section.ts'
import type { Beneath } from './beneath.ts'
import { inside, STAGING, stagedName } from './disk-places.ts'
import * as disk from './disk.ts'
import { throwIfStoreError } from './disk-errors.ts'

/** Compares files in staging with the files that they are to replace. */
export class DiskSpoiled {
  readonly #beneath: Beneath

  constructor (beneath: Beneath) {
    this.#beneath = beneath
  }

  find (area: string, folder: string, sections: readonly Section[]): SpoiledFiles {
    const spoiled: EntryPosition[] = []
    let replacing = 0
    sections.forEach(({ directory, entries, staged, folder: own }, section) => {
      // A section with a folder of its own has new files only.
      if (own !== undefined) return
      this.#beneath.trim()
      let entry = -1
      for (const { kind, name } of readListing(entries)) {
        const number = staged[++entry] ?? NOT_STAGED
        if (kind !== 'file' || !isContent(number)) continue
        const isSpoiled = this.#compare([inside(area, directory), name], [inside(STAGING, folder), stagedName(number)])
        if (isSpoiled !== undefined) replacing++
        if (isSpoiled === true) spoiled.push({ section, entry })
      }
    })
    return { replacing, spoiled }
  }

  /** Undefined if no file is replaced. */
  #compare (present: readonly [directory: string, name: string], staged: readonly [directory: string, name: string]): boolean | undefined {
    const old = this.#open(present)
    if (old === undefined) return undefined
    try {
      const fresh = this.#open(staged)
      if (fresh === undefined) return false
      try {
        return isNoisy(samplesOf(fresh)) && isPlain(samplesOf(old))
      } finally {
        disk.close(fresh)
      }
    } finally {
      disk.close(old)
    }
  }

  #open ([directory, name]: readonly [directory: string, name: string]): number | undefined {
    try {
      return disk.readAt(this.#beneath.open(directory), name)
    } catch (error) {
      throwIfStoreError(error)
      return undefined
    }
  }
}

function samplesOf (fd: number): Uint8Array[] {
  return sampleRanges(disk.statOf(fd).sizeBytes).map(({ offset, lengthBytes }) => {
    const sample = new Uint8Array(lengthBytes)
    return sample.subarray(0, disk.readInto(fd, sample, offset))
  })
}
