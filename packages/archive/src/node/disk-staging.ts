import { DIGEST_BYTES, ENTRY_KINDS, equalDigests } from '@filesync/protocol'
import { hashBytes } from '@filesync/protocol/node'
import type { PackFailure, PackRequest } from '../store/content-store.ts'
import { ListingCursor } from '../store/listing-cursor.ts'
import type { Beneath } from './beneath.ts'
import type { DiskWorkerData } from './disk-calls.ts'
import type { DiskFlushing } from './disk-flushing.ts'
import { inside, STAGING, stagedName, stagingOf } from './disk-places.ts'
import * as disk from './disk.ts'
import { describeFileError, describeNoRoom, isFull, throwIfStoreError } from './disk-errors.ts'

/** Writes small files into staging, and discards it. Each disk worker has one. */
export class DiskStaging {
  readonly #beneath: Beneath
  readonly #flushing: DiskFlushing
  readonly #umask: number

  constructor (beneath: Beneath, flushing: DiskFlushing, { umask }: Pick<DiskWorkerData, 'umask'>) {
    this.#beneath = beneath
    this.#flushing = flushing
    this.#umask = umask
  }

  stagePack ({ staging, pack, sections }: PackRequest): PackFailure[] {
    const failures: PackFailure[] = []
    sections.forEach(({ section, offsets, lengths }, s) => {
      const fail = (code: PackFailure['code'], message: string): void => {
        failures.push({ section: s, entry: cursor.index, code, message })
      }
      const cursor = new ListingCursor(section.entries)
      this.#beneath.trim()
      const prefix = this.#openFolder(stagingOf(staging, section))
      while (cursor.next()) {
        if (typeof prefix !== 'string') {
          fail('NO_ROOM', prefix.lack)
          continue
        }
        const offset = offsets[cursor.index] ?? 0
        const length = lengths[cursor.index] ?? 0
        const content = pack.subarray(offset, offset + length)
        if (cursor.kind !== ENTRY_KINDS.file || cursor.sizeBytes() !== length) {
          fail('CHANGED_DURING_READ', 'its size differs from the listed size')
        } else if (!equalDigests(hashBytes(content), pack.subarray(offset - DIGEST_BYTES, offset))) {
          fail('DIGEST_MISMATCH', 'the next sync requests it again')
        } else {
          try {
            const name = section.folder === undefined ? stagedName(section.staged[cursor.index] ?? 0) : cursor.name()
            this.#writeSmall([prefix, name], content, cursor)
          } catch (error) {
            if (isFull(error)) fail('NO_ROOM', describeNoRoom(error))
            else {
              throwIfStoreError(error)
              fail('STORE_FAILED', describeFileError(error))
            }
          }
        }
      }
    })
    return failures
  }

  discard (staging: string | undefined): void {
    const prefix = this.#beneath.open(STAGING, 'make')
    for (const name of disk.namesIn(prefix)) if (staging === undefined || name === staging) this.#removeTree(STAGING, name)
    this.#beneath.closeHandles()
  }

  #openFolder (directory: string): string | { readonly lack: string } {
    try {
      return this.#beneath.open(directory, 'make')
    } catch (error) {
      if (isFull(error)) return { lack: describeNoRoom(error) }
      throw error
    }
  }

  #writeSmall (place: readonly [prefix: string, name: string], content: Uint8Array, cursor: ListingCursor): void {
    const mode = cursor.mode() & 0o777 | disk.OWNER_READS
    const fd = disk.createAt(...place, mode)
    try {
      disk.writeAll(fd, content)
      if ((mode & this.#umask) !== 0) disk.setMode(fd, mode)
      disk.touch(fd, cursor.mtimeNs())
      this.#flushing.written(fd)
    } catch (error) {
      // Give the room back for other files.
      disk.unlinkAt(...place)
      throw error
    } finally {
      disk.close(fd)
    }
  }

  #removeTree (directory: string, name: string): void {
    this.#beneath.trim()
    const prefix = this.#beneath.open(directory)
    if (disk.statAt(prefix, name)?.kind !== 'directory') {
      disk.unlinkAt(prefix, name)
      return
    }
    for (const child of disk.namesIn(this.#beneath.open(inside(directory, name)))) this.#removeTree(inside(directory, name), child)
    disk.removeDirectoryAt(this.#beneath.open(directory), name)
  }
}
