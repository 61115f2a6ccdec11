import { join, relative } from 'node:path'
import { FileSyncError } from '@filesync/protocol'
import type { RelativePath } from '@filesync/protocol'
import { createHasher } from '@filesync/protocol/node'
import type { CopiedFile, ExistingCopy } from '../store/existing-copy.ts'
import { Beneath } from './beneath.ts'
import { DiskReading } from './disk-reading.ts'
import { readAsync } from './disk-async.ts'
import * as disk from './disk.ts'
import { isInside } from './path-rules.ts'

const READ_BYTES = 1 << 20

/**
 * Opens a directory as a copy to adopt; returns `in place` if it is already the directory of the archive that it is to become. Throws
 * USAGE if it is not a directory, or if it is inside the archive or contains it.
 *
 * @param place the area, or a folder in it
 */
export function openDiskCopy (archiveRoot: string, place: string, directory: string): ExistingCopy | 'in place' {
  const beneath = openDirectory(directory)
  const { root } = beneath
  if (relative(join(archiveRoot, place), root) === '') {
    beneath.close()
    return 'in place'
  }
  if (isInside(root, archiveRoot) || isInside(archiveRoot, root)) {
    beneath.close()
    const where = isInside(root, archiveRoot) ? 'is inside the archive' : 'contains the archive'
    throw new FileSyncError('USAGE', `${directory} ${where}. Choose a directory outside the archive, ` +
      `or ${archiveRoot}/${place} for files that were put there.`)
  }
  return new DiskCopy(beneath)
}

function openDirectory (directory: string): Beneath {
  try {
    return new Beneath(directory)
  } catch (cause) {
    throw new FileSyncError('USAGE', `${directory} is not a directory that the server can read. ` +
      'Choose the directory of the copy itself, not a link to it.', { cause })
  }
}

class DiskCopy implements ExistingCopy {
  readonly #beneath: Beneath
  readonly #reading: DiskReading
  readonly rootState: ExistingCopy['rootState']

  constructor (beneath: Beneath) {
    this.#beneath = beneath
    this.#reading = new DiskReading(beneath)
    const { mtimeNs, mode } = disk.statOf(beneath.handle(''))
    this.rootState = { mtimeNs, mode }
  }

  list (directory: RelativePath): ReturnType<ExistingCopy['list']> {
    return this.#reading.list('', directory)
  }

  async pause (): Promise<void> {
    await new Promise<void>(resolve => { setImmediate(resolve) })
  }

  open (path: RelativePath): CopiedFile {
    this.#beneath.trim()
    const at = path.lastIndexOf('/')
    return new DiskFile(disk.readAt(this.#beneath.open(path.slice(0, Math.max(at, 0))), path.slice(at + 1)))
  }

  close (): void {
    this.#beneath.close()
  }
}

class DiskFile implements CopiedFile {
  readonly sizeBytes: number
  readonly mtimeNs: bigint
  readonly #fd: number
  readonly #hasher = createHasher()
  #position = 0

  constructor (fd: number) {
    this.#fd = fd
    const { sizeBytes, mtimeNs } = disk.statOf(fd)
    this.sizeBytes = sizeBytes
    this.mtimeNs = mtimeNs
  }

  isUnchanged (): boolean {
    const { sizeBytes, mtimeNs } = disk.statOf(this.#fd)
    return sizeBytes === this.sizeBytes && mtimeNs === this.mtimeNs
  }

  async read (): Promise<Uint8Array<ArrayBuffer> | undefined> {
    const buffer = new Uint8Array(Math.min(READ_BYTES, Math.max(1, this.sizeBytes - this.#position)))
    const read = await readAsync(this.#fd, buffer, this.#position)
    if (read === 0) return undefined
    this.#position += read
    const piece = read === buffer.length ? buffer : buffer.slice(0, read)
    this.#hasher.update(piece)
    return piece
  }

  digest (): ReturnType<CopiedFile['digest']> {
    return this.#hasher.digest()
  }

  close (): void {
    disk.close(this.#fd)
  }
}
