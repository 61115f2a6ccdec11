import * as fs from 'node:fs'
import { equalDigests, FileSyncError } from '@filesync/protocol'
import type { Digest, Hasher, ReuseBuffer, StagedFile, StageOutcome } from '@filesync/protocol'
import { hashStart } from './read-local.ts'
import { openForWriting, removeAt } from './target-place.ts'
import type { Place } from './target-place.ts'

export interface ArrivingFileInit {
  /** Where it arrives; a place is valid only until the next one is looked up. */
  readonly place: () => Place
  /** How much of it has arrived before. */
  readonly offset: number
  readonly hasher: Hasher
  /** Throws the error that ends the restore. */
  readonly onError: (error: unknown) => never
  /** Puts the whole file in its place. */
  readonly onWhole: (fd: number, digest: Digest) => StageOutcome
  readonly onMismatch: () => StageOutcome
}

const ZEROS = new Uint8Array(1 << 20)

/** A large file that is arriving. What has arrived stays when the restore ends early, and the next one continues from there. */
export class ArrivingFile implements StagedFile {
  readonly #init: ArrivingFileInit
  readonly #fd: number
  #position: number

  private constructor (fd: number, init: ArrivingFileInit) {
    this.#fd = fd
    this.#init = init
    this.#position = init.offset
  }

  /** Opens the file, and hashes what is there of it. Throws system errors. */
  static async open (init: ArrivingFileInit): Promise<ArrivingFile> {
    const { place, offset, hasher } = init
    if (offset === 0) removeAt(place())
    const fd = openForWriting(place(), offset === 0 ? 'new' : 'continue')
    try {
      fs.ftruncateSync(fd, offset)
      await hashStart(fd, hasher, offset)
      return new ArrivingFile(fd, init)
    } catch (error) {
      fs.closeSync(fd)
      throw error
    }
  }

  async write (bytes: Uint8Array<ArrayBuffer>, reuse?: ReuseBuffer): Promise<void> {
    this.#init.hasher.update(bytes)
    try {
      for (let at = 0; at < bytes.length;) at += fs.writeSync(this.#fd, bytes, at, bytes.length - at, this.#position + at)
    } catch (error) {
      this.#init.onError(error)
    }
    this.#position += bytes.length
    reuse?.(bytes.buffer)
  }

  async hole (lengthBytes: number): Promise<void> {
    for (let left = lengthBytes; left > 0; left -= ZEROS.length) {
      this.#init.hasher.update(left < ZEROS.length ? ZEROS.subarray(0, left) : ZEROS)
    }
    this.#position += lengthBytes
  }

  async copy (): Promise<void> {
    throw new FileSyncError('DATA_UNEXPECTED', 'The server sent a difference, which was not asked for.')
  }

  async finish (digest: Digest): Promise<StageOutcome> {
    const isSame = equalDigests(this.#init.hasher.digest(), digest)
    try {
      if (isSame) fs.ftruncateSync(this.#fd, this.#position)
      return isSame ? this.#init.onWhole(this.#fd, digest) : this.#init.onMismatch()
    } finally {
      fs.closeSync(this.#fd)
      if (!isSame) removeAt(this.#init.place())
    }
  }

  async abandon (): Promise<void> {
    try {
      // A hole at the end counts as arrived.
      fs.ftruncateSync(this.#fd, this.#position)
    } finally {
      fs.closeSync(this.#fd)
    }
  }
}
