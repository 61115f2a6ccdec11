import { DIGEST_BYTES, ENTRY_KINDS, equalDigests, errnoOf } from '@filesync/protocol'
import type { RelativePath } from '@filesync/protocol'
import { hashBytes } from '@filesync/protocol/node'
import type { FoundEntry, OpenOptions } from '../store/content-store.ts'
import { ListingCursor } from '../store/listing-cursor.ts'
import type { Beneath } from './beneath.ts'
import { describeAt } from './describe-at.ts'
import type { FileDigests, SmallContents, SmallFileColumns } from './disk-calls.ts'
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

  digests (area: string, directory: RelativePath, names: readonly string[]): FileDigests {
    this.#beneath.trim()
    const bytes = new Uint8Array(names.length * DIGEST_BYTES)
    const isRead = new Uint8Array(names.length)
    for (const [i, name] of names.entries()) {
      try {
        bytes.set(digestAt(this.#beneath.open(inside(area, directory)), name), i * DIGEST_BYTES)
        isRead[i] = 1
      } catch (error) {
        // Verifying looks for unreadable sectors; any other error of the disk ends it.
        if (errnoOf(error) !== 'EIO') throwIfStoreError(error)
      }
    }
    return { bytes, isRead }
  }

  /** Reads small files whole, and proves each by its size and digest. */
  readSmall (area: string, { paths, folders, sizesBytes, digests }: SmallFileColumns): SmallContents {
    // One byte more, to notice a file that is longer than it should be.
    const bytes = new Uint8Array(sizesBytes.reduce((sum, sizeBytes) => sum + sizeBytes, 1))
    const isWhole = new Uint8Array(paths.length)
    let at = 0
    this.#beneath.trim()
    for (const [i, path] of paths.entries()) {
      const sizeBytes = sizesBytes[i] ?? 0
      const folder = folders[i]
      const home = folder === undefined ? area : inside(VERSIONS, `${area}/${folder}`)
      try {
        const [directory, name] = split(inside(home, path))
        const read = readInto(this.#beneath.open(directory), name, bytes.subarray(at, at + sizeBytes + 1))
        const content = bytes.subarray(at, at + sizeBytes)
        if (read !== sizeBytes || !equalDigests(hashBytes(content), digests.subarray(i * DIGEST_BYTES, (i + 1) * DIGEST_BYTES))) continue
        isWhole[i] = 1
        at += sizeBytes
      } catch (error) {
        if (errnoOf(error) !== 'EIO') throwIfStoreError(error)
      }
      this.#beneath.trim()
    }
    return { bytes: bytes.subarray(0, at), isWhole }
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

/** Reads the beginning of a regular file, and returns the number of bytes. */
function readInto (prefix: string, name: string, bytes: Uint8Array): number {
  const fd = disk.readAt(prefix, name)
  try {
    return disk.readInto(fd, bytes, 0)
  } finally {
    disk.close(fd)
  }
}
