import { errnoOf, ROOT_PATH } from '@filesync/protocol'
import type { RelativePath } from '@filesync/protocol'
import type { KeptEntry } from '../store/content-store.ts'
import { STAYS_THERE, WAS_KEPT, WAS_NOTHING } from '../store/section.ts'
import type { BatchOutcome, RemovalBatch } from '../store/section.ts'
import { compareFolders, parseVersionFolder, versionFolder } from '../store/version-folder.ts'
import type { Beneath } from './beneath.ts'
import { describeAt } from './describe-at.ts'
import type { DiskFlushing } from './disk-flushing.ts'
import { inside, OWN, split, STAGING, VERSIONS } from './disk-places.ts'
import * as disk from './disk.ts'
import type { Stat } from './disk.ts'
import { linksSymlinks, tryLink } from './hard-link.ts'
import { describeFileError, throwIfStoreError } from './disk-errors.ts'

/** A directory of the mirror, and the sync that changes it. */
export interface Spot {
  readonly area: string
  readonly directory: RelativePath
  readonly prefix: string
  readonly count: number
  readonly stampMs: number
}

/** A path in a sync's folder of versions, and the list that its versions are added to. */
interface Collected {
  readonly folder: string
  readonly path: RelativePath
  readonly all: KeptEntry[]
}

/** Keeps versions of what is replaced or removed, lists them, and drops them. */
export class DiskVersions {
  readonly #beneath: Beneath
  readonly #flushing: DiskFlushing
  #linksSymlinks: boolean | undefined

  constructor (beneath: Beneath, flushing: DiskFlushing) {
    this.#beneath = beneath
    this.#flushing = flushing
  }

  /**
   * Turns what is at a name into a version, and returns WAS_KEPT plus the number of the sync's folder that holds it. With `keeps`, the
   * name stays until it is replaced, so that no reader finds it missing.
   */
  keep (spot: Spot, name: string, { stat, keeps }: { stat: Stat, keeps: boolean }): number {
    for (let extra = 0; ; extra++) {
      const directory = inside(`${VERSIONS}/${spot.area}/${versionFolder({ ...spot, extra })}`, spot.directory)
      const prefix = this.#beneath.open(directory, 'make')
      const taken = disk.statAt(prefix, name)
      if (taken !== undefined && (taken.inode !== stat.inode || taken.device !== stat.device)) continue
      this.#flushing.made(directory, OWN)
      this.#flushing.named(directory, '', name)
      this.#flushing.changed(spot.area, spot.directory)
      if (taken !== undefined) {
        // Linked before a crash.
        if (!keeps) disk.unlinkAt(spot.prefix, name)
      } else if (!keeps || !this.#mayLink(stat) || !tryLink([spot.prefix, name], [prefix, name])) {
        disk.renameAt(spot.prefix, name, [prefix, name])
      }
      return WAS_KEPT + extra
    }
  }

  #mayLink ({ kind }: Stat): boolean {
    if (kind !== 'symlink') return kind === 'file'
    return this.#linksSymlinks ??= linksSymlinks(this.#beneath.open(STAGING, 'make'))
  }

  /** Moves what is at these names to versions. In the outcome, `agesMs` are times of the clock, not ages. */
  remove (area: string, { count, stampMs, removals }: RemovalBatch): BatchOutcome {
    const outcome = newOutcome(removals.reduce((sum, { names }) => sum + names.length, 0))
    let at = 0
    removals.forEach(({ directory, names }, section) => {
      this.#beneath.trim()
      names.forEach((name, entry) => {
        try {
          const prefix = this.#beneath.open(inside(area, directory))
          const stat = disk.statAt(prefix, name)
          if (stat === undefined) outcome.before[at] = WAS_NOTHING
          else outcome.before[at] = this.keep({ area, directory, prefix, count, stampMs }, name, { stat, keeps: false })
        } catch (error) {
          throwIfStoreError(error)
          if (errnoOf(error) === 'ENOENT') outcome.before[at] = WAS_NOTHING
          else outcome.failures.push({ section, entry, message: describeFileError(error) })
        }
        outcome.agesMs[at++] = Date.now()
      })
    })
    return outcome
  }

  /** The versions of a path and of everything below it, newest first. */
  list (area: string, path: RelativePath): KeptEntry[] {
    const all: KeptEntry[] = []
    const home = inside(VERSIONS, area)
    const folders = this.#stamps(home).flatMap(name => {
      const parsed = parseVersionFolder(name)
      return parsed === undefined ? [] : [{ name, parsed }]
    })
    for (const { name } of folders.sort((a, b) => compareFolders(a.parsed, b.parsed))) this.#collect(home, { folder: name, path, all })
    this.#beneath.closeHandles()
    return all
  }

  /** Drops versions and the directories that become empty, deepest first. With an empty list, drops folders that a crash left empty. */
  drop (area: string, versions: readonly KeptEntry[]): void {
    const home = inside(VERSIONS, area)
    const left = new Set<string>()
    for (const { folder, path, found } of versions) {
      const at = inside(inside(home, folder), path)
      if (found.kind === 'directory') left.add(at)
      else this.#unlink(at)
      for (let [above] = split(at); above !== home; [above] = split(above)) left.add(above)
    }
    this.#beneath.closeHandles()
    // The folder of a sync is removed with its last version, unless a crash interrupts that.
    if (versions.length === 0) for (const stamp of this.#stamps(home)) left.add(inside(home, stamp))
    for (const directory of [...left].sort((a, b) => b.length - a.length)) this.#removeIfEmpty(directory)
    this.#beneath.closeHandles()
  }

  /** The names in the versions directory of an area, which the first sync that keeps a version creates. */
  #stamps (home: string): string[] {
    try {
      return disk.namesIn(this.#beneath.open(home))
    } catch (error) {
      if (errnoOf(error) !== 'ENOENT') throw error
      return []
    }
  }

  #collect (home: string, { folder, path, all }: Collected): void {
    if (path === ROOT_PATH) {
      this.#collectBelow(home, { folder, path, all })
      return
    }
    try {
      this.#collectEntry(home, { folder, path, all })
    } catch (error) {
      if (!['ENOENT', 'ENOTDIR', 'ELOOP'].includes(errnoOf(error))) throw error
    }
  }

  #collectBelow (home: string, { folder, path, all }: Collected): void {
    this.#beneath.trim()
    for (const name of disk.namesIn(this.#beneath.open(inside(inside(home, folder), path))).sort()) {
      this.#collectEntry(home, { folder, path: inside(path, name) as RelativePath, all })
    }
  }

  #collectEntry (home: string, { folder, path, all }: Collected): void {
    const [directory, name] = split(inside(inside(home, folder), path))
    const found = describeAt(this.#beneath.open(directory), name)
    if (found === undefined) return
    all.push({ folder, path, found })
    if (found.kind === 'directory') this.#collectBelow(home, { folder, path, all })
  }

  #unlink (at: string): void {
    this.#beneath.trim()
    const [directory, name] = split(at)
    try {
      disk.unlinkAt(this.#beneath.open(directory), name)
    } catch (error) {
      if (!['ENOENT', 'ENOTDIR'].includes(errnoOf(error))) throw error
    }
  }

  #removeIfEmpty (at: string): void {
    this.#beneath.trim()
    const [directory, name] = split(at)
    try {
      disk.removeDirectoryAt(this.#beneath.open(directory), name)
    } catch (error) {
      if (!['ENOTEMPTY', 'EEXIST', 'ENOENT', 'ENOTDIR'].includes(errnoOf(error))) throw error
    }
  }
}

/** The outcome for a number of entries before any of them is touched. */
export function newOutcome (entries: number): BatchOutcome {
  return { failures: [], before: new Uint16Array(entries).fill(STAYS_THERE), agesMs: new Float64Array(entries) }
}
