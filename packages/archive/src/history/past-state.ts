import { ROOT_PATH, splitPath } from '@filesync/protocol'
import type { Entry, HashBytes, RelativePath } from '@filesync/protocol'
import type { ArchiveIndex } from '../store/archive-index.ts'
import type { ContentStore, DirectoryState, KeptEntry } from '../store/content-store.ts'
import type { Fact } from '../store/facts.ts'
import { parseVersionFolder } from '../store/version-folder.ts'
import { readEvents } from './events.ts'
import type { PathEvent } from './events.ts'
import { eventOfVersion, occupantAt, occupantsOf, sinceOf } from './occupants.ts'
import type { Occupant } from './occupants.ts'
import { comparePositions } from '../store/position.ts'
import type { Position } from '../store/position.ts'
import { presentAt, presentBelow } from './present.ts'
import type { PresentEntry } from './present.ts'
import { Timeline } from './timeline.ts'

/** Stores tell times more coarsely than clocks do. */
const GRAIN_MS = 1000
const DAY_MS = 86_400_000
/** Of a directory that nothing is known of. */
const PRIVATE = 0o700

/** A file or link that there was. */
export interface PastEntry {
  readonly path: RelativePath
  /** The folder in versions that has it; undefined for the mirror. */
  readonly folder: string | undefined
  /** As it was; undefined of one that the index never knew. */
  readonly entry: Entry | undefined
  /** Of a file. */
  readonly fact: Fact | undefined
}

/** What there was of an area at a moment. */
export interface PastState {
  readonly files: readonly PastEntry[]
  readonly directories: readonly DirectoryState[]
  /** Those of the files of which it is known that the mirror does not have them as they were stored. */
  readonly damaged: ReadonlySet<RelativePath>
  /** The moment, in the history of the area. */
  readonly at: Position
}

export interface PastStateSource {
  readonly area: string
  readonly index: ArchiveIndex
  readonly store: Pick<ContentStore, 'versions' | 'history' | 'areaBirthtimeMs' | 'list' | 'find' | 'traits'>
  readonly hash: HashBytes
}

/** Everything that is known of a path and what lies below it. */
interface Known {
  readonly kept: readonly KeptEntry[]
  readonly present: readonly PresentEntry[]
  readonly byPath: ReadonlyMap<RelativePath, readonly Occupant[]>
  readonly timeline: Timeline
}

/**
 * What was at a path and below it at a moment, from what the mirror holds, what left it since, and what is remembered of that. Of what
 * nothing is remembered, as after the index of an archive was lost that is itself a copy, it may tell more than there was, but never less.
 */
export async function stateAt (source: PastStateSource, path: RelativePath, atMs: number): Promise<PastState> {
  const known = await gather(source, path)
  const at = known.timeline.at(atMs)
  const isOfCopy = copiedDuring(await source.store.areaBirthtimeMs(source.area), known)
  const isBorn = ({ fact, found, until }: Occupant): boolean => {
    const bornMs = fact?.storedAtMs ?? found?.birthtimeMs ?? 0
    // Nothing comes after it has left, so such a time tells nothing.
    return bornMs <= atMs || bornMs >= until.ms || isOfCopy(bornMs)
  }
  const chosen = [...known.byPath.values()].flatMap(holders => occupantAt(holders, at, isBorn) ?? [])
  const { files, filled } = withoutConflicts(chosen.filter(holder => !isDirectory(holder)))
  const directories = new Map<RelativePath, DirectoryState>()
  for (const holder of chosen) if (isDirectory(holder) && !liesInOne(holder.path, files)) directories.set(holder.path, stateOf(holder))
  for (const directory of filled) if (!directories.has(directory)) directories.set(directory, nearestState(directory, known.byPath.get(directory) ?? [], at))
  const isKept = keptFiles(known.kept)
  // Above what was asked for, directories are only told of for the sake of what is in them.
  const isAbove = (directory: RelativePath): boolean => directory !== path && !isAtOrBelow(directory, path)
  return {
    files: [...files.values()].map(holder => sourceOf(holder, known.byPath.get(holder.path) ?? [], isKept)),
    directories: [...directories.values()].filter(({ directory }) => !isAbove(directory) || filled.has(directory) || directories.has(path)),
    damaged: new Set([...known.present.filter(({ isDamaged }) => isDamaged).map(one => one.path), ...[...files.values()].filter(({ isDoubtful }) => isDoubtful).map(holder => holder.path)]),
    at,
  }
}

/** The last moment before something left. */
function lastMoment ({ count, ms }: Position): Position {
  return { count, ms: ms - 1 }
}

/** Earlier states of a path and of what lies below it, newest first, each with the last moment at which it was there. */
export async function versionsOf (source: Pick<PastStateSource, 'area' | 'store' | 'hash'>, path: RelativePath): Promise<{ readonly kept: KeptEntry, readonly until: Position }[]> {
  const kept = await source.store.versions(source.area, path)
  const { points, events } = readEvents(await source.store.history(source.area), kept, { ...source, isWanted: wanted => isAtOrBelow(wanted, path) })
  const left = new Map(events.flatMap(event => event.folder === undefined ? [] : [[`${event.folder}/${event.path}`, event] as const]))
  return kept.flatMap(one => {
    const event = left.get(`${one.folder}/${one.path}`)
    // A directory that nothing is remembered of was made to hold what left it.
    if (event === undefined && one.found.kind === 'directory' && points.has(parseVersionFolder(one.folder)?.count ?? 0)) return []
    return [{ kept: one, until: lastMoment((event ?? eventOfVersion(one)).at) }]
  }).sort((a, b) => comparePositions(b.until, a.until))
}

async function gather (source: PastStateSource, path: RelativePath): Promise<Known> {
  const { area, store } = source
  const parents = new Set(above(path))
  const isWanted = (wanted: RelativePath): boolean => isAtOrBelow(wanted, path) || parents.has(wanted)
  const kept = await store.versions(area, path)
  const { points, events } = readEvents(await store.history(area), kept, { ...source, isWanted })
  const present = await presentBelow(source, path)
  for (const parent of parents) present.push(...await presentAt(source, parent))
  const byPath = new Map<RelativePath, PathEvent[]>()
  const note = (event: PathEvent): void => {
    const events = byPath.get(event.path)
    if (events === undefined) byPath.set(event.path, [event])
    else events.push(event)
  }
  for (const event of events) note(event)
  for (const event of unremembered(kept, { points, events })) note(event)
  const now = new Map(present.map(one => [one.path, one]))
  const born = new Map(kept.map(({ folder, path: at, found }) => [`${folder}/${at}`, found]))
  const holders = new Map([...new Set([...byPath.keys(), ...now.keys()])].map(at => {
    const ordered = (byPath.get(at) ?? []).sort((a, b) => comparePositions(a.at, b.at))
    const all = occupantsOf(at, ordered, now.get(at)).map(holder => holder.entry === undefined && holder.folder !== undefined ? { ...holder, found: born.get(`${holder.folder}/${at}`) } : holder)
    // Of what others put there nothing is left to tell what it was.
    return [at, all.filter(({ entry, found }) => entry !== undefined || found !== undefined)] as const
  }))
  const places = [...points].map(([count, { ms }]) => ({ count, ms }))
  const facts = present.flatMap(({ fact }) => sinceOf(fact) ?? [])
  const folders = kept.flatMap(({ folder }) => { const parsed = parseVersionFolder(folder); return parsed === undefined ? [] : [{ count: parsed.count, ms: parsed.stampMs }] })
  const ended = [...byPath.values()].flat().filter(({ folder }) => folder !== undefined).map(event => lastMoment(event.at))
  return { kept, present, byPath: holders, timeline: new Timeline([...places, ...facts, ...folders, ...events.map(event => event.at)], ended) }
}

/** Versions of which nothing is remembered: of a sync before the memory was lost, or that were made by hand. */
function unremembered (kept: readonly KeptEntry[], { points, events }: { readonly points: ReadonlyMap<number, unknown>, readonly events: readonly PathEvent[] }): PathEvent[] {
  const known = new Map(events.flatMap(event => event.folder === undefined ? [] : [[`${event.folder}/${event.path}`, event] as const]))
  return kept.flatMap(one => {
    const { folder, path, found } = one
    if (known.has(`${folder}/${path}`)) return []
    // What others had put into a directory left with it.
    const taken = above(path).map(directory => known.get(`${folder}/${directory}`)).find(event => event !== undefined)
    if (taken !== undefined) return [{ ...eventOfVersion(one), at: taken.at }]
    // A directory that nothing is remembered of, while something is of its sync, was made to hold what left it.
    return found.kind === 'directory' && points.has(parseVersionFolder(folder)?.count ?? 0) ? [] : [eventOfVersion(one)]
  })
}

/** Where the content of a holder is: if it has no folder of its own, with what came after it, which is the same but for time and mode. */
function sourceOf (holder: Occupant, all: readonly Occupant[], isKept: (folder: string, path: RelativePath) => boolean): PastEntry {
  const { path, entry, fact } = holder
  const next = holder.folder === undefined ? all.slice(all.indexOf(holder) + 1).find(({ folder }) => folder !== undefined && isKept(folder, path)) : holder
  return { path, folder: next?.folder, entry, fact }
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

/** Of a directory that held something, though nothing tells that it was there: as it was at the nearest time before or after. */
function nearestState (directory: RelativePath, holders: readonly Occupant[], at: Position): DirectoryState {
  const known = holders.filter(isDirectory)
  const nearest = known.find(({ until }) => comparePositions(until, at) > 0) ?? known.at(-1)
  return nearest === undefined ? { directory, mode: PRIVATE, mtimeNs: 0n } : stateOf(nearest)
}

/** A file and something below it cannot both have been there: what left first is the older one. Also tells which directories are not empty. */
function withoutConflicts (chosen: readonly Occupant[]): { readonly files: ReadonlyMap<RelativePath, Occupant>, readonly filled: ReadonlySet<RelativePath> } {
  const files = new Map<RelativePath, Occupant>()
  const filled = new Set<RelativePath>()
  for (const holder of [...chosen].sort((a, b) => comparePositions(a.until, b.until))) {
    if (filled.has(holder.path) || liesInOne(holder.path, files)) continue
    files.set(holder.path, holder)
    for (const directory of above(holder.path)) filled.add(directory)
  }
  return { files, filled }
}

/**
 * Whether a time at which something was made is that of a copy of the whole archive. It was copied if its folder is younger than what
 * it holds, and that may have taken a day.
 */
function copiedDuring (bornMs: number, { present, kept }: Known): (timeMs: number) => boolean {
  const knownMs = [...present.flatMap(({ fact }) => fact?.storedAtMs ?? []), ...kept.flatMap(({ folder }) => parseVersionFolder(folder)?.stampMs ?? [])]
  const oldestMs = knownMs.reduce((least, timeMs) => Math.min(least, timeMs), Infinity)
  if (oldestMs > bornMs - GRAIN_MS) return () => false
  return timeMs => timeMs >= bornMs - GRAIN_MS && timeMs <= bornMs + DAY_MS
}

/** Whether a path is one of the files or lies below one. */
function liesInOne (path: RelativePath, files: ReadonlyMap<RelativePath, unknown>): boolean {
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
