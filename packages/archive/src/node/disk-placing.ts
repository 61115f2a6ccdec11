import { equalDigests, errnoOf, readListing, splitPath } from '@filesync/protocol'
import type { Digest, DirectoryEntry, Entry, FileEntry, RelativePath, SymlinkEntry } from '@filesync/protocol'
import type { DirectoryState, Placing } from '../store/content-store.ts'
import { FACT_BYTES, readFact } from '../store/facts.ts'
import { isTimeAsSet } from '../store/file-time.ts'
import type { TimeRange } from '../store/file-time.ts'
import { INDEX_ONLY, isContent, NOT_STAGED, STAYS_THERE, WAS_NOTHING } from '../store/section.ts'
import type { Batch, BatchOutcome, Section } from '../store/section.ts'
import type { Beneath } from './beneath.ts'
import { setDirectory } from './disk-directories.ts'
import type { DiskWorkerData } from './disk-calls.ts'
import { folderName, inside, STAGING, stagedName, stagingOf } from './disk-places.ts'
import type { DiskFlushing } from './disk-flushing.ts'
import { newOutcome } from './disk-versions.ts'
import type { DiskVersions, Spot } from './disk-versions.ts'
import * as disk from './disk.ts'
import { throwIfStoreError } from './disk-errors.ts'
import { describeFailure, DiskTouching } from './disk-touching.ts'
import { digestAt } from './whole-file.ts'

/** The server has to be able to change the directories that it stores. */
const OWNER_OWNS = 0o700

/** The directory that the entries of a section are placed in. */
interface Target extends Spot {
  /** The names that exist there already, if they were all read. */
  readonly taken?: ReadonlySet<string>
}

interface PlacedEntry {
  readonly section: Section
  /** The positions of the section in the batch, and of the entry in the section. */
  readonly s: number
  readonly e: number
  readonly staging: string
  readonly how: Placing
  readonly touching: DiskTouching
}

/** Moves staged content to its place; what was there becomes a version. */
export class DiskPlacing {
  readonly #beneath: Beneath
  readonly #versions: DiskVersions
  readonly #flushing: DiskFlushing
  readonly #foldsNames: boolean
  readonly #times: TimeRange | undefined

  constructor (
    beneath: Beneath, versions: DiskVersions,
    { flushing, foldsNames, times }: Pick<DiskWorkerData, 'foldsNames' | 'times'> & { readonly flushing: DiskFlushing },
  ) {
    this.#beneath = beneath
    this.#versions = versions
    this.#flushing = flushing
    this.#foldsNames = foldsNames
    this.#times = times
  }

  /** In the outcome, `agesMs` are times of the clock, not ages. */
  place (area: string, batch: Batch, how: Placing): BatchOutcome {
    const outcome = newOutcome(batch.sections.reduce((sum, { staged }) => sum + staged.length, 0))
    const placed = how === 'first' ? this.#placeFolders(area, batch) : undefined
    const touching = new DiskTouching(this.#beneath, { batch, flushing: this.#flushing, times: this.#times })
    let at = 0
    batch.sections.forEach((section, s) => {
      const { directory } = section
      const placedMs = section.folder === undefined ? undefined : placed?.get(section.folder)
      if (placedMs !== undefined) {
        outcome.before.fill(WAS_NOTHING, at, at + section.staged.length)
        outcome.agesMs.fill(placedMs, at, at + section.staged.length)
        at += section.staged.length
        return
      }
      this.#beneath.trim()
      const staging = this.#beneath.open(stagingOf(batch.staging, section), 'make')
      let spot: Target | undefined
      let e = 0
      for (const entry of readListing(section.entries)) {
        try {
          spot ??= this.#spotOf(area, section, batch)
          outcome.before[at] = this.#placeEntry(spot, entry, { section, s, e, staging, how, touching })
        } catch (error) {
          throwIfStoreError(error)
          outcome.failures.push({ section: s, entry: e, ...describeFailure(error) })
        }
        outcome.agesMs[at++] = Date.now()
        e++
      }
      this.#flushing.changed(area, directory)
    })
    outcome.failures.push(...touching.separate())
    return outcome
  }

  applyDirectoryStates (area: string, directories: readonly DirectoryState[]): void {
    this.#flushing.changed(area)
    // Deepest first: a path is longer than those of the directories above it.
    for (const { directory, mtimeNs, mode } of [...directories].sort((a, b) => b.directory.length - a.directory.length)) {
      this.#beneath.trim()
      try {
        setDirectory(this.#beneath, inside(area, directory), { mode: mode | OWNER_OWNS, mtimeNs })
      } catch (error) {
        throwIfStoreError(error)
        // A directory that is missing, or is something else, was reported as a problem when it was placed.
        if (!['ENOENT', 'ENOTDIR', 'ELOOP', 'EPERM'].includes(errnoOf(error))) throw error
      }
    }
  }

  #spotOf (area: string, { directory, folder }: Section, { count, stampMs }: Batch): Target {
    const prefix = this.#beneath.open(inside(area, directory))
    const spot = { area, directory, prefix, count, stampMs }
    // A new directory is small: reading its names once is faster than looking up each of them. If the file system folds names, another
    // spelling may be the same name, so each one is looked up.
    return folder === undefined || this.#foldsNames ? spot : { ...spot, taken: new Set(disk.namesIn(prefix)) }
  }

  /** Tries to rename whole folders over their directories, which are still empty. Returns those that it could, with the time. */
  #placeFolders (area: string, { staging, sections, wholeFolders = [] }: Batch): Map<number, number> {
    const placed = new Map<number, number>()
    for (const folder of wholeFolders) {
      const directory = sections.find(section => section.folder === folder)?.directory
      if (directory === undefined) continue
      this.#beneath.trim()
      const { directory: parent, name } = splitPath(inside(area, directory) as RelativePath)
      try {
        const from = this.#beneath.open(`${STAGING}/${staging}`)
        const to = this.#beneath.open(parent)
        disk.renameAt(from, folderName(folder), [to, name])
        this.#flushing.changed(parent)
        this.#flushing.changed(area, directory)
        placed.set(folder, Date.now())
      } catch (error) {
        throwIfStoreError(error)
        // The directory is not empty, or this system cannot rename over a directory: its files are placed one by one.
      }
    }
    return placed
  }

  /** Returns what was there before, for {@link BatchOutcome.before}. */
  #placeEntry (spot: Target, entry: Entry, from: PlacedEntry): number {
    const number = from.section.staged[from.e] ?? NOT_STAGED
    if (entry.kind === 'directory') return this.#makeDirectory(spot, entry)
    if (entry.kind === 'symlink') return number === INDEX_ONLY ? STAYS_THERE : this.#makeLink(spot, entry, from.staging)
    if (!isContent(number)) return from.touching.touch(spot, entry, { number, section: from.s, entry: from.e })
    if (from.how !== 'first') return this.#placeAgain(spot, entry, from)
    return this.#placeFile(spot, entry, [from.staging, contentName(from.section, entry, number)])
  }

  #placeFile (spot: Target, entry: FileEntry, staged: readonly [prefix: string, name: string]): number {
    let before = WAS_NOTHING
    if (spot.taken?.has(entry.name) ?? disk.existsAt(spot.prefix, entry.name)) {
      const stat = disk.statAt(spot.prefix, entry.name)
      if (stat !== undefined) before = this.#versions.keep(spot, entry.name, { stat, keeps: true })
    }
    disk.replaceAt(staged[0], staged[1], [spot.prefix, entry.name])
    this.#flushing.named(spot.area, spot.directory, entry.name)
    return before
  }

  // After a crash: content that is no longer in staging must be in its place. Content in staging is verified before it is used, and so is
  // content that was placed and may not have been flushed.
  #placeAgain (spot: Target, entry: FileEntry, { section, e, staging, how }: PlacedEntry): number {
    const { digest } = readFact(section.facts, e * FACT_BYTES)
    const name = contentName(section, entry, section.staged[e] ?? 0)
    if (!disk.existsAt(staging, name)) {
      const stat = disk.statAt(spot.prefix, entry.name)
      const isPlaced = stat?.kind === 'file' && stat.sizeBytes === entry.sizeBytes && isTimeAsSet(entry.mtimeNs, stat.mtimeNs, this.#times)
      if (isPlaced && (how === 'again' || holdsDigest(spot.prefix, entry.name, digest))) return STAYS_THERE
      throw new Error('its content was lost in a crash')
    }
    if (!holdsDigest(staging, name, digest)) throw new Error('its content was damaged in a crash')
    return this.#placeFile(spot, entry, [staging, name])
  }

  #makeDirectory (spot: Spot, { name, mode }: DirectoryEntry): number {
    this.#flushing.changed(spot.area, inside(spot.directory, name))
    try {
      disk.makeDirectoryAt(spot.prefix, name)
      return WAS_NOTHING
    } catch (error) {
      if (errnoOf(error) !== 'EEXIST') throw error
      const stat = disk.statAt(spot.prefix, name)
      if (stat?.kind === 'directory') {
        // At once, so that the history records when. Its time is set later, when nothing in it changes any more.
        const given = mode & 0o777 | OWNER_OWNS
        if (stat.mode !== given) disk.setDirectoryModeAt(spot.prefix, name, given)
        return STAYS_THERE
      }
      const before = stat === undefined ? WAS_NOTHING : this.#versions.keep(spot, name, { stat, keeps: false })
      disk.makeDirectoryAt(spot.prefix, name)
      return before
    }
  }

  #makeLink (spot: Spot, { name, target, mtimeNs }: SymlinkEntry, staging: string): number {
    const stat = disk.statAt(spot.prefix, name)
    let before = stat === undefined ? WAS_NOTHING : STAYS_THERE
    if (stat?.kind !== 'symlink' || disk.targetAt(spot.prefix, name) !== target) {
      const temporary = 'link'
      if (disk.existsAt(staging, temporary)) disk.unlinkAt(staging, temporary)
      disk.symlinkAt(staging, temporary, target)
      if (stat !== undefined) before = this.#versions.keep(spot, name, { stat, keeps: true })
      disk.replaceAt(staging, temporary, [spot.prefix, name])
    }
    disk.touchLinkAt(spot.prefix, name, mtimeNs)
    return before
  }
}

function contentName (section: Section, entry: FileEntry, number: number): string {
  return section.folder === undefined ? stagedName(number) : entry.name
}

/** Whether the content of a file is what arrived. Also false if part of it cannot be read, so that it is requested again. */
function holdsDigest (prefix: string, name: string, digest: Digest): boolean {
  try {
    return equalDigests(digestAt(prefix, name), digest)
  } catch (error) {
    if (errnoOf(error) !== 'EIO') throw error
    return false
  }
}
