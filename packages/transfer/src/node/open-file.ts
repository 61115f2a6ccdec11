import { closeSync, constants, fstatSync, lstatSync, openSync, readSync } from 'node:fs'
import type { BigIntStats } from 'node:fs'
import { clampTimeNs, writeFileId } from '@filesync/protocol'
import type { FileFault, WantedFile } from '../file-source.ts'
import { CHANGED } from '../source-reader.ts'
import type { OpenFile } from '../source-reader.ts'
import type { SourceDirectories } from './source-directories.ts'

/** Windows has no such flag, so the name is checked first. */
const HAS_NOFOLLOW = 'O_NOFOLLOW' in constants
// Without O_NONBLOCK, opening a named pipe would wait for a writer forever.
const FLAGS = constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK

/** Reused for the input of a file id and for the file id. */
const numbers = new BigUint64Array(2)
const numberHalves = new Uint32Array(numbers.buffer)
const fileId = new BigUint64Array(1)
const fileIdHalves = new Uint32Array(fileId.buffer)

/** The unit of `stat.blocks`, whatever the file system's block size is. */
const BLOCK_BYTES = 512

/** Opens a wanted file if it is the listed one. */
export function openWanted (file: WantedFile, directories: SourceDirectories): OpenFile | FileFault {
  const opened = openOnce(file, directories)
  // A directory may have been replaced since its handle was opened.
  return 'code' in opened && !isDenied(opened) && directories.releaseHandles() ? openOnce(file, directories) : opened
}

function openOnce (file: WantedFile, directories: SourceDirectories): OpenFile | FileFault {
  let fd: number | undefined
  try {
    fd = openUnfollowed(directories.prefix(file.directory) + file.entry.name)
    const stats = fstatSync(fd, { bigint: true })
    if (isListed(stats, file)) return new LocalFile(fd, stats, file.isGrowing === true)
    closeSync(fd)
    return CHANGED
  } catch (error) {
    if (fd !== undefined) closeSync(fd)
    return faultOf(error)
  }
}

function openUnfollowed (path: string): number {
  if (!HAS_NOFOLLOW && lstatSync(path).isSymbolicLink()) {
    throw Object.assign(new Error(`${path} is a link`), { code: 'ELOOP', syscall: 'open' })
  }
  return openSync(path, FLAGS)
}

function isListed (stats: BigIntStats, { entry, isGrowing }: WantedFile): boolean {
  if (isGrowing === true) return stats.isFile() && stats.size >= BigInt(entry.sizeBytes) && isSameFile(stats, entry.fileId)
  const isAsLarge = stats.isFile() && stats.size === BigInt(entry.sizeBytes)
  return isAsLarge && clampTimeNs(stats.mtimeNs) === entry.mtimeNs && isSameFile(stats, entry.fileId)
}

/** Whether it is the listed file, and not another one of the same size and mtime. Assumed if the listed one has no file id. */
function isSameFile ({ ino, birthtimeNs }: BigIntStats, listed: bigint): boolean {
  if (listed === 0n) return true
  numbers[0] = ino
  numbers[1] = birthtimeNs
  writeFileId(numberHalves, fileIdHalves)
  return fileId[0] === listed
}

class LocalFile implements OpenFile {
  readonly #fd: number
  readonly #before: BigIntStats
  readonly #isGrowing: boolean
  #isOpen = true

  constructor (fd: number, before: BigIntStats, isGrowing: boolean) {
    this.#fd = fd
    this.#before = before
    this.#isGrowing = isGrowing
  }

  get allocatedBytes (): number {
    return Number(this.#before.blocks) * BLOCK_BYTES
  }

  read (into: Uint8Array, position: number, enoughBytes: number = into.length): number | FileFault {
    try {
      let got = 0
      do {
        const bytes = readSync(this.#fd, into, got, into.length - got, position + got)
        if (bytes === 0) break
        got += bytes
      } while (got < enoughBytes)
      return got
    } catch (error) {
      return faultOf(error)
    }
  }

  check (): FileFault | undefined {
    try {
      const after = fstatSync(this.#fd, { bigint: true })
      const { size, mtimeNs, ctimeNs } = this.#before
      if (this.#isGrowing) return after.size >= size ? undefined : CHANGED
      // The ctime shows a change whose mtime was set back.
      return after.size === size && after.mtimeNs === mtimeNs && after.ctimeNs === ctimeNs ? undefined : CHANGED
    } catch (error) {
      return faultOf(error)
    }
  }

  close (): void {
    if (!this.#isOpen) return
    this.#isOpen = false
    closeSync(this.#fd)
  }
}

function faultOf (error: unknown): FileFault {
  const code = codeOf(error)
  if (code === undefined) throw error
  if (code === 'ENOENT') return { code: 'VANISHED' }
  // A link or something else replaced a listed file or directory.
  if (code === 'ELOOP' || code === 'ENOTDIR' || code === 'EISDIR') return CHANGED
  return { code: 'UNREADABLE', detail: code }
}

/** Permission errors are the usual fault of many files at once, and opening the directories again does not help. */
function isDenied ({ detail }: FileFault): boolean {
  return detail === 'EACCES' || detail === 'EPERM'
}

function codeOf (error: unknown): string | undefined {
  return error instanceof Error && 'code' in error && 'syscall' in error && typeof error.code === 'string' ? error.code : undefined
}
