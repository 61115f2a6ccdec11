import { errnoOf, ROOT_PATH } from '@filesync/protocol'
import type { RelativePath } from '@filesync/protocol'
import type { Version } from '../content-store.ts'
import type { Failure, RemovalBatch } from '../section.ts'
import type { Beneath } from './beneath.ts'
import { inside, parseStamp, split, stampName, VERSIONS } from './disk-places.ts'
import * as disk from './disk.ts'
import type { Stat } from './disk.ts'
import { tryLink } from './hard-link.ts'
import { fileTrouble, throwIfStoreTrouble } from './trouble.ts'

/** A directory of the mirror, and the sync that changes it. */
export interface Spot {
  readonly area: string
  readonly directory: RelativePath
  readonly prefix: string
  readonly stampMs: number
}

interface Found {
  readonly version: Version
  readonly inode: bigint
}

/** Keeps what is replaced or removed, and looks after what was kept. */
export class DiskVersions {
  readonly #beneath: Beneath

  constructor (beneath: Beneath) {
    this.#beneath = beneath
  }

  /** Makes what stands at a name a version. `keeps`: the name stays until something takes its place, so that no reader finds it missing. */
  keep (spot: Spot, name: string, { stat, keeps }: { stat: Stat, keeps: boolean }): void {
    for (let stampMs = spot.stampMs; ; stampMs++) {
      const prefix = this.#beneath.open(inside(`${VERSIONS}/${spot.area}/${stampName(stampMs)}`, spot.directory), 'make')
      const taken = disk.statAt(prefix, name)
      if (taken !== undefined) {
        if (taken.inode !== stat.inode || taken.device !== stat.device) continue
        // Linked before a crash.
        if (!keeps) disk.unlinkAt(spot.prefix, name)
        return
      }
      if (keeps && (stat.kind === 'file' || stat.kind === 'symlink') && tryLink([spot.prefix, name], [prefix, name])) return
      disk.renameAt(spot.prefix, name, [prefix, name])
      return
    }
  }

  /** Makes versions of what stands at these names; they are gone then. */
  remove (area: string, { stampMs, removals }: RemovalBatch): Failure[] {
    const failures: Failure[] = []
    removals.forEach(({ directory, names }, section) => {
      this.#beneath.trim()
      names.forEach((name, entry) => {
        try {
          const prefix = this.#beneath.open(inside(area, directory))
          const stat = disk.statAt(prefix, name)
          if (stat !== undefined) this.keep({ area, directory, prefix, stampMs }, name, { stat, keeps: false })
        } catch (error) {
          throwIfStoreTrouble(error)
          if (errnoOf(error) !== 'ENOENT') failures.push({ section, entry, message: fileTrouble(error) })
        }
      })
    })
    return failures
  }

  /** Earlier states of a path and of what lies below it, newest first. */
  list (area: string, path: RelativePath): Version[] {
    const all: Found[] = []
    const home = inside(VERSIONS, area)
    for (const stamp of this.#stamps(home).sort().reverse()) {
      const untilMs = parseStamp(stamp)
      if (untilMs !== undefined) this.#collect(inside(home, stamp), path, { untilMs, all })
    }
    this.#beneath.forget()
    return sinceTheyMoved(all)
  }

  /** Drops versions, those deepest below first, and what is left empty. Without any, what a crash left empty. */
  drop (area: string, versions: readonly Version[]): void {
    const home = inside(VERSIONS, area)
    const left = new Set<string>()
    for (const { untilMs, path, kind } of versions) {
      const at = inside(inside(home, stampName(untilMs)), path)
      if (kind === 'directory') left.add(at)
      else this.#unlink(at)
      for (let [above] = split(at); above !== home; [above] = split(above)) left.add(above)
    }
    this.#beneath.forget()
    // The folder of a sync goes with its last version, unless a crash came between.
    if (versions.length === 0) for (const stamp of this.#stamps(home)) left.add(inside(home, stamp))
    for (const directory of [...left].sort((a, b) => b.length - a.length)) this.#removeIfEmpty(directory)
    this.#beneath.forget()
  }

  /** What is in an area's folder of versions, which its first sync with any makes. */
  #stamps (home: string): string[] {
    try {
      return disk.namesIn(this.#beneath.open(home))
    } catch (error) {
      if (errnoOf(error) !== 'ENOENT') throw error
      return []
    }
  }

  #collect (stamp: string, path: RelativePath, into: { readonly untilMs: number, readonly all: Found[] }): void {
    if (path === ROOT_PATH) {
      this.#collectBelow(stamp, path, into)
      return
    }
    try {
      const [directory, name] = split(inside(stamp, path))
      this.#take([directory, name], path, { stamp, ...into })
    } catch (error) {
      if (!['ENOENT', 'ENOTDIR', 'ELOOP'].includes(errnoOf(error))) throw error
    }
  }

  #collectBelow (stamp: string, path: RelativePath, into: { readonly untilMs: number, readonly all: Found[] }): void {
    const directory = inside(stamp, path)
    this.#beneath.trim()
    for (const name of disk.namesIn(this.#beneath.open(directory)).sort()) {
      this.#take([directory, name], (path === ROOT_PATH ? name : inside(path, name)) as RelativePath, { stamp, ...into })
    }
  }

  #take (at: readonly [directory: string, name: string], path: RelativePath, into: { readonly stamp: string, readonly untilMs: number, readonly all: Found[] }): void {
    const stat = disk.statAt(this.#beneath.open(at[0]), at[1])
    if (stat === undefined) return
    const { kind, sizeBytes, mtimeNs, birthMs, inode } = stat
    into.all.push({ version: { untilMs: into.untilMs, sinceMs: birthMs, path, kind, sizeBytes, mtimeNs }, inode })
    if (kind === 'directory') this.#collectBelow(into.stamp, path, into)
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

/** A file that moves stays the same file on the disk: under each name it stood from the time that it left the one before. */
function sinceTheyMoved (newestFirst: readonly Found[]): Version[] {
  const leftMs = new Map<bigint, number>()
  return [...newestFirst].reverse().map(({ version, inode }) => {
    if (version.kind !== 'file') return version
    const since = Math.max(version.sinceMs, leftMs.get(inode) ?? 0)
    leftMs.set(inode, version.untilMs)
    return since === version.sinceMs ? version : { ...version, sinceMs: since }
  }).reverse()
}
