import { DIGEST_BYTES, splitPath } from '@filesync/protocol'
import type { HashBytes, RelativePath } from '@filesync/protocol'
import type { ContentStore, DirectoryState, KeptEntry, Scratch } from '../store/content-store.ts'
import { FACT_BYTES, readSince } from '../store/facts.ts'
import { ListingBuilder, ListingCursor } from '../store/listing-cursor.ts'
import { readEvents } from './events.ts'
import { eventOfVersion, occupantAt, sinceOf } from './occupants.ts'
import type { Occupant } from './occupants.ts'
import { PackedState } from './packed-state.ts'
import type { PastEntry } from './packed-state.ts'
import { above, isAtOrBelow, isContainer, lastMoment, PastWalk } from './past-walk.ts'
import type { DirectoryOccupants, PastStateSource } from './past-walk.ts'
import { afterSync, comparePositions } from '../store/position.ts'
import type { Position } from '../store/position.ts'

/** The mode of a directory whose mode is unknown. */
const PRIVATE = 0o700

/** The state of an area, or of a path in it, at a moment. Close its files after use. */
export interface PastState {
  /** Its files and links. */
  readonly files: PackedState
  /** Its directories, each after the one above it. */
  readonly directories: ReadonlyMap<RelativePath, DirectoryState>
  /** Files whose copy in the mirror is known or suspected to be damaged. */
  readonly damaged: ReadonlySet<RelativePath>
  /** The position of the moment in the history of the area. */
  readonly at: Position
  /** The moment is exactly one that a version was said to have been there until. */
  readonly isShown: boolean
}

/** A moment whose state is wanted. */
export interface PastMoment {
  /** Milliseconds since the Unix epoch by the server's clock. */
  readonly ms: number
  /** The sync after which the state is wanted, which orders exactly even if the clock was set; undefined if only the time is known. */
  readonly count?: number
}

/**
 * Derives the state of a path at a moment from the mirror, the versions and the history. If no history is recorded, for example after
 * the loss of the index in a copy of an archive, the state may contain more than there was, but never less.
 */
export async function stateAt (source: PastStateSource, path: RelativePath, moment: PastMoment): Promise<PastState> {
  const walk = await PastWalk.open(source, path)
  const stored = await walk.storedPositions()
  const timeline = moment.count === undefined ? walk.timeline(stored) : undefined
  const at = moment.count === undefined ? timeline?.at(moment.ms) ?? afterSync(0) : afterSync(moment.count)
  const isFromCopying = await walk.copyingPeriod(stored)
  const { store } = source
  const choice = new Choice(walk, { at, ms: moment.ms, isFromCopying, openScratch: () => store.openScratch?.() })
  try {
    for await (const seen of walk.walk()) choice.take(seen)
    await choice.resolveConflicts()
    const { files, damaged } = choice
    return { files, directories: await choice.directories(), damaged, at, isShown: timeline?.isShown(moment.ms) === true }
  } catch (error) {
    choice.files.close()
    throw error
  }
}

interface ChoiceInit {
  readonly at: Position
  readonly ms: number
  readonly isFromCopying: (timeMs: number) => boolean
  readonly openScratch: () => Scratch | undefined
}

/** Chooses what was there at a moment, directory by directory. */
class Choice {
  readonly files: PackedState
  readonly damaged = new Set<RelativePath>()
  readonly #walk: PastWalk
  readonly #init: ChoiceInit
  readonly #directories = new Map<RelativePath, DirectoryState>()
  /** Files and links at paths that are directories at another time. */
  readonly #doubtful = new Set<RelativePath>()

  constructor (walk: PastWalk, init: ChoiceInit) {
    this.#walk = walk
    this.#init = init
    this.files = new PackedState(init.openScratch)
  }

  take (seen: DirectoryOccupants): void {
    const files: PastEntry[] = []
    for (const occupant of this.#chosen(seen)) {
      const { path } = occupant
      if (isDirectory(occupant)) this.#directories.set(path, stateOf(occupant))
      else {
        files.push(sourceOf(occupant, seen))
        if (occupant.isDoubtful) this.damaged.add(path)
        const { entry, found } = seen.present.get(path) ?? {}
        const isDirectoryNow = entry?.kind === 'directory' || found?.kind === 'directory'
        if (isDirectoryNow || this.#walk.hasInside(path)) this.#doubtful.add(path)
      }
    }
    for (const { path, isDamaged } of seen.present.values()) if (isDamaged) this.damaged.add(path)
    this.#takePlain(seen)
    this.files.add(seen.directory, files)
  }

  /** Only the time at which each was stored matters, so they stay encoded. */
  #takePlain ({ directory, plain: { listing, facts } }: DirectoryOccupants): void {
    const digests = new Uint8Array(facts.length / FACT_BYTES * DIGEST_BYTES)
    const builder = new ListingBuilder()
    let count = 0
    for (const cursor = new ListingCursor(listing); cursor.next();) {
      const at = cursor.index * FACT_BYTES
      if (!this.#wasStored(facts, at)) continue
      builder.add(listing.subarray(cursor.start, cursor.end))
      digests.set(facts.subarray(at, at + DIGEST_BYTES), count++ * DIGEST_BYTES)
    }
    if (count > 0) this.files.addListed(directory, builder.finish(), digests.subarray(0, count * DIGEST_BYTES))
  }

  /** Whether a file was stored by then that is still there, by its facts. */
  #wasStored (facts: Uint8Array, at: number): boolean {
    const since = readSince(facts, at)
    if (since.count !== 0) return comparePositions(since, this.#init.at) <= 0
    return this.#wasBorn(since.ms, Infinity)
  }

  #wasBorn (birthtimeMs: number, untilMs: number): boolean {
    const { ms, isFromCopying } = this.#init
    // Nothing is created after it left, so such a time is useless.
    return birthtimeMs <= ms || birthtimeMs >= untilMs || isFromCopying(birthtimeMs)
  }

  /** A file and something below its path cannot both have existed, so the one that left first wins. */
  async resolveConflicts (): Promise<void> {
    for (const top of [...this.#doubtful]) {
      const inside = [...this.files.filled()].filter(directory => isAtOrBelow(directory, top))
      if (inside.length === 0 || above(top).some(directory => this.#doubtful.has(directory))) continue
      const all = [await this.#walk.occupantsAt(top)]
      for (const directory of inside) all.push(await this.#walk.occupantsIn(directory))
      const chosen = all.flatMap(seen => this.#chosen(seen).filter(occupant => !isDirectory(occupant)))
      const winners = withoutConflicts(chosen)
      for (const directory of new Set([splitPath(top).directory, ...inside])) {
        const isOpen = (path: RelativePath): boolean => isAtOrBelow(path, top) && !winners.has(path)
        this.files.set(directory, [...this.files.in(directory)].filter(({ path }) => !isOpen(path)))
      }
      for (const path of [...this.#doubtful]) if (isAtOrBelow(path, top) && !winners.has(path)) this.#doubtful.delete(path)
    }
  }

  /** The directories that were there, and those that held something, with the mode and time of the nearest time before or after. */
  async directories (): Promise<ReadonlyMap<RelativePath, DirectoryState>> {
    const filled = new Set<RelativePath>()
    for (const directory of this.files.filled()) {
      for (const at of [directory, ...above(directory)]) {
        if (filled.has(at)) break
        if (at !== '') filled.add(at)
      }
    }
    for (const directory of [...this.#directories.keys()]) {
      if (this.#isInFile(directory)) this.#directories.delete(directory)
    }
    for (const directory of filled) {
      if (this.#directories.has(directory)) continue
      const { byPath } = await this.#walk.occupantsAt(directory)
      this.#directories.set(directory, nearestState(directory, byPath.get(directory) ?? [], this.#init.at))
    }
    const { path } = this.#walk
    // Directories above the requested path are included only if something is restored in them.
    const isIncluded = (directory: RelativePath): boolean => (
      isAtOrBelow(directory, path) || filled.has(directory) || this.#directories.has(path)
    )
    const included = [...this.#directories].filter(([directory]) => isIncluded(directory))
    return new Map(included.sort(([a], [b]) => a.length - b.length))
  }

  #chosen ({ byPath }: DirectoryOccupants): Occupant[] {
    const wasThere = ({ fact, found, until }: Occupant): boolean => (
      this.#wasBorn(fact?.storedAtMs ?? found?.birthtimeMs ?? 0, until.ms)
    )
    return [...byPath.values()].flatMap(occupants => occupantAt(occupants, this.#init.at, wasThere) ?? [])
  }

  /** Whether a path is that of a file or below one. Only a path that was a directory at another time can be. */
  #isInFile (path: RelativePath): boolean {
    return this.#doubtful.size > 0 && [path, ...above(path)].some(at => this.#doubtful.has(at))
  }
}

/** Versions of a path and of everything below it, newest first, each with the last moment at which it was in the mirror. */
export async function versionsOf (
  { area, store, hash }: { readonly area: string, readonly store: Pick<ContentStore, 'versions' | 'history'>, readonly hash: HashBytes },
  path: RelativePath,
): Promise<{ readonly kept: KeptEntry, readonly until: Position, readonly since: Position | undefined }[]> {
  const kept = await store.versions(area, path)
  const isWanted = (wanted: RelativePath): boolean => isAtOrBelow(wanted, path)
  const parent = splitPath(path).directory
  const isWantedDirectory = (directory: RelativePath): boolean => directory === parent || isAtOrBelow(directory, path)
  const { starts, events } = readEvents(await store.history(area), kept, { hash, isWanted, isWantedDirectory })
  const left = new Map(events.flatMap(event => event.folder === undefined ? [] : [[`${event.folder}/${event.path}`, event] as const]))
  return kept.flatMap(one => {
    const event = left.get(`${one.folder}/${one.path}`)
    if (event === undefined && isContainer(one, starts)) return []
    return [{ kept: one, until: lastMoment((event ?? eventOfVersion(one)).at), since: sinceOf(event?.fact) }]
  }).sort((a, b) => comparePositions(b.until, a.until))
}

/** Where an occupant's content is: its own folder, or that of a later occupant which differs only in mtime or mode. */
function sourceOf (occupant: Occupant, { byPath, kept }: DirectoryOccupants): PastEntry {
  const { path, entry, fact, found } = occupant
  const all = byPath.get(path) ?? []
  const isKept = (folder: string): boolean => kept.some(one => one.path === path && one.folder === folder)
  const next = occupant.folder === undefined
    ? all.slice(all.indexOf(occupant) + 1).find(({ folder }) => folder !== undefined && isKept(folder))
    : occupant
  const known = entry?.kind === 'file' && fact === undefined ? undefined : entry
  return { path, folder: next?.folder, entry: known, digest: fact?.digest, found: found ?? undefined }
}

function isDirectory ({ entry, found }: Occupant): boolean {
  return (entry ?? found)?.kind === 'directory'
}

function stateOf ({ path, entry, found }: Occupant): DirectoryState {
  const mode = entry?.kind === 'directory' ? entry.mode : found?.mode ?? PRIVATE
  return { directory: path, mode, mtimeNs: entry?.mtimeNs ?? found?.mtimeNs ?? 0n }
}

/** The state of a directory that held something but is not known to have existed then: that of the nearest time before or after. */
function nearestState (directory: RelativePath, occupants: readonly Occupant[], at: Position): DirectoryState {
  const known = occupants.filter(isDirectory)
  const nearest = known.find(({ until }) => comparePositions(until, at) > 0) ?? known.at(-1)
  return nearest === undefined ? { directory, mode: PRIVATE, mtimeNs: 0n } : stateOf(nearest)
}

/** The paths of the files that stay if a file excludes what is below its path: the one that left first wins. */
function withoutConflicts (chosen: readonly Occupant[]): ReadonlySet<RelativePath> {
  const files = new Set<RelativePath>()
  const filled = new Set<RelativePath>()
  for (const { path } of [...chosen].sort((a, b) => comparePositions(a.until, b.until))) {
    if (filled.has(path) || files.has(path) || above(path).some(directory => files.has(directory))) continue
    files.add(path)
    for (const directory of above(path)) filled.add(directory)
  }
  return files
}
