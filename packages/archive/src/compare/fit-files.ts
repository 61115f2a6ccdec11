import { formatSize, joinPath, LIMITS, problem, splitPath } from '@filesync/protocol'
import type { RelativePath } from '@filesync/protocol'
import type { ComparedDirectory } from './compared-directory.ts'
import type { Comparison, Displaced } from './comparison.ts'
import { groupedNames } from './links.ts'
import type { Links } from './links.ts'
import { movedIndices } from './moves.ts'
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
  /** Those that fit only if they have holes, by directory. */
  readonly sparse: ReadonlyMap<ComparedDirectory, ReadonlySet<number>>
  /** Room on the disk for all of these. */
  readonly leftBytes: number
}

interface Candidate {
  readonly directory: ComparedDirectory
  readonly index: number
  readonly sizeBytes: number
  /** What it needs on the disk. */
  readonly diskBytes: number
  /** By how much the mirror grows with it. */
  readonly growthBytes: number
}

type Shortage = 'disk' | 'quota'

/** Files of a directory that do not fit, by their index in its listing. */
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
  const movedBytes = draft.moves.reduce((sum, { directory, index }) => sum + directory.entry(index).sizeBytes(), 0)
  const linksFiles = limits.traits.linksFiles !== false
  const neededBytes = comparison.wantedBytes - movedBytes - (linksFiles ? draft.links.bytes : 0)
  const { roomBytes, quotaBytes } = limits
  const displacedBytes = quotaBytes === undefined ? 0 : leavingBytes(comparison.displaced, draft)
  // Each name of a file counts for the quota, as each counts for the size of the mirror.
  const linkedBytes = linksFiles ? draft.links.bytes : 0
  const storedBytes = quotaBytes === undefined ? 0 : limits.mirror.size.bytes + movedBytes - displacedBytes
  if (neededBytes <= roomBytes && (quotaBytes === undefined || storedBytes + neededBytes + linkedBytes <= quotaBytes)) return ALL_FIT

  const freed = quotaBytes === undefined ? new Map<string, number>() : freedBy(comparison.displaced)
  const candidates = listCandidates(comparison, draft, { freed, further: linksFiles ? furtherNames(comparison, draft.links) : NO_NAMES })
  // What a file replaces leaves the mirror only if the file is stored.
  const stayingBytes = candidates.reduce((sum, { sizeBytes, growthBytes }) => sum + sizeBytes - growthBytes, 0)
  const left = { diskBytes: roomBytes, quotaBytes: quotaBytes === undefined ? Infinity : quotaBytes - storedBytes - stayingBytes }
  const refused = refuse(candidates, left)
  const sparse = draft.holes ? takeSparse(comparison, refused) : new Map<ComparedDirectory, Set<number>>()
  if (linksFiles) refuseFurtherNames(comparison, draft.links, refused)
  leaveOut(comparison, refused, left)
  return { unfit: refused.reduce((count, { shortages }) => count + shortages.size, 0), sparse, leftBytes: left.diskBytes }
}

/** Takes large files that the disk has no room for out of the refused ones. */
function takeSparse (comparison: Comparison, refused: readonly RefusedFiles[]): Map<ComparedDirectory, Set<number>> {
  const sparse = new Map<ComparedDirectory, Set<number>>()
  for (const { directory, shortages } of refused) {
    const mayBeSparse = (index: number): boolean => directory.entry(index).sizeBytes() > LIMITS.packedFileBytes
    const indices = [...shortages].filter(([index, shortage]) => shortage === 'disk' && mayBeSparse(index)).map(([index]) => index)
    for (const index of indices) {
      shortages.delete(index)
      comparison.wantedBytes -= directory.entry(index).sizeBytes()
    }
    if (indices.length > 0) sparse.set(directory, new Set(indices))
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

/** By directory, the indices of files that are further names of others. */
type FurtherNames = ReadonlyMap<ComparedDirectory, ReadonlySet<number>>

const NO_NAMES: FurtherNames = new Map()

function furtherNames ({ directories }: Comparison, { groups, stored }: Links): FurtherNames {
  const names = movedIndices(stored)
  for (const { directory, index } of groupedNames(directories, groups, 'further')) {
    const known = names.get(directory)
    if (known === undefined) names.set(directory, new Set([index]))
    else known.add(index)
  }
  return names
}

function listCandidates (
  { directories }: Comparison, { digest, moves }: PlanDraft,
  { freed, further }: { readonly freed: ReadonlyMap<string, number>, readonly further: FurtherNames },
): Candidate[] {
  const moved = movedIndices(moves)
  return directories.flatMap(directory => {
    const mayBeHere = new Set(digest ? directory.alike : [])
    const movedHere = moved.get(directory)
    const furtherHere = further.get(directory)
    return Array.from(directory.wanted).filter(index => movedHere?.has(index) !== true).map(index => {
      const sizeBytes = directory.entry(index).sizeBytes()
      const freedBytes = freed.size === 0 ? 0 : freed.get(pathAt(directory, index)) ?? 0
      const diskBytes = mayBeHere.has(index) || furtherHere?.has(index) === true ? 0 : sizeBytes
      return { directory, index, sizeBytes, diskBytes, growthBytes: sizeBytes - freedBytes }
    })
  })
}

/** Uses up what is left, and returns the files that do not fit, by directory. */
function refuse (candidates: readonly Candidate[], left: Left): RefusedFiles[] {
  const refused = new Map<ComparedDirectory, Map<number, Shortage>>()
  for (const { directory, index, diskBytes, growthBytes } of [...candidates].sort((a, b) => a.growthBytes - b.growthBytes)) {
    const exceedsQuota = growthBytes > 0 && growthBytes > left.quotaBytes
    const shortage = diskBytes > left.diskBytes ? 'disk' : exceedsQuota ? 'quota' : undefined
    if (shortage === undefined) {
      left.diskBytes -= diskBytes
      left.quotaBytes -= growthBytes
      continue
    }
    const shortages = refused.get(directory) ?? new Map<number, Shortage>()
    refused.set(directory, shortages.set(index, shortage))
  }
  return [...refused].map(([directory, shortages]) => ({ directory, shortages })).sort((a, b) => a.directory.number - b.directory.number)
}

/** Files without content on the disk have no further names either. */
function refuseFurtherNames ({ directories }: Comparison, { groups }: Links, refused: RefusedFiles[]): void {
  const byDirectory = new Map(refused.map(files => [files.directory, files]))
  for (const group of groups) {
    const [first, ...others] = groupedNames(directories, [group], 'all')
    if (first === undefined || byDirectory.get(first.directory)?.shortages.get(first.index) !== 'disk') continue
    for (const { directory, index } of others) {
      const known = byDirectory.get(directory) ?? { directory, shortages: new Map<number, Shortage>() }
      if (!byDirectory.has(directory)) refused.push(known)
      byDirectory.set(directory, known)
      known.shortages.set(index, 'disk')
    }
  }
}

/** Drops the refused files from what the comparison wants, and makes each a problem. */
function leaveOut (comparison: Comparison, refused: readonly RefusedFiles[], left: Left): void {
  const paths = new Set<string>()
  for (const { directory, shortages } of refused) {
    const { wanted } = directory
    directory.keepWanted(index => !shortages.has(index))
    for (const index of wanted) {
      const shortage = shortages.get(index)
      if (shortage === undefined) continue
      const sizeBytes = directory.entry(index).sizeBytes()
      const path = pathAt(directory, index)
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

function pathAt (compared: ComparedDirectory, index: number): RelativePath {
  return joinPath(compared.directory, compared.entry(index).name())
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
