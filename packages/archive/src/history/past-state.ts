import { ROOT_PATH, splitPath } from '@filesync/protocol'
import type { Entry, HashBytes, RelativePath } from '@filesync/protocol'
import type { ArchiveIndex } from '../store/archive-index.ts'
import type { ContentStore, DirectoryState, FoundEntry, KeptEntry } from '../store/content-store.ts'
import type { Fact } from '../store/facts.ts'
import { parseVersionFolder } from '../store/version-folder.ts'
import { readEvents } from './events.ts'
import type { PathEvent, RecordedHistory } from './events.ts'
import { eventOfVersion, occupantAt, occupantsOf, sinceOf } from './occupants.ts'
import type { Occupant } from './occupants.ts'
import { afterSync, comparePositions } from '../store/position.ts'
import type { Position } from '../store/position.ts'
import { presentAt, presentBelow } from './present.ts'
import type { PresentEntry } from './present.ts'
import { Timeline } from './timeline.ts'

/** Stores may keep times less exactly than clocks. */
const GRAIN_MS = 1000
const DAY_MS = 86_400_000
/** The mode of a directory whose mode is unknown. */
const PRIVATE = 0o700

/** A file or link of a past state. */
export interface PastEntry {
  readonly path: RelativePath
  /** The folder in versions with its content; undefined for the mirror. */
  readonly folder: string | undefined
  /** The entry as stored; undefined if it was never in the index. */
  readonly entry: Entry | undefined
  /** If it is a file. */
  readonly fact: Fact | undefined
  /** The entry as found on the store, if it was never in the index. */
  readonly found: FoundEntry | undefined
}

/** The state of an area, or of a path in it, at a moment. */
export interface PastState {
  readonly files: readonly PastEntry[]
  readonly directories: readonly DirectoryState[]
  /** Files whose copy in the mirror is known or suspected to be damaged. */
  readonly damaged: ReadonlySet<RelativePath>
  /** The position of the moment in the history of the area. */
  readonly at: Position
  /** The moment is exactly one that a version was said to have been there until. */
  readonly isShown: boolean
}

export interface PastStateSource {
  readonly area: string
  readonly index: ArchiveIndex
  readonly store: Pick<ContentStore, 'versions' | 'history' | 'areaBirthtimeMs' | 'list' | 'find' | 'traits'>
  readonly hash: HashBytes
}

/** Everything that is known of a path and of everything below it. */
interface Known {
  readonly kept: readonly KeptEntry[]
  readonly present: readonly PresentEntry[]
  readonly byPath: ReadonlyMap<RelativePath, readonly Occupant[]>
  readonly timeline: Timeline
}

/**
 * Derives the state of a path at a moment from the mirror, the versions and the history. If no history is recorded, for example after
 * the loss of the index in a copy of an archive, the state may contain more than there was, but never less.
 */
export async function stateAt (source: PastStateSource, path: RelativePath, moment: PastMoment): Promise<PastState> {
  const known = await gather(source, path)
  const at = moment.count === undefined ? known.timeline.at(moment.ms) : afterSync(moment.count)
  const atMs = moment.ms
  const isFromCopying = copyingPeriod(await source.store.areaBirthtimeMs(source.area), known)
  const wasThere = ({ fact, found, until }: Occupant): boolean => {
    const birthtimeMs = fact?.storedAtMs ?? found?.birthtimeMs ?? 0
    // Nothing is created after it left, so such a time is useless.
    return birthtimeMs <= atMs || birthtimeMs >= until.ms || isFromCopying(birthtimeMs)
  }
  const chosen = [...known.byPath.values()].flatMap(occupants => occupantAt(occupants, at, wasThere) ?? [])
  const { files, filled } = withoutConflicts(chosen.filter(occupant => !isDirectory(occupant)))
  const directories = new Map<RelativePath, DirectoryState>()
  for (const occupant of chosen) {
    if (isDirectory(occupant) && !isInAny(occupant.path, files)) directories.set(occupant.path, stateOf(occupant))
  }
  for (const directory of filled) {
    if (!directories.has(directory)) directories.set(directory, nearestState(directory, known.byPath.get(directory) ?? [], at))
  }
  const isKept = keptFiles(known.kept)
  // Directories above the requested path are included only if something is restored in them.
  const isAbove = (directory: RelativePath): boolean => directory !== path && !isAtOrBelow(directory, path)
  return {
    files: [...files.values()].map(occupant => sourceOf(occupant, known.byPath.get(occupant.path) ?? [], isKept)),
    directories: [...directories.values()].filter(({ directory }) => !isAbove(directory) || filled.has(directory) || directories.has(path)),
    damaged: new Set([
      ...known.present.filter(({ isDamaged }) => isDamaged).map(({ path: at }) => at),
      ...[...files.values()].filter(({ isDoubtful }) => isDoubtful).map(({ path: at }) => at),
    ]),
    at,
    isShown: known.timeline.isShown(moment.ms),
  }
}

/** A moment whose state is wanted. */
export interface PastMoment {
  /** Milliseconds since the Unix epoch by the server's clock. */
  readonly ms: number
  /** The sync after which the state is wanted, which orders exactly even if the clock was set; undefined if only the time is known. */
  readonly count?: number
}

/** The last moment before something left. */
function lastMoment ({ count, ms }: Position): Position {
  return { count, ms: ms - 1 }
}

/** Versions of a path and of everything below it, newest first, each with the last moment at which it was in the mirror. */
export async function versionsOf (
  { area, store, hash }: Pick<PastStateSource, 'area' | 'store' | 'hash'>, path: RelativePath,
): Promise<{ readonly kept: KeptEntry, readonly until: Position, readonly since: Position | undefined }[]> {
  const kept = await store.versions(area, path)
  const isWanted = (wanted: RelativePath): boolean => isAtOrBelow(wanted, path)
  const { starts, events } = readEvents(await store.history(area), kept, { hash, isWanted })
  const left = new Map(events.flatMap(event => event.folder === undefined ? [] : [[`${event.folder}/${event.path}`, event] as const]))
  return kept.flatMap(one => {
    const event = left.get(`${one.folder}/${one.path}`)
    if (event === undefined && isContainer(one, starts)) return []
    return [{ kept: one, until: lastMoment((event ?? eventOfVersion(one)).at), since: sinceOf(event?.fact) }]
  }).sort((a, b) => comparePositions(b.until, a.until))
}

/** Everything that was at a path, or at any path below it: for each path the occupants, oldest first. */
export async function occupantsBelow (source: PastStateSource, path: RelativePath): Promise<(readonly Occupant[])[]> {
  const { byPath } = await gather(source, path)
  return [...byPath].filter(([at]) => isAtOrBelow(at, path)).map(([, occupants]) => occupants)
}

async function gather (source: PastStateSource, path: RelativePath): Promise<Known> {
  const { area, store } = source
  const parents = new Set(above(path))
  const isWanted = (wanted: RelativePath): boolean => isAtOrBelow(wanted, path) || parents.has(wanted)
  const kept = await store.versions(area, path)
  const { starts, events } = readEvents(await store.history(area), kept, { ...source, isWanted })
  const present = await presentBelow(source, path)
  for (const parent of parents) present.push(...await presentAt(source, parent))
  const byPath = new Map<RelativePath, PathEvent[]>()
  const add = (event: PathEvent): void => {
    const events = byPath.get(event.path)
    if (events === undefined) byPath.set(event.path, [event])
    else events.push(event)
  }
  for (const event of events) add(event)
  for (const event of impliedEvents(kept, { starts, events })) add(event)
  const now = new Map(present.map(one => [one.path, one]))
  const foundAt = new Map(kept.map(({ folder, path: at, found }) => [`${folder}/${at}`, found]))
  const occupants = new Map([...new Set([...byPath.keys(), ...now.keys()])].map(at => {
    const ordered = (byPath.get(at) ?? []).sort((a, b) => comparePositions(a.at, b.at))
    const all = occupantsOf(at, ordered, now.get(at)).map(occupant => {
      const { entry, folder } = occupant
      return entry === undefined && folder !== undefined ? { ...occupant, found: foundAt.get(`${folder}/${at}`) } : occupant
    })
    // Nothing is known of entries that were put there by hand and whose versions are gone.
    return [at, all.filter(({ entry, found }) => entry !== undefined || found !== undefined)] as const
  }))
  const places = [...starts].map(([count, { ms }]) => ({ count, ms }))
  const facts = present.flatMap(({ fact }) => sinceOf(fact) ?? [])
  const folders = kept.flatMap(({ folder }) => {
    const parsed = parseVersionFolder(folder)
    return parsed === undefined ? [] : [{ count: parsed.count, ms: parsed.stampMs }]
  })
  const ended = [...byPath.values()].flat().filter(({ folder }) => folder !== undefined).map(event => lastMoment(event.at))
  const timeline = new Timeline([...places, ...facts, ...folders, ...events.map(event => event.at)], ended)
  return { kept, present, byPath: occupants, timeline }
}

/** Whether a version is a directory that was only created to hold what left it: its sync has history, but not of it. */
function isContainer ({ folder, found }: KeptEntry, starts: ReadonlyMap<number, unknown>): boolean {
  return found.kind === 'directory' && starts.has(parseVersionFolder(folder)?.count ?? 0)
}

/** Events of versions without recorded history, because it was lost or they were placed there by hand. */
function impliedEvents (
  kept: readonly KeptEntry[], { starts, events }: Pick<RecordedHistory, 'starts' | 'events'>,
): PathEvent[] {
  const known = new Map(events.flatMap(event => event.folder === undefined ? [] : [[`${event.folder}/${event.path}`, event] as const]))
  return kept.flatMap(one => {
    const { folder, path } = one
    if (known.has(`${folder}/${path}`)) return []
    // Entries that were put into a directory by hand left together with it.
    const parent = above(path).map(directory => known.get(`${folder}/${directory}`)).find(event => event !== undefined)
    if (parent !== undefined) return [{ ...eventOfVersion(one), at: parent.at }]
    return isContainer(one, starts) ? [] : [eventOfVersion(one)]
  })
}

/** Where an occupant's content is: its own folder, or that of a later occupant which differs only in mtime or mode. */
function sourceOf (occupant: Occupant, all: readonly Occupant[], isKept: (folder: string, path: RelativePath) => boolean): PastEntry {
  const { path, entry, fact, found } = occupant
  const next = occupant.folder === undefined
    ? all.slice(all.indexOf(occupant) + 1).find(({ folder }) => folder !== undefined && isKept(folder, path))
    : occupant
  return { path, folder: next?.folder, entry, fact, found }
}

function keptFiles (kept: readonly KeptEntry[]): (folder: string, path: RelativePath) => boolean {
  const known = new Set(kept.map(({ folder, path }) => `${folder}/${path}`))
  return (folder, path) => known.has(`${folder}/${path}`)
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

/**
 * Resolves conflicts: a file and something below its path cannot both have existed, so the one that left first wins. `filled` has the
 * directories that are not empty.
 */
function withoutConflicts (
  chosen: readonly Occupant[],
): { readonly files: ReadonlyMap<RelativePath, Occupant>, readonly filled: ReadonlySet<RelativePath> } {
  const files = new Map<RelativePath, Occupant>()
  const filled = new Set<RelativePath>()
  for (const occupant of [...chosen].sort((a, b) => comparePositions(a.until, b.until))) {
    if (filled.has(occupant.path) || isInAny(occupant.path, files)) continue
    files.set(occupant.path, occupant)
    for (const directory of above(occupant.path)) filled.add(directory)
  }
  return { files, filled }
}

/**
 * Returns whether a birth time only says when the whole archive was copied. It was copied if the area's directory is younger than its
 * content, and copying may have taken a day.
 */
function copyingPeriod (birthtimeMs: number, { present, kept }: Known): (timeMs: number) => boolean {
  const knownMs = [
    ...present.flatMap(({ fact }) => fact?.storedAtMs ?? []),
    ...kept.flatMap(({ folder }) => parseVersionFolder(folder)?.stampMs ?? []),
  ]
  const oldestMs = knownMs.reduce((least, timeMs) => Math.min(least, timeMs), Infinity)
  if (oldestMs > birthtimeMs - GRAIN_MS) return () => false
  return timeMs => timeMs >= birthtimeMs - GRAIN_MS && timeMs <= birthtimeMs + DAY_MS
}

/** Whether a path is one of the files or below one. */
function isInAny (path: RelativePath, files: ReadonlyMap<RelativePath, unknown>): boolean {
  return files.has(path) || above(path).some(directory => files.has(directory))
}

function above (path: RelativePath): RelativePath[] {
  const directories: RelativePath[] = []
  for (let { directory } = splitPath(path); directory !== ROOT_PATH; { directory } = splitPath(directory)) directories.push(directory)
  return directories
}

function isAtOrBelow (path: RelativePath, top: RelativePath): boolean {
  return top === ROOT_PATH || path === top || path.startsWith(`${top}/`)
}
