import { asFileSyncError, equalDigests, formatSize } from '@filesync/protocol'
import type { FileSyncError, Hasher } from '@filesync/protocol'
import { createHasher } from '@filesync/protocol/node'
import type { StreamOutcome, StagedStreamRequest } from '../store/content-store.ts'
import type { Beneath } from './beneath.ts'
import type { DiskFlushing } from './disk-flushing.ts'
import { inside, PARTIAL, reclaimName, split, STAGING, stagedName } from './disk-places.ts'
import * as disk from './disk.ts'
import { writeAround, zerosOf } from './holes.ts'
import { marksName, noteFlushed, PartialMarks } from './partial-marks.ts'
import { describeNoRoom, isFull, storeError, throwIfStoreError } from './disk-errors.ts'
import { hashTo } from './whole-file.ts'

const COPY_BYTES = 1 << 20
/** From this size on, a file that is complete but not yet committed is not sent again after a crash. */
const RECLAIMED_BYTES = 4 << 20

interface OpenStream {
  readonly request: StagedStreamRequest
  /** Undefined once there was no room for it; the rest of it is dropped. */
  fd: number | undefined
  readonly hasher: Hasher
  /** Open as long as the file is. */
  marks: PartialMarks | undefined
  present: number | undefined
  position: number
  /** Bytes that the disk has allocated, so without holes. */
  writtenBytes: number
  hasHoles: boolean
  failure?: FileSyncError
  /** Why there was no room. */
  lack?: string
}

/** Writes large files as they arrive; unfinished ones wait in `partial` to be continued. Each disk worker has one. */
export class DiskStreams {
  readonly #beneath: Beneath
  readonly #flushing: DiskFlushing
  readonly #streams = new Map<number, OpenStream>()
  /** The buffer for copying. */
  #copied: Uint8Array | undefined

  constructor (beneath: Beneath, flushing: DiskFlushing) {
    this.#beneath = beneath
    this.#flushing = flushing
  }

  /** Returns how many bytes of the partial are kept. */
  open (id: number, request: StagedStreamRequest): number {
    const stream: OpenStream = {
      request, fd: undefined, hasher: createHasher(), marks: undefined, present: undefined, position: 0, writtenBytes: 0, hasHoles: false,
    }
    try {
      const prefix = this.#beneath.open(inside(PARTIAL, request.area), 'make')
      const fd = stream.fd = disk.continueAt(prefix, request.partial)
      const keptBytes = Math.min(request.offset, disk.statOf(fd).sizeBytes)
      const marks = stream.marks = new PartialMarks([prefix, marksName(request.partial)])
      marks.startAt(keptBytes)
      disk.truncate(fd, keptBytes)
      stream.position = hashTo(fd, { update: bytes => { stream.hasher.update(bytes); marks.restore(bytes) } })
      stream.hasHoles = disk.hasHole(fd)
      stream.writtenBytes = disk.allocatedBytes(fd)
    } catch (error) {
      if (!isFull(error)) {
        if (stream.fd !== undefined) disk.close(stream.fd)
        stream.marks?.close()
        throw storeError(error) ?? error
      }
      this.#giveUp(stream, describeNoRoom(error))
    }
    this.#streams.set(id, stream)
    return stream.position
  }

  write (id: number, bytes: Uint8Array): void {
    const stream = this.#stream(id)
    // After a piece that could not be written, others may already be queued; they would be written in its place.
    if (stream.failure !== undefined) throw stream.failure
    if (stream.fd === undefined) return
    try {
      const written = writeAround(stream.fd, bytes, stream)
      stream.writtenBytes += written
      if (written < bytes.length) stream.hasHoles = true
      stream.marks?.add(bytes)
    } catch (error) {
      if (isFull(error)) {
        this.#giveUp(stream, describeNoRoom(error))
        return
      }
      stream.failure = storeError(error) ?? asFileSyncError(error, 'ARCHIVE_UNAVAILABLE')
      throw stream.failure
    }
    stream.hasher.update(bytes)
    stream.position += bytes.length
    const { roomBytes = Infinity } = stream.request
    if (stream.writtenBytes <= roomBytes) return
    this.#giveUp(stream, `it needs more than the remaining ${formatSize(roomBytes)}. Free some space on the server`)
  }

  hole (id: number, lengthBytes: number): void {
    const stream = this.#stream(id)
    if (stream.failure !== undefined) throw stream.failure
    stream.hasHoles = true
    stream.hasher.update(zerosOf(lengthBytes))
    stream.marks?.add(zerosOf(lengthBytes))
    stream.position += lengthBytes
  }

  copy (id: number, offset: number, lengthBytes: number): void {
    const stream = this.#stream(id)
    try {
      if (stream.present === undefined) {
        stream.present = this.#openPresent(stream.request)
        stream.hasHoles ||= disk.hasHole(stream.present)
      }
    } catch (error) {
      throwIfStoreError(error)
      // Without the present copy, the digest will not match, so the problem stays with this file.
      return
    }
    const buffer = this.#copied ??= new Uint8Array(COPY_BYTES)
    for (let left = lengthBytes; left > 0;) {
      const read = disk.readInto(stream.present, buffer.subarray(0, Math.min(left, buffer.length)), offset + lengthBytes - left)
      // The present copy is shorter than its signature says; the digest will not match.
      if (read === 0) return
      this.write(id, buffer.subarray(0, read))
      left -= read
    }
  }

  finish (id: number, digest: Uint8Array): StreamOutcome {
    const stream = this.#stream(id)
    const { request, fd } = stream
    const isWhole = fd !== undefined && stream.position === request.sizeBytes && equalDigests(stream.hasher.digest(), digest)
    try {
      if (isWhole) this.#stageWhole(stream, fd)
    } catch (error) {
      if (!isFull(error) || stream.fd === undefined) throw storeError(error) ?? error
      this.#giveUp(stream, describeNoRoom(error))
    }
    const { lack } = stream
    this.#forget(id)
    if (lack !== undefined) return { lack }
    if (isWhole) return 'WHOLE'
    this.#drop(request)
    return 'DIFFERENT'
  }

  abandon (id: number): void {
    const stream = this.#streams.get(id)
    if (stream === undefined) return
    // Extend the file, so that a hole at the end counts as arrived.
    if (stream.fd !== undefined && stream.failure === undefined) {
      if (stream.hasHoles) disk.truncate(stream.fd, stream.position)
      stream.marks?.end()
    }
    this.#forget(id)
  }

  /** Flushes one partial, and records that. */
  flush (id: number): void {
    const { fd, request: { area, partial }, position } = this.#stream(id)
    if (fd === undefined) return
    disk.syncFile(fd)
    noteFlushed([this.#beneath.open(inside(PARTIAL, area)), marksName(partial)], position)
  }

  #stageWhole (stream: OpenStream, fd: number): void {
    const { area, partial, staging, number, sizeBytes, mode, mtimeNs } = stream.request
    const prefix = this.#beneath.open(inside(PARTIAL, area), 'make')
    const to = this.#beneath.open(inside(STAGING, staging), 'make')
    if (stream.hasHoles) disk.truncate(fd, sizeBytes)
    disk.setMode(fd, mode | disk.OWNER_READS)
    disk.touch(fd, mtimeNs)
    this.#flushing.written(fd)
    // The marker comes first, so that at no moment a crash loses the file.
    if (sizeBytes >= RECLAIMED_BYTES) disk.close(disk.createAt(to, reclaimName(number, partial), 0o600))
    disk.close(fd)
    stream.fd = undefined
    // It may become a partial again.
    if (sizeBytes >= RECLAIMED_BYTES) stream.marks?.end()
    disk.renameAt(prefix, partial, [to, stagedName(number)])
  }

  /** The disk has no room for a file: what was written of it is removed to make room for others. */
  #giveUp (stream: OpenStream, lack: string): void {
    stream.lack = lack
    if (stream.fd === undefined) return
    disk.close(stream.fd)
    stream.fd = undefined
    this.#drop(stream.request)
  }

  #drop ({ area, partial }: StagedStreamRequest): void {
    const prefix = this.#beneath.open(inside(PARTIAL, area), 'make')
    if (disk.existsAt(prefix, marksName(partial))) disk.unlinkAt(prefix, marksName(partial))
    disk.unlinkAt(prefix, partial)
  }

  #openPresent ({ area, present }: StagedStreamRequest): number {
    const [directory, name] = split(inside(area, present))
    return disk.readAt(this.#beneath.open(directory), name)
  }

  #forget (id: number): void {
    const stream = this.#stream(id)
    this.#streams.delete(id)
    if (stream.fd !== undefined) disk.close(stream.fd)
    stream.marks?.close()
    if (stream.present !== undefined) disk.close(stream.present)
  }

  #stream (id: number): OpenStream {
    const stream = this.#streams.get(id)
    if (stream === undefined) throw new RangeError('The stream is not open.')
    return stream
  }
}
