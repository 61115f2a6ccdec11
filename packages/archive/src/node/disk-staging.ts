import { asFileSyncError, DIGEST_BYTES, equalDigests } from '@filesync/protocol'
import type { FileSyncError, Hasher, RelativePath } from '@filesync/protocol'
import { createHasher, hashBytes } from '@filesync/protocol/node'
import type { PackFailure, PackRequest, Relocation, StreamRequest } from '../content-store.ts'
import { ENTRY_KINDS, ListingCursor } from '../listing-cursor.ts'
import type { Failure } from '../section.ts'
import type { Beneath } from './beneath.ts'
import { inside, PARTIAL, reclaimName, split, STAGING, stagedName, stagingOf } from './disk-places.ts'
import * as disk from './disk.ts'
import { linkOrCopy } from './hard-link.ts'
import { fileTrouble, storeTrouble, throwIfStoreTrouble } from './trouble.ts'

const READ_BYTES = 1 << 20
/** From this size on a file that is whole, but not yet committed, is not sent again after a crash. */
const RECLAIMED_BYTES = 4 << 20
/** The server has to be able to read what it keeps. */
const OWNER_READS = 0o400

interface OpenStream {
  readonly request: StreamRequest
  readonly fd: number
  readonly hasher: Hasher
  present: number | undefined
  position: number
  failure?: FileSyncError
}

/** Writes arriving files into staging, and gives those that move a second name there. One of these works in each disk worker. */
export class DiskStaging {
  readonly #beneath: Beneath
  /** Whether each file is made durable by itself, because the file system cannot be told to write out everything. */
  readonly #syncsEach: boolean
  readonly #umask: number
  readonly #streams = new Map<number, OpenStream>()
  /** What is copied passes through it. */
  #copied: Uint8Array | undefined

  constructor (beneath: Beneath, syncsEach: boolean, umask: number) {
    this.#beneath = beneath
    this.#syncsEach = syncsEach
    this.#umask = umask
  }

  stagePack ({ staging, pack, sections }: PackRequest): PackFailure[] {
    const failures: PackFailure[] = []
    sections.forEach(({ section, offsets, lengths }, s) => {
      const fail = (code: PackFailure['code'], message: string): void => { failures.push({ section: s, entry: cursor.index, code, message }) }
      const cursor = new ListingCursor(section.entries)
      this.#beneath.trim()
      const prefix = this.#beneath.open(stagingOf(staging, section), 'make')
      while (cursor.next()) {
        const offset = offsets[cursor.index] ?? 0
        const length = lengths[cursor.index] ?? 0
        const content = pack.subarray(offset, offset + length)
        if (cursor.kind !== ENTRY_KINDS.file || cursor.sizeBytes() !== length) {
          fail('CHANGED_DURING_READ', 'its size is not the listed one')
        } else if (!equalDigests(hashBytes(content), pack.subarray(offset - DIGEST_BYTES, offset))) {
          fail('DIGEST_MISMATCH', 'it is asked for again at the next sync')
        } else {
          try {
            const name = section.folder === undefined ? stagedName(section.staged[cursor.index] ?? 0) : cursor.name()
            this.#writeSmall([prefix, name], content, cursor)
          } catch (error) {
            throwIfStoreTrouble(error)
            fail('STORE_FAILED', fileTrouble(error))
          }
        }
      }
    })
    return failures
  }

  relocate (area: string, folder: string, relocations: readonly Relocation[]): Failure[] {
    const failures: Failure[] = []
    relocations.forEach(({ from, number }, entry) => {
      this.#beneath.trim()
      try {
        const staging = this.#beneath.open(inside(STAGING, folder), 'make')
        const [directory, name] = split(inside(area, from))
        const prefix = this.#beneath.open(directory)
        const fd = disk.readAt(prefix, name)
        try {
          linkOrCopy(fd, [[prefix, name], [staging, stagedName(number)]], this.#syncsEach)
        } finally {
          disk.close(fd)
        }
      } catch (error) {
        throwIfStoreTrouble(error)
        failures.push({ section: 0, entry, message: fileTrouble(error) })
      }
    })
    return failures
  }

  openStream (id: number, request: StreamRequest): void {
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
      stream.present ??= this.#open(stream.request.area, stream.request.present)
    } catch (error) {
      throwIfStoreTrouble(error)
      // Without it the digest will not fit, which makes it the trouble of this file alone.
      return
    }
    const buffer = this.#copied ??= new Uint8Array(READ_BYTES)
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
        disk.setMode(fd, request.mode | OWNER_READS)
        disk.touch(fd, request.mtimeNs)
        if (this.#syncsEach) disk.syncFile(fd)
      })
    }
    this.#forget(id)
    if (isWhole) this.#stageWhole(prefix, request)
    else disk.unlinkAt(prefix, request.partial)
    return isWhole
  }

  #stageWhole (prefix: string, { partial, staging, number, sizeBytes }: StreamRequest): void {
    const to = this.#beneath.open(inside(STAGING, staging), 'make')
    // First, so that there is no moment at which a crash costs the file.
    if (sizeBytes >= RECLAIMED_BYTES) disk.close(disk.createAt(to, reclaimName(number, partial), 0o600))
    disk.renameAt(prefix, partial, [to, stagedName(number)])
  }

  abandon (id: number): void {
    if (this.#streams.has(id)) this.#forget(id)
  }

  /** The file stays open until it is closed in this thread, which is what Node counts it to. */
  openFile (area: string, path: RelativePath): { readonly fd: number, readonly sizeBytes: number } | undefined {
    this.#beneath.trim()
    try {
      const fd = this.#open(area, path)
      return { fd, sizeBytes: disk.statOf(fd).sizeBytes }
    } catch (error) {
      throwIfStoreTrouble(error)
      return undefined
    }
  }

  #writeSmall (place: readonly [prefix: string, name: string], content: Uint8Array, cursor: ListingCursor): void {
    const mode = cursor.mode() & 0o777 | OWNER_READS
    const fd = disk.createAt(...place, mode)
    try {
      disk.writeAll(fd, content)
      if ((mode & this.#umask) !== 0) disk.setMode(fd, mode)
      disk.touch(fd, cursor.mtimeNs())
      if (this.#syncsEach) disk.syncFile(fd)
    } finally {
      disk.close(fd)
    }
  }

  #open (area: string, file: RelativePath): number {
    const path = inside(area, file)
    const at = path.lastIndexOf('/')
    return disk.readAt(this.#beneath.open(path.slice(0, at)), path.slice(at + 1))
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

/** Feeds a file to a hasher from its start; returns its length. */
export function hashTo (fd: number, hasher: Hasher): number {
  const buffer = new Uint8Array(READ_BYTES)
  for (let position = 0; ;) {
    const read = disk.readInto(fd, buffer, position)
    if (read === 0) return position
    hasher.update(buffer.subarray(0, read))
    position += read
  }
}

function guard<T> (work: () => T): T {
  try {
    return work()
  } catch (error) {
    throw storeTrouble(error) ?? error
  }
}
