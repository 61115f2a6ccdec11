import { closeSync, constants, fstatSync, lstatSync, openSync, readSync } from 'node:fs'
import type { BigIntStats } from 'node:fs'
import { clampTimeNs } from '@filesync/protocol'
import type { FileFault, WantedFile } from '../file-source.ts'
import { CHANGED } from '../source-reader.ts'
import type { OpenFile } from '../source-reader.ts'
import type { SourceDirectories } from './source-directories.ts'

/** Windows has no such flag, so the name is looked at before. */
const HAS_NOFOLLOW = 'O_NOFOLLOW' in constants
// Without O_NONBLOCK, opening a named pipe would wait for a writer for ever.
const FLAGS = constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK

/** Opens a wanted file if it is what was listed. */
export function openWanted (file: WantedFile, directories: SourceDirectories): OpenFile | FileFault {
  let fd: number | undefined
  try {
    fd = openAnywhere(file, directories)
    const stats = fstatSync(fd, { bigint: true })
    if (isListed(stats, file)) return new HeldFile(fd, stats)
    closeSync(fd)
    return CHANGED
  } catch (error) {
    if (fd !== undefined) closeSync(fd)
    return faultOf(error)
  }
}

function openAnywhere ({ directory, entry }: WantedFile, directories: SourceDirectories): number {
  try {
    return openUnfollowed(directories.prefix(directory) + entry.name)
  } catch (error) {
    if (codeOf(error) !== 'ENOENT') throw error
    // The directory may have been replaced since its handle was taken.
    directories.release()
    return openUnfollowed(directories.prefix(directory) + entry.name)
  }
}

function openUnfollowed (path: string): number {
  if (!HAS_NOFOLLOW && lstatSync(path).isSymbolicLink()) throw Object.assign(new Error(`${path} is a link`), { code: 'ELOOP', syscall: 'open' })
  return openSync(path, FLAGS)
}

function isListed (stats: BigIntStats, { entry }: WantedFile): boolean {
  return stats.isFile() && stats.size === BigInt(entry.sizeBytes) && clampTimeNs(stats.mtimeNs) === entry.mtimeNs
}

class HeldFile implements OpenFile {
  readonly #fd: number
  readonly #before: BigIntStats
  #isOpen = true

  constructor (fd: number, before: BigIntStats) {
    this.#fd = fd
    this.#before = before
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
      // ctime tells of a change whose mtime was set back.
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
  // A link or something else stands where a file or a directory was listed.
  if (code === 'ELOOP' || code === 'ENOTDIR' || code === 'EISDIR') return CHANGED
  return { code: 'UNREADABLE', detail: code }
}

function codeOf (error: unknown): string | undefined {
  return error instanceof Error && 'code' in error && 'syscall' in error && typeof error.code === 'string' ? error.code : undefined
}
