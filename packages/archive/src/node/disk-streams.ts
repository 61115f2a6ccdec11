import { asFileSyncError, equalDigests } from '@filesync/protocol'
import type { FileSyncError, Hasher } from '@filesync/protocol'
import { createHasher } from '@filesync/protocol/node'
import type { StreamRequest } from '../content-store.ts'
import type { Beneath } from './beneath.ts'
import { inside, parseReclaimName, PARTIAL, reclaimName, split, STAGING, stagedName } from './disk-places.ts'
import * as disk from './disk.ts'
import { storeTrouble, throwIfStoreTrouble } from './trouble.ts'
import { hashTo } from './whole-file.ts'

const COPY_BYTES = 1 << 20
/** From this size on a file that is whole, but not yet committed, is not sent again after a crash. */
const RECLAIMED_BYTES = 4 << 20
const PARTIAL_MODE = 0o600

interface OpenStream {
  readonly request: StreamRequest
  readonly fd: number
  readonly hasher: Hasher
  present: number | undefined
  position: number
  failure?: FileSyncError
}

/** Writes large files as they arrive; unfinished ones wait in `partial`, to be continued. One of these works in each disk worker. */
export class DiskStreams {
  readonly #beneath: Beneath
  /** Whether each file is made durable by itself, because the file system cannot be told to write out everything. */
  readonly #syncsEach: boolean
  readonly #streams = new Map<number, OpenStream>()
  /** What is copied passes through it. */
  #copied: Uint8Array | undefined

  constructor (beneath: Beneath, syncsEach: boolean) {
    this.#beneath = beneath
    this.#syncsEach = syncsEach
  }

  open (id: number, request: StreamRequest): void {
    const prefix = this.#beneath.open(inside(PARTIAL, request.area), 'make')
    const fd = guard(() => disk.continueAt(prefix, request.partial))
    const hasher = createHasher()
    try {
      disk.cutTo(fd, Math.min(request.offset, disk.statOf(fd).sizeBytes))
      const position = hashTo(fd, hasher)
      this.#streams.set(id, { request, fd, hasher, present: undefined, position })
    } catch (error) {
      disk.close(fd)
      throw error
    }
  }

  write (id: number, bytes: Uint8Array): void {
    const stream = this.#stream(id)
    // Pieces are under way behind one that could not be written; they would stand in its place.
    if (stream.failure !== undefined) throw stream.failure
    try {
      disk.writeAll(stream.fd, bytes, stream.position)
    } catch (error) {
      stream.failure = storeTrouble(error) ?? asFileSyncError(error, 'ARCHIVE_UNAVAILABLE')
      throw stream.failure
    }
    stream.hasher.update(bytes)
    stream.position += bytes.length
  }

  copy (id: number, offset: number, lengthBytes: number): void {
    const stream = this.#stream(id)
    try {
      stream.present ??= this.#openPresent(stream.request)
    } catch (error) {
      throwIfStoreTrouble(error)
      // Without it the digest will not fit, which makes it the trouble of this file alone.
      return
    }
    const buffer = this.#copied ??= new Uint8Array(COPY_BYTES)
    for (let left = lengthBytes; left > 0;) {
      const read = disk.readInto(stream.present, buffer.subarray(0, Math.min(left, buffer.length)), offset + lengthBytes - left)
      // Its digest will tell that the present copy is shorter than its signature said.
      if (read === 0) return
      this.write(id, buffer.subarray(0, read))
      left -= read
    }
  }

  finish (id: number, digest: Uint8Array): boolean {
    const stream = this.#stream(id)
    const { fd, request, position } = stream
    const prefix = this.#beneath.open(inside(PARTIAL, request.area), 'make')
    const isWhole = position === request.sizeBytes && equalDigests(stream.hasher.digest(), digest)
    if (isWhole) {
      guard(() => {
        disk.setMode(fd, request.mode | disk.OWNER_READS)
        disk.touch(fd, request.mtimeNs)
        if (this.#syncsEach) disk.syncFile(fd)
      })
    }
    this.#forget(id)
    if (isWhole) this.#stageWhole(prefix, request)
    else disk.unlinkAt(prefix, request.partial)
    return isWhole
  }

  abandon (id: number): void {
    if (this.#streams.has(id)) this.#forget(id)
  }

  /** Names and lengths of unfinished files. */
  partials (area: string): Map<string, number> {
    const prefix = this.#beneath.open(inside(PARTIAL, area), 'make')
    return new Map(disk.namesIn(prefix).map(name => [name, disk.statAt(prefix, name)?.sizeBytes ?? 0]))
  }

  keepPartials (area: string, kept: ReadonlySet<string>): void {
    const prefix = this.#beneath.open(inside(PARTIAL, area), 'make')
    for (const name of disk.namesIn(prefix)) if (!kept.has(name)) disk.unlinkAt(prefix, name)
  }

  /** Makes large files unfinished again that are whole and were never placed. */
  reclaim (area: string, staging: string): void {
    if (disk.statAt(this.#beneath.open(STAGING, 'make'), staging) === undefined) return
    const from = this.#beneath.open(inside(STAGING, staging))
    const to = this.#beneath.open(inside(PARTIAL, area), 'make')
    for (const name of disk.namesIn(from)) {
      const found = parseReclaimName(name)
      if (found === undefined || !disk.existsAt(from, found.staged)) continue
      const fd = disk.readAt(from, found.staged)
      try {
        // It has the mode of the original, which may not be written.
        disk.setMode(fd, PARTIAL_MODE)
      } finally {
        disk.close(fd)
      }
      disk.renameAt(from, found.staged, [to, found.partial])
    }
  }

  #stageWhole (prefix: string, { partial, staging, number, sizeBytes }: StreamRequest): void {
    const to = this.#beneath.open(inside(STAGING, staging), 'make')
    // First, so that there is no moment at which a crash costs the file.
    if (sizeBytes >= RECLAIMED_BYTES) disk.close(disk.createAt(to, reclaimName(number, partial), 0o600))
    disk.renameAt(prefix, partial, [to, stagedName(number)])
  }

  #openPresent ({ area, present }: StreamRequest): number {
    const [directory, name] = split(inside(area, present))
    return disk.readAt(this.#beneath.open(directory), name)
  }

  #forget (id: number): void {
    const stream = this.#stream(id)
    this.#streams.delete(id)
    disk.close(stream.fd)
    if (stream.present !== undefined) disk.close(stream.present)
  }

  #stream (id: number): OpenStream {
    const stream = this.#streams.get(id)
    if (stream === undefined) throw new RangeError('The stream is not open.')
    return stream
  }
}

function guard<T> (work: () => T): T {
  try {
    return work()
  } catch (error) {
    throw storeTrouble(error) ?? error
  }
}
