import { formatSize, joinPath, LIMITS, problem, splitPath } from '@filesync/protocol'
import type { RelativePath } from '@filesync/protocol'
import type { ComparedDirectory } from './compared-directory.ts'
import type { Comparison, Displaced } from './comparison.ts'
import { groupedNames } from './links.ts'
import type { Links } from './links.ts'
import { movedPlaces } from './moves.ts'
import type { Move } from './moves.ts'
import type { SpaceLimits, StoredMirror } from './room.ts'
import type { StoreTraits } from '../store/content-store.ts'
import type { TaskList } from './task-list.ts'

/** What is known of a plan before it is decided which files fit. */
export interface PlanDraft {
  /** Files whose content seems to be stored under another path. */
  readonly moves: readonly Move[]
  /** Files that are further names of others. */
  readonly links: Links
  /** Whether entries of a directory that the client does not list are gone from the client. */
  readonly isGone: (directory: RelativePath) => boolean
  /** Whether what is gone from the client leaves the mirror, or only the index. */
  readonly deletions: 'mirror' | 'archive'
  /** Whether only the digest is asked for if a file may be here already. */
  readonly digest: boolean
  /** Whether files that would not fit can be asked for in case they have holes. */
  readonly holes: boolean
}

/** The result for files that do not fit by their size. */
export interface Fitting {
  /** How many are not asked for. */
  readonly unfit: number
  /** The places of those that fit only if they have holes, by the number of the directory. */
  readonly sparse: ReadonlyMap<number, ReadonlySet<number>>
  /** Room on the disk for all of these. */
  readonly leftBytes: number
}

interface Candidate {
  readonly directory: ComparedDirectory
  readonly place: number
  readonly sizeBytes: number
  /** What it needs on the disk. */
  readonly diskBytes: number
  /** By how much the mirror grows with it. */
  readonly growthBytes: number
}

type Shortage = 'disk' | 'quota'

/** Files of a directory that do not fit, by their places in it. */
interface RefusedFiles {
  readonly directory: ComparedDirectory
  readonly shortages: Map<number, Shortage>
}

const ALL_FIT: Fitting = { unfit: 0, sparse: new Map(), leftBytes: 0 }

/** What is known of the store. */
export interface FitLimits extends SpaceLimits, StoredMirror {
  readonly traits: StoreTraits
}

/** What may still be stored. */
interface Left {
  diskBytes: number
  quotaBytes: number
}

/**
 * Drops files that do not fit from what the comparison wants, and makes each a problem, so that the others are stored. Files that make
 * the mirror grow least come first, those of equal growth in the order of the listings: one large file never takes the room of many small
 * ones, and each sync chooses the same files. Large files that the disk has no room for stay wanted if the client can leave holes out:
 * only the client knows whether they have any.
 */
export function fitFiles (limits: FitLimits, comparison: Comparison, draft: PlanDraft): Fitting {
  const movedBytes = draft.moves.reduce((sum, { directory, place }) => sum + directory.entry(place).sizeBytes(), 0)
  const linksFiles = limits.traits.linksFiles !== false
  const neededBytes = comparison.wantedBytes - movedBytes - (linksFiles ? draft.links.bytes : 0)
  const { roomBytes, quotaBytes } = limits
  const displacedBytes = quotaBytes === undefined ? 0 : leavingBytes(comparison.displaced, draft)
  // Each name of a file counts for the quota, as each counts for the size of the mirror.
  const linkedBytes = linksFiles ? draft.links.bytes : 0
  const storedBytes = quotaBytes === undefined ? 0 : limits.mirror.size.bytes + movedBytes - displacedBytes
  if (neededBytes <= roomBytes && (quotaBytes === undefined || storedBytes + neededBytes + linkedBytes <= quotaBytes)) return ALL_FIT

  const freed = quotaBytes === undefined ? new Map<string, number>() : freedBy(comparison.displaced)
  const candidates = listCandidates(comparison, draft, { freed, further: linksFiles ? furtherNames(draft.links) : NO_NAMES })
  // What a file replaces leaves the mirror only if the file is stored.
  const stayingBytes = candidates.reduce((sum, { sizeBytes, growthBytes }) => sum + sizeBytes - growthBytes, 0)
  const left = { diskBytes: roomBytes, quotaBytes: quotaBytes === undefined ? Infinity : quotaBytes - storedBytes - stayingBytes }
  const refused = refuse(candidates, left)
  const sparse = draft.holes ? takeSparse(comparison, refused) : new Map<number, Set<number>>()
  if (linksFiles) refuseFurtherNames(comparison, draft.links, refused)
  leaveOut(comparison, refused, left)
  return { unfit: refused.reduce((count, { shortages }) => count + shortages.size, 0), sparse, leftBytes: left.diskBytes }
}

/** Takes large files that the disk has no room for out of the refused ones. */
function takeSparse (comparison: Comparison, refused: readonly RefusedFiles[]): Map<number, Set<number>> {
  const sparse = new Map<number, Set<number>>()
  for (const { directory, shortages } of refused) {
    const mayBeSparse = (place: number): boolean => directory.entry(place).sizeBytes() > LIMITS.packedFileBytes
    const places = [...shortages].filter(([place, shortage]) => shortage === 'disk' && mayBeSparse(place)).map(([place]) => place)
    for (const place of places) {
      shortages.delete(place)
      comparison.wantedBytes -= directory.entry(place).sizeBytes()
    }
    if (places.length > 0) sparse.set(directory.owner, new Set(places))
  }
  return sparse
}

export interface UnfitRetries {
  readonly tasks: ReadonlySet<number>
  readonly leftBytes: number
}

/** Of the tasks that are retried because a digest differed, those for which the disk has no room. The smallest files come first. */
export function unfitRetries (roomBytes: number, plan: { readonly tasks: TaskList }): UnfitRetries {
  const tasks = new Set<number>()
  let leftBytes = roomBytes
  const wanted = plan.tasks.tasksToRetry().map(task => ({ task, sizeBytes: plan.tasks.describe(task).sizeBytes }))
  for (const { task, sizeBytes } of wanted.sort((a, b) => a.sizeBytes - b.sizeBytes)) {
    if (sizeBytes > leftBytes) tasks.add(task)
    else leftBytes -= sizeBytes
  }
  return { tasks, leftBytes }
}

/** Why a file does not fit on the disk, for people. */
export function diskShortage (sizeBytes: number, leftBytes: number): string {
  return `it needs ${formatSize(sizeBytes)}, and ${formatSize(Math.max(0, leftBytes))} is available. ` +
    'Free some space on the server, keep versions for a shorter time, or lower its --reserve'
}

function quotaShortage (growthBytes: number, leftBytes: number): string {
  return `it would add ${formatSize(growthBytes)}, and the quota leaves ${formatSize(Math.max(0, leftBytes))}. ` +
    'Remove files from the directory, ignore some of them, or start the server with a larger --quota'
}

/** By the number of the directory, the places of files that are further names of others. */
type FurtherNames = ReadonlyMap<number, ReadonlySet<number>>

const NO_NAMES: FurtherNames = new Map()

function furtherNames ({ groups, stored }: Links): FurtherNames {
  const names = movedPlaces(stored)
  for (const { owner, place } of groupedNames(groups, 'further')) {
    const known = names.get(owner)
    if (known === undefined) names.set(owner, new Set([place]))
    else known.add(place)
  }
  return names
}

function listCandidates (
  { directories }: Comparison, { digest, moves }: PlanDraft,
  { freed, further }: { readonly freed: ReadonlyMap<string, number>, readonly further: FurtherNames },
): Candidate[] {
  const moved = movedPlaces(moves)
  const candidates: Candidate[] = []
  for (const directory of directories) {
    const mayBeHere = new Set(digest && directory.hasSpecialRoles ? directory.placesOf('alike') : [])
    const movedHere = moved.get(directory.owner)
    const furtherHere = further.get(directory.owner)
    for (const place of directory.wantedCount === 0 ? [] : directory.placesOf('wanted')) {
      if (movedHere?.has(place) === true) continue
      const sizeBytes = directory.entry(place).sizeBytes()
      const freedBytes = freed.size === 0 ? 0 : freed.get(pathAt(directory, place)) ?? 0
      const diskBytes = mayBeHere.has(place) || furtherHere?.has(place) === true ? 0 : sizeBytes
      candidates.push({ directory, place, sizeBytes, diskBytes, growthBytes: sizeBytes - freedBytes })
    }
  }
  return candidates
}

/** Uses up what is left, and returns the files that do not fit, by directory. */
function refuse (candidates: readonly Candidate[], left: Left): RefusedFiles[] {
  const refused = new Map<number, RefusedFiles>()
  for (const { directory, place, diskBytes, growthBytes } of [...candidates].sort((a, b) => a.growthBytes - b.growthBytes)) {
    const exceedsQuota = growthBytes > 0 && growthBytes > left.quotaBytes
    const shortage = diskBytes > left.diskBytes ? 'disk' : exceedsQuota ? 'quota' : undefined
    if (shortage === undefined) {
      left.diskBytes -= diskBytes
      left.quotaBytes -= growthBytes
      continue
    }
    const files = refused.get(directory.owner) ?? { directory, shortages: new Map<number, Shortage>() }
    refused.set(directory.owner, files)
    files.shortages.set(place, shortage)
  }
  return [...refused.values()].sort((a, b) => a.directory.owner - b.directory.owner)
}

/** Files without content on the disk have no further names either. */
function refuseFurtherNames ({ directories }: Comparison, { groups }: Links, refused: RefusedFiles[]): void {
  const byDirectory = new Map(refused.map(files => [files.directory.owner, files]))
  for (const group of groups) {
    const [first, ...others] = groupedNames([group], 'all')
    if (first === undefined || byDirectory.get(first.owner)?.shortages.get(first.place) !== 'disk') continue
    for (const { owner, place } of others) {
      const known = byDirectory.get(owner) ?? { directory: directories.at(owner), shortages: new Map<number, Shortage>() }
      if (!byDirectory.has(owner)) refused.push(known)
      byDirectory.set(owner, known)
      known.shortages.set(place, 'disk')
    }
  }
}

/** Drops the refused files from what the comparison wants, and makes each a problem. */
function leaveOut (comparison: Comparison, refused: readonly RefusedFiles[], left: Left): void {
  const paths = new Set<string>()
  for (const { directory, shortages } of refused) {
    directory.keepWanted(place => !shortages.has(place))
    for (const [place, shortage] of [...shortages].sort(([a], [b]) => a - b)) {
      const sizeBytes = directory.entry(place).sizeBytes()
      const path = pathAt(directory, place)
      paths.add(path)
      comparison.wantedBytes -= sizeBytes
      const why = shortage === 'disk' ? diskShortage(sizeBytes, left.diskBytes) : quotaShortage(sizeBytes, left.quotaBytes)
      comparison.problems.add(problem(path, 'NO_ROOM', why))
    }
  }
  const isStillDisplaced = ({ path, how }: Displaced): boolean => how === 'gone' || !replacingPaths(path, how).some(at => paths.has(at))
  comparison.displaced = comparison.displaced.filter(isStillDisplaced)
}

/** The paths of files that can replace a stored one: its own, and if its whole directory is replaced, those above it. */
function replacingPaths (path: string, how: Displaced['how']): string[] {
  const paths = [path]
  for (let at = path.lastIndexOf('/'); how === 'lost' && at > 0; at = path.lastIndexOf('/', at - 1)) paths.push(path.slice(0, at))
  return paths
}

function pathAt (compared: ComparedDirectory, place: number): RelativePath {
  return joinPath(compared.directory, compared.entry(place).name())
}

/** Bytes that leave the mirror when everything is stored. */
function leavingBytes (displaced: readonly Displaced[], draft: PlanDraft): number {
  const moved = new Set(draft.moves.map(move => move.from))
  return displaced.reduce((sum, file) => leavesMirror(file, draft) || moved.has(file.path) ? sum + file.entry.sizeBytes : sum, 0)
}

/** Whether a displaced file leaves the mirror, unless its content moves. */
export function leavesMirror ({ path, how }: Displaced, { isGone, deletions }: Pick<PlanDraft, 'isGone' | 'deletions'>): boolean {
  return how !== 'gone' || (deletions === 'mirror' && isGone(splitPath(path).directory))
}

/** By path, the bytes that leave the mirror when a file is stored there: its old content, or the directory that it replaces. */
function freedBy (displaced: readonly Displaced[]): Map<string, number> {
  const freed = new Map<string, number>()
  for (const { path, entry, how } of displaced) {
    if (how === 'gone') continue
    for (const at of replacingPaths(path, how)) freed.set(at, (freed.get(at) ?? 0) + entry.sizeBytes)
  }
  return freed
}
