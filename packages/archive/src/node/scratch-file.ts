import { tmpdir } from 'node:os'
import type { Scratch } from '../store/content-store.ts'
import type { Beneath } from './beneath.ts'
import { archiveError } from './disk-errors.ts'
import { STAGING } from './disk-places.ts'
import * as disk from './disk.ts'

/**
 * Opens a scratch file on the disk of the archive, or in the directory for temporary files if the archive cannot be written to; undefined
 * if neither is possible.
 */
export function openScratch (archive: Beneath | undefined): Scratch | undefined {
  for (const directory of [() => archive?.open(STAGING), tmpdir]) {
    try {
      const path = directory()
      if (path !== undefined) return new ScratchFile(disk.openUnnamed(path))
    } catch { /* the next one */ }
  }
  return undefined
}

class ScratchFile implements Scratch {
  readonly #fd: number
  #sizeBytes = 0
  #isClosed = false

  constructor (fd: number) {
    this.#fd = fd
  }

  append (bytes: Uint8Array): boolean {
    try {
      disk.writeAll(this.#fd, bytes, this.#sizeBytes)
      this.#sizeBytes += bytes.length
      return true
    } catch {
      return false
    }
  }

  read (at: number, lengthBytes: number): Uint8Array {
    const bytes = new Uint8Array(lengthBytes)
    try {
      for (let done = 0; done < lengthBytes;) {
        const read = disk.readInto(this.#fd, bytes.subarray(done), at + done)
        if (read === 0) throw Object.assign(new Error('The scratch file ends early.'), { code: 'EIO' })
        done += read
      }
      return bytes
    } catch (error) {
      throw archiveError(error) ?? error
    }
  }

  close (): void {
    if (this.#isClosed) return
    this.#isClosed = true
    disk.close(this.#fd)
  }
}
