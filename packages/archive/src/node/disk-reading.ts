import { ENTRY_KINDS, equalDigests, errnoOf } from '@filesync/protocol'
import type { Digest, RelativePath } from '@filesync/protocol'
import type { FoundEntry, OpenOptions } from '../store/content-store.ts'
import { ListingCursor } from '../store/listing-cursor.ts'
import type { Beneath } from './beneath.ts'
import { describeAt } from './describe-at.ts'
import { inside, split, VERSIONS } from './disk-places.ts'
import { directoryStat } from './disk-directories.ts'
import * as disk from './disk.ts'
import { throwIfStoreError } from './disk-errors.ts'
import { digestAt, digestOf } from './whole-file.ts'

/** Reads what is in a mirror. */
export class DiskReading {
  readonly #beneath: Beneath

  constructor (beneath: Beneath) {
    this.#beneath = beneath
  }

  bornMs (area: string): number {
    this.#beneath.trim()
    return directoryStat(this.#beneath, area).birthMs
  }

  list (area: string, directory: RelativePath, known?: Uint8Array): FoundEntry[] {
    this.#beneath.trim()
    const prefix = this.#beneath.open(inside(area, directory))
    if (known === undefined) return disk.namesIn(prefix).flatMap(name => describeAt(prefix, name) ?? [])
    const files = new Set<string>()
    for (const cursor = new ListingCursor(known); cursor.next();) if (cursor.kind === ENTRY_KINDS.file) files.add(cursor.name())
    return [...disk.kindsIn(prefix)].flatMap(({ name, isFile }) => isFile && files.has(name) ? [] : describeAt(prefix, name) ?? [])
  }

  find (area: string, directory: RelativePath, names: readonly string[]): (FoundEntry | undefined)[] {
    this.#beneath.trim()
    return names.map(name => {
      try {
        return describeAt(this.#beneath.open(inside(area, directory)), name)
      } catch (error) {
        throwIfStoreError(error)
        return undefined
      }
    })
  }

  digests (area: string, directory: RelativePath, names: readonly string[]): (Digest | undefined)[] {
    this.#beneath.trim()
    return names.map(name => {
      try {
        return digestAt(this.#beneath.open(inside(area, directory)), name)
      } catch (error) {
        // Verifying looks for unreadable sectors; any other error of the disk ends it.
        if (errnoOf(error) !== 'EIO') throwIfStoreError(error)
        return undefined
      }
    })
  }

  /** The file stays open until it is closed in this thread, because Node tracks open files by thread. */
  openFile (
    area: string, path: RelativePath, { folder, digest }: OpenOptions = {},
  ): { readonly fd: number, readonly sizeBytes: number } | undefined {
    this.#beneath.trim()
    try {
      const home = folder === undefined ? area : inside(VERSIONS, `${area}/${folder}`)
      const [directory, name] = split(inside(home, path))
      const fd = disk.readAt(this.#beneath.open(directory), name)
      try {
        const { sizeBytes } = disk.statOf(fd)
        if (digest === undefined || equalDigests(digestOf(fd), digest)) return { fd, sizeBytes }
        disk.close(fd)
        return undefined
      } catch (error) {
        disk.close(fd)
        throw error
      }
    } catch (error) {
      throwIfStoreError(error)
      return undefined
    }
  }
}
