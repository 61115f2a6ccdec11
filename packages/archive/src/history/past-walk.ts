import { joinPath, ROOT_PATH, splitPath } from '@filesync/protocol'
import type { HashBytes, RelativePath } from '@filesync/protocol'
import type { ArchiveIndex } from '../store/archive-index.ts'
import type { ContentStore, KeptEntry } from '../store/content-store.ts'
import { FACT_BYTES, readSince } from '../store/facts.ts'
import { EMPTY_DIRECTORY } from '../store/fold.ts'
import type { StoredDirectory } from '../store/fold.ts'
import { directoriesOf } from '../store/lookup.ts'
import type { Position } from '../store/position.ts'
import { parseVersionFolder } from '../store/version-folder.ts'
import { parseLog } from './change-log.ts'
import { DirectoryEvents } from './directory-events.ts'
import { compareEvents } from './events.ts'
import type { PathEvent } from './events.ts'
import { eventOfVersion, occupantsOf } from './occupants.ts'
import type { Occupant } from './occupants.ts'
import { presentAt, presentDirectory } from './present.ts'
import type { PresentEntry } from './present.ts'
import { Timeline } from './timeline.ts'

export interface PastStateSource {
  readonly area: string
  readonly index: ArchiveIndex
  readonly store: Pick<ContentStore, 'versions' | 'history' | 'areaBirthtimeMs' | 'list' | 'find' | 'traits' | 'openScratch'>
  readonly hash: HashBytes
  /** Lets other work of this thread run; by default long work is not interrupted. */
  readonly pause?: (() => Promise<void>) | undefined
}

/** When files were stored. */
export interface StoredPositions {
  /** The first and the last position of each sync that stored any. */
  readonly positions: readonly Position[]
  /** The earliest time; Infinity if none is known. */
  readonly oldestMs: number
}

/** Everything that was at the names of one directory, and what is there now. */
export interface DirectoryOccupants {
  readonly directory: RelativePath
  /**
   * Files that are in the mirror as the index knows them, that nothing is recorded of but their facts, and that have never been anything
   * else. They are in none of the maps.
   */
  readonly plain: StoredDirectory
  /** For each path the occupants, oldest first. */
  readonly byPath: ReadonlyMap<RelativePath, readonly Occupant[]>
  readonly present: ReadonlyMap<RelativePath, PresentEntry>
  /** Versions of these paths. */
  readonly kept: readonly KeptEntry[]
}

/** Stores may keep times less exactly than clocks. */
const GRAIN_MS = 1000
const DAY_MS = 86_400_000
/** Files whose facts are read before other work runs: some milliseconds. */
const PAUSE_AFTER_FILES = 16_384

/**
 * Walks everything that was at a path, below it and above it, directory by directory, so that only what is recorded of changes is in memory
 * as a whole, and not the files that are there now.
 */
export class PastWalk {
  readonly path: RelativePath
  readonly #source: PastStateSource
  readonly #events: DirectoryEvents
  /** The syncs with recorded history. */
  readonly #starts: ReadonlyMap<number, { readonly ms: number }>
  readonly #kept: readonly KeptEntry[]
  readonly #keptIn: ReadonlyMap<RelativePath, readonly KeptEntry[]>
  /** Directories that the history or the versions name, by the directory above them. */
  readonly #named = new Map<RelativePath, Set<RelativePath>>()

  private constructor (source: PastStateSource, path: RelativePath, { kept, events, starts }: {
    readonly kept: readonly KeptEntry[]
    readonly events: DirectoryEvents
    readonly starts: ReadonlyMap<number, { readonly ms: number }>
  }) {
    this.path = path
    this.#source = source
    this.#kept = kept
    this.#events = events
    this.#starts = starts
    this.#keptIn = Map.groupBy(kept, one => splitPath(one.path).directory)
    for (const directory of [...this.#events.directories(), ...this.#keptIn.keys()]) this.#addNamed(directory)
  }

  static async open (source: PastStateSource, path: RelativePath): Promise<PastWalk> {
    const { area, store, hash } = source
    const kept = await store.versions(area, path)
    const logs = (await store.history(area)).map(({ count, bytes }) => ({ count, ...parseLog(bytes, hash) }))
    const starts = new Map(logs.flatMap(({ count, start }) => start === undefined || Number.isNaN(start.ms) ? [] : [[count, start]]))
    // What changed elsewhere is neither kept in memory nor decoded.
    const wanted = logs.map(({ count, changes }) => ({ count, changes: changes.filter(change => isRelated(change.directory, path)) }))
    return new PastWalk(source, path, { kept, starts, events: new DirectoryEvents(wanted, kept, starts) })
  }

  /** The syncs with recorded history, and when each began. */
  get starts (): ReadonlyMap<number, { readonly ms: number }> {
    return this.#starts
  }

  /** All directories, each after the one above it, and first the single entries that lead to the path. */
  async * walk (): AsyncGenerator<DirectoryOccupants, void, undefined> {
    const parents = above(this.path).reverse()
    for (const parent of this.path === ROOT_PATH ? [] : [...parents, this.path]) yield await this.occupantsAt(parent)
    const below = [this.path]
    for (let directory = below.pop(); directory !== undefined; directory = below.pop()) {
      const found = await this.occupantsIn(directory)
      yield found
      const inside = new Set(this.#named.get(directory))
      for (const { path, entry, found: there } of found.present.values()) {
        if (entry?.kind === 'directory' || there?.kind === 'directory') inside.add(path)
      }
      below.push(...inside)
    }
  }

  /** Whether the history or the versions have something inside a path. */
  hasInside (path: RelativePath): boolean {
    return this.#named.get(splitPath(path).directory)?.has(path) === true
  }

  async occupantsIn (directory: RelativePath): Promise<DirectoryOccupants> {
    const events = this.#eventsIn(directory)
    const special = new Set([...events.map(({ path }) => path), ...this.#named.get(directory) ?? []])
    const { plain, others } = await presentDirectory(this.#source, directory, special)
    return { ...this.#occupants(directory, others, events), plain }
  }

  /** What was at a single path. */
  async occupantsAt (path: RelativePath): Promise<DirectoryOccupants> {
    const { directory } = splitPath(path)
    const events = this.#eventsIn(directory).filter(event => event.path === path)
    return this.#occupants(directory, await presentAt(this.#source, path), events)
  }

  /** Finds what a time means. */
  timeline (stored: StoredPositions): Timeline {
    const ended: Position[] = []
    for (const directory of this.#events.directories()) {
      for (const event of this.#eventsIn(directory)) if (event.folder !== undefined) ended.push(lastMoment(event.at))
    }
    return new Timeline(this.#knownPositions(stored), ended)
  }

  /**
   * Returns whether a birth time only says when the whole archive was copied. It was copied if the area's directory is younger than its
   * content, and copying may have taken a day.
   */
  async copyingPeriod (stored: StoredPositions): Promise<(timeMs: number) => boolean> {
    const birthtimeMs = await this.#source.store.areaBirthtimeMs(this.#source.area)
    let { oldestMs } = stored
    for (const { folder } of this.#kept) oldestMs = Math.min(oldestMs, parseVersionFolder(folder)?.stampMs ?? Infinity)
    if (oldestMs > birthtimeMs - GRAIN_MS) return () => false
    return timeMs => timeMs >= birthtimeMs - GRAIN_MS && timeMs <= birthtimeMs + DAY_MS
  }

  /** When the files of the index at the path and below it were stored. */
  async storedPositions (): Promise<StoredPositions> {
    const { index, area, pause } = this.#source
    const spans = new Map<number, { firstMs: number, lastMs: number }>()
    let [oldestMs, seen] = [Infinity, 0]
    const below = [this.path]
    for (let directory = below.pop(); directory !== undefined; directory = below.pop()) {
      const stored = index.directory({ area, directory })
      if (stored === undefined) continue
      for (let at = 0; at < stored.facts.length; at += FACT_BYTES) {
        const { count, ms } = readSince(stored.facts, at)
        // Entries that were put there by hand have a fact without a time.
        if (ms > 0) oldestMs = Math.min(oldestMs, ms)
        const span = spans.get(count)
        if (span === undefined) spans.set(count, { firstMs: ms, lastMs: ms })
        else if (ms < span.firstMs) span.firstMs = ms
        else if (ms > span.lastMs) span.lastMs = ms
      }
      for (const { name } of directoriesOf(stored.listing)) below.push(joinPath(directory, name))
      seen += 1 + stored.facts.length / FACT_BYTES
      if (seen < PAUSE_AFTER_FILES) continue
      seen = 0
      await pause?.()
    }
    spans.delete(0)
    const positions = [...spans].flatMap(([count, { firstMs, lastMs }]) => [{ count, ms: firstMs }, { count, ms: lastMs }])
    return { positions, oldestMs }
  }

  #occupants (directory: RelativePath, seen: readonly PresentEntry[], events: readonly PathEvent[]): DirectoryOccupants {
    const kept = this.#keptIn.get(directory) ?? []
    const byPath = Map.groupBy(events, ({ path }) => path)
    const present = new Map(seen.map(one => [one.path, one]))
    const foundAt = new Map(kept.map(({ folder, path, found }) => [`${folder}/${path}`, found]))
    const occupants = new Map<RelativePath, readonly Occupant[]>()
    for (const path of new Set([...byPath.keys(), ...present.keys()])) {
      const ordered = (byPath.get(path) ?? []).sort(compareEvents)
      const all = occupantsOf(path, ordered, present.get(path)).map(occupant => {
        const { entry, folder } = occupant
        return entry === undefined && folder !== undefined ? { ...occupant, found: foundAt.get(`${folder}/${path}`) } : occupant
      })
      // Nothing is known of entries that were put there by hand and whose versions are gone.
      occupants.set(path, all.filter(({ entry, found }) => entry !== undefined || found !== undefined))
    }
    return { directory, plain: EMPTY_DIRECTORY, byPath: occupants, present, kept }
  }

  /** The recorded events of a directory's entries, and those that versions without recorded history imply. */
  #eventsIn (directory: RelativePath): PathEvent[] {
    const events = this.#events.in(directory)
    const kept = this.#keptIn.get(directory)
    if (kept === undefined) return events
    const known = new Set(events.flatMap(({ folder, path }) => folder === undefined ? [] : [`${folder}/${path}`]))
    return [...events, ...kept.flatMap(one => {
      const { folder, path } = one
      if (known.has(`${folder}/${path}`)) return []
      // Entries that were put into a directory by hand left together with it.
      const parent = above(path).map(at => this.#events.left(folder, at)).find(event => event !== undefined)
      if (parent !== undefined) return [{ ...eventOfVersion(one), at: parent.at }]
      return isContainer(one, this.#starts) ? [] : [eventOfVersion(one)]
    })]
  }

  * #knownPositions (stored: StoredPositions): Generator<Position, void, undefined> {
    for (const [count, { ms }] of this.#starts) yield { count, ms }
    yield * stored.positions
    for (const folder of new Set(this.#kept.map(one => one.folder))) {
      const parsed = parseVersionFolder(folder)
      if (parsed !== undefined) yield { count: parsed.count, ms: parsed.stampMs }
    }
    for (const directory of this.#events.directories()) {
      for (const { at } of this.#events.in(directory)) yield at
    }
  }

  #addNamed (directory: RelativePath): void {
    for (let at = directory; at !== ROOT_PATH; at = splitPath(at).directory) {
      const parent = splitPath(at).directory
      const named = this.#named.get(parent)
      if (named?.has(at) === true) return
      if (named === undefined) this.#named.set(parent, new Set([at]))
      else named.add(at)
    }
  }
}

/** Whether a directory is a path, below it, or above it. */
function isRelated (directory: RelativePath, path: RelativePath): boolean {
  return isAtOrBelow(directory, path) || isAtOrBelow(path, directory)
}

/** The last moment before something left. */
export function lastMoment ({ count, ms }: Position): Position {
  return { count, ms: ms - 1 }
}

/** Whether a version is a directory that was only created to hold what left it: its sync has history, but not of it. */
export function isContainer ({ folder, found }: KeptEntry, starts: ReadonlyMap<number, unknown>): boolean {
  return found.kind === 'directory' && starts.has(parseVersionFolder(folder)?.count ?? 0)
}

/** The directories above a path, deepest first, without the root. */
export function above (path: RelativePath): RelativePath[] {
  const directories: RelativePath[] = []
  for (let { directory } = splitPath(path); directory !== ROOT_PATH; { directory } = splitPath(directory)) directories.push(directory)
  return directories
}

export function isAtOrBelow (path: RelativePath, top: RelativePath): boolean {
  return top === ROOT_PATH || path === top || path.startsWith(`${top}/`)
}
