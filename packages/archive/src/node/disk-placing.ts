import { equalDigests, readListing, splitPath } from '@filesync/protocol'
import type { Entry, FileEntry, RelativePath, SymlinkEntry } from '@filesync/protocol'
import { createHasher } from '@filesync/protocol/node'
import type { DirectoryState, Relocation } from '../content-store.ts'
import { FACT_BYTES, readFact } from '../facts.ts'
import { COARSEST_GRAIN_NS, isSameTime, TOUCH_GRAIN_NS } from '../file-time.ts'
import { INDEX_ONLY, isContent, NOT_STAGED } from '../section.ts'
import type { Batch, Failure, Removal, Section } from '../section.ts'
import type { Beneath } from './beneath.ts'
import { folderName, inside, STAGING, stagedName, stagingOf, stampName, VERSIONS } from './disk-places.ts'
import { hashTo, throwIfStoreTrouble } from './disk-staging.ts'
import * as disk from './disk.ts'
import type { Stat } from './disk.ts'
import { errnoOf } from './errno.ts'
import { fileTrouble } from './trouble.ts'

/** The server has to be able to read and to change what it keeps. */
const OWNER_READS = 0o400
const OWNER_OWNS = 0o700
/** What file systems answer that have no hard links, or no more of them. */
const NO_LINKS = new Set(['EPERM', 'ENOTSUP', 'EOPNOTSUPP', 'EMLINK', 'ENOSYS', 'EXDEV'])

interface Spot {
  /** What stands there already, where that is known for all names. */
  readonly taken?: ReadonlySet<string>
  readonly area: string
  readonly directory: RelativePath
  readonly prefix: string
  readonly stampMs: number
}

/** Puts what is staged into its place and moves what stood there to versions. */
export class DiskPlacing {
  readonly #beneath: Beneath
  readonly #syncsEach: boolean
  readonly #foldsNames: boolean

  constructor (beneath: Beneath, { syncsEach, foldsNames }: { readonly syncsEach: boolean, readonly foldsNames: boolean }) {
    this.#beneath = beneath
    this.#syncsEach = syncsEach
    this.#foldsNames = foldsNames
  }

  place (area: string, batch: Batch, how: 'first' | 'again'): Failure[] {
    const failures: Failure[] = []
    const placed = how === 'first' ? this.#placeFolders(area, batch) : undefined
    batch.sections.forEach((section, s) => {
      const { directory } = section
      if (section.folder !== undefined && placed?.has(section.folder) === true) return
      this.#beneath.trim()
      const staging = this.#beneath.open(stagingOf(batch.staging, section), 'make')
      let spot: Spot | undefined
      let e = 0
      for (const entry of readListing(section.entries)) {
        try {
          spot ??= this.#spotOf(area, section, batch.stampMs)
          this.#placeEntry(spot, entry, { section, e, staging, how })
        } catch (error) {
          throwIfStoreTrouble(error)
          failures.push({ section: s, entry: e, message: fileTrouble(error) })
        }
        e++
      }
      if (this.#syncsEach) this.#syncDirectory(inside(area, directory))
    })
    return failures
  }

  remove (area: string, stampMs: number, removals: readonly Removal[]): Failure[] {
    const failures: Failure[] = []
    removals.forEach(({ directory, names }, section) => {
      this.#beneath.trim()
      names.forEach((name, entry) => {
        try {
          const prefix = this.#beneath.open(inside(area, directory))
          const stat = disk.statAt(prefix, name)
          if (stat !== undefined) this.#toVersions({ area, directory, prefix, stampMs }, name, { stat, keeps: false })
        } catch (error) {
          throwIfStoreTrouble(error)
          if (errnoOf(error) !== 'ENOENT') failures.push({ section, entry, message: fileTrouble(error) })
        }
      })
    })
    return failures
  }

  relocate (area: string, folder: string, relocations: readonly Relocation[]): Failure[] {
    const failures: Failure[] = []
    relocations.forEach(({ from, number }, entry) => {
      this.#beneath.trim()
      try {
        const staging = this.#beneath.open(inside(STAGING, folder), 'make')
        const path = inside(area, from)
        const at = path.lastIndexOf('/')
        const prefix = this.#beneath.open(path.slice(0, at))
        const fd = disk.readAt(prefix, path.slice(at + 1))
        try {
          linkOrCopy(fd, [[prefix, path.slice(at + 1)], [staging, stagedName(number)]], this.#syncsEach)
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

  settle (area: string, directories: readonly DirectoryState[]): void {
    // A path is longer than that of any directory it lies in.
    for (const { directory, mtimeNs, mode } of [...directories].sort((a, b) => b.directory.length - a.directory.length)) {
      this.#beneath.trim()
      try {
        const fd = this.#beneath.handle(inside(area, directory))
        disk.setMode(fd, mode | OWNER_OWNS)
        disk.touch(fd, mtimeNs)
      } catch (error) {
        throwIfStoreTrouble(error)
        // What is not there, or is something else, was told as a problem when it was placed.
        if (!['ENOENT', 'ENOTDIR', 'ELOOP', 'EPERM'].includes(errnoOf(error))) throw error
      }
    }
  }

  #spotOf (area: string, { directory, folder }: Section, stampMs: number): Spot {
    const prefix = this.#beneath.open(inside(area, directory))
    const spot = { area, directory, prefix, stampMs }
    // A new directory is small: reading its names once takes less than looking for each of them. What is spelled otherwise may be the same name.
    return folder === undefined || this.#foldsNames ? spot : { ...spot, taken: new Set(disk.namesIn(prefix)) }
  }

  /** Tries to put whole folders where their directories stand, empty as yet. Returns those that it could. */
  #placeFolders (area: string, { staging, sections, wholeFolders = [] }: Batch): Set<number> {
    const placed = new Set<number>()
    for (const folder of wholeFolders) {
      const directory = sections.find(section => section.folder === folder)?.directory
      if (directory === undefined) continue
      this.#beneath.trim()
      const { directory: parent, name } = splitPath(inside(area, directory) as RelativePath)
      try {
        const from = this.#beneath.open(`${STAGING}/${staging}`)
        const to = this.#beneath.open(parent)
        if (this.#syncsEach) this.#syncDirectory(stagingOf(staging, { folder }))
        disk.renameAt(from, folderName(folder), [to, name])
        if (this.#syncsEach) this.#syncDirectory(parent)
        placed.add(folder)
      } catch (error) {
        throwIfStoreTrouble(error)
        // Something stands there already, or this system does not put one directory over another: file by file, then.
      }
    }
    return placed
  }

  #placeEntry (spot: Spot, entry: Entry, from: { section: Section, e: number, staging: string, how: 'first' | 'again' }): void {
    const number = from.section.staged[from.e] ?? NOT_STAGED
    if (entry.kind === 'directory') this.#makeDirectory(spot, entry.name)
    else if (entry.kind === 'symlink') { if (number !== INDEX_ONLY) this.#makeLink(spot, entry, from.staging) }
    else if (!isContent(number)) touchFile(spot, entry)
    else if (from.how === 'again') this.#placeAgain(spot, entry, from)
    else this.#placeFile(spot, entry, [from.staging, contentName(from.section, entry, number)])
  }

  #placeFile (spot: Spot, entry: FileEntry, staged: readonly [prefix: string, name: string]): void {
    if (spot.taken?.has(entry.name) ?? disk.existsAt(spot.prefix, entry.name)) {
      const stat = disk.statAt(spot.prefix, entry.name)
      if (stat !== undefined) this.#toVersions(spot, entry.name, { stat, keeps: true })
    }
    disk.renameAt(staged[0], staged[1], [spot.prefix, entry.name])
  }

  // After a crash: what is not in staging any more must be in its place, and what is there is read before it is trusted.
  #placeAgain (spot: Spot, entry: FileEntry, { section, e, staging }: { section: Section, e: number, staging: string }): void {
    const name = contentName(section, entry, section.staged[e] ?? 0)
    if (!disk.existsAt(staging, name)) {
      const stat = disk.statAt(spot.prefix, entry.name)
      if (stat?.kind === 'file' && stat.sizeBytes === entry.sizeBytes && isSameTime(stat.mtimeNs, entry.mtimeNs, COARSEST_GRAIN_NS)) return
      throw new Error('its content was lost in a crash')
    }
    const fd = disk.readAt(staging, name)
    try {
      const hasher = createHasher()
      hashTo(fd, hasher)
      if (!equalDigests(hasher.digest(), readFact(section.facts, e * FACT_BYTES).digest)) throw new Error('its content was damaged in a crash')
    } finally {
      disk.close(fd)
    }
    this.#placeFile(spot, entry, [staging, name])
  }

  #makeDirectory (spot: Spot, name: string): void {
    try {
      disk.makeDirectoryAt(spot.prefix, name)
    } catch (error) {
      if (errnoOf(error) !== 'EEXIST') throw error
      const stat = disk.statAt(spot.prefix, name)
      if (stat?.kind === 'directory') return
      if (stat !== undefined) this.#toVersions(spot, name, { stat, keeps: false })
      disk.makeDirectoryAt(spot.prefix, name)
    }
  }

  #makeLink (spot: Spot, { name, target, mtimeNs }: SymlinkEntry, staging: string): void {
    const stat = disk.statAt(spot.prefix, name)
    if (stat?.kind !== 'symlink' || disk.targetAt(spot.prefix, name) !== target) {
      const temporary = 'link'
      if (disk.existsAt(staging, temporary)) disk.unlinkAt(staging, temporary)
      disk.symlinkAt(staging, temporary, target)
      if (stat !== undefined) this.#toVersions(spot, name, { stat, keeps: true })
      disk.renameAt(staging, temporary, [spot.prefix, name])
    }
    disk.touchLinkAt(spot.prefix, name, mtimeNs)
  }

  /** `keeps`: the name stays until something takes its place, so that no reader finds it missing. */
  #toVersions (spot: Spot, name: string, { stat, keeps }: { stat: Stat, keeps: boolean }): void {
    for (let stampMs = spot.stampMs; ; stampMs++) {
      const prefix = this.#beneath.open(inside(`${VERSIONS}/${spot.area}/${stampName(stampMs)}`, spot.directory), 'make')
      const taken = disk.statAt(prefix, name)
      if (taken !== undefined) {
        if (taken.inode !== stat.inode || taken.device !== stat.device) continue
        // Linked before a crash.
        if (!keeps) disk.unlinkAt(spot.prefix, name)
        return
      }
      if (keeps && (stat.kind === 'file' || stat.kind === 'symlink') && linked([spot.prefix, name], [prefix, name])) return
      disk.renameAt(spot.prefix, name, [prefix, name])
      return
    }
  }

  #syncDirectory (directory: string): void {
    try {
      disk.syncFile(this.#beneath.handle(directory))
    } catch (error) {
      throwIfStoreTrouble(error)
      // Windows cannot flush a directory; NTFS writes renames to its own journal.
      if (!['EPERM', 'EISDIR', 'EACCES', 'ENOENT', 'ENOTDIR', 'ELOOP', 'EBADF'].includes(errnoOf(error))) throw error
    }
  }
}

function contentName (section: Section, entry: FileEntry, number: number): string {
  return section.folder === undefined ? stagedName(number) : entry.name
}

function touchFile (spot: Spot, entry: FileEntry): void {
  const fd = disk.readAt(spot.prefix, entry.name)
  try {
    const stat = disk.statOf(fd)
    if (stat.sizeBytes !== entry.sizeBytes) throw new Error('the archive has another content there; verify will put it right')
    const mode = entry.mode & 0o777 | OWNER_READS
    if (stat.mode !== mode) disk.setMode(fd, mode)
    if (!isSameTime(stat.mtimeNs, entry.mtimeNs, TOUCH_GRAIN_NS)) disk.touch(fd, entry.mtimeNs)
  } finally {
    disk.close(fd)
  }
}

function linked (from: readonly [string, string], to: readonly [string, string]): boolean {
  try {
    disk.linkAt(from[0], from[1], to)
    return true
  } catch (error) {
    if (NO_LINKS.has(errnoOf(error))) return false
    throw error
  }
}

type Place = readonly [prefix: string, name: string]

function linkOrCopy (fd: number, [from, to]: readonly [Place, Place], syncs: boolean): void {
  if (disk.existsAt(to[0], to[1])) disk.unlinkAt(to[0], to[1])
  if (linked(from, to)) return
  const { mode, mtimeNs } = disk.statOf(fd)
  const copy = disk.createAt(to[0], to[1], mode)
  try {
    const buffer = new Uint8Array(1 << 20)
    for (let position = 0; ;) {
      const read = disk.readInto(fd, buffer, position)
      if (read === 0) break
      disk.writeAll(copy, buffer.subarray(0, read), position)
      position += read
    }
    disk.touch(copy, mtimeNs)
    if (syncs) disk.syncFile(copy)
  } finally {
    disk.close(copy)
  }
}
