import { formatSize, joinPath, LIMITS, problem } from '@filesync/protocol'
import type { RelativePath } from '@filesync/protocol'
import type { ComparedDirectory } from './compared-directory.ts'
import type { Comparison, Displaced } from './comparison.ts'
import { movedPlaces } from './moves.ts'
import type { Move } from './moves.ts'
import type { Plan } from './plan.ts'
import type { SpaceLimits, StoredMirror } from './room.ts'

/** What of a plan has to be known to tell what fits. */
export interface PlanDraft {
  readonly moves: readonly Move[]
  /** Whether what the client has no more leaves the mirror. */
  readonly removes: boolean
  /** Whether only the digest is asked for of files that may be here already. */
  readonly digest: boolean
  /** Whether files that would not fit can be asked for in case that they have holes. */
  readonly holes: boolean
}

/** What became of the files that do not fit by their size. */
export interface Fitting {
  /** How many are not asked for. */
  readonly unfit: number
  /** Those that fit only if they have holes, by directory. */
  readonly sparse: ReadonlyMap<ComparedDirectory, ReadonlySet<number>>
  /** Room on the disk for these, together. */
  readonly leftBytes: number
}

interface Candidate {
  readonly directory: ComparedDirectory
  readonly index: number
  readonly sizeBytes: number
  /** What it takes on the disk. */
  readonly diskBytes: number
  /** By how much the mirror grows with it. */
  readonly growthBytes: number
}

type Lack = 'disk' | 'quota'

/** Files of a directory that do not fit, by their place in its listing. */
interface RefusedFiles {
  readonly directory: ComparedDirectory
  readonly lacks: Map<number, Lack>
}

const ALL_FIT: Fitting = { unfit: 0, sparse: new Map(), leftBytes: 0 }

/** Room that is left. */
interface Left {
  diskBytes: number
  quotaBytes: number
}

/**
 * Takes files that there is no room for off what is wanted, and makes each a problem of its own, so that the others are
 * stored. The files that make the mirror grow least come first, those of equal growth in the order of the listings: so one
 * large file never takes the room of many small ones, and the same files are chosen at each sync. Large ones that the
 * disk has no room for stay wanted where the client can leave holes out: only the client knows whether they have any.
 */
export function fitFiles (room: SpaceLimits & StoredMirror, comparison: Comparison, draft: PlanDraft): Fitting {
  const movedBytes = draft.moves.reduce((sum, { directory, index }) => sum + directory.entry(index).sizeBytes(), 0)
  const neededBytes = comparison.wantedBytes - movedBytes
  const { quotaBytes } = room
  const displacedBytes = quotaBytes === undefined ? 0 : leavingBytes(comparison.displaced, draft)
  const storedBytes = quotaBytes === undefined ? 0 : room.mirror.size.bytes + movedBytes - displacedBytes
  if (neededBytes <= room.roomBytes && (quotaBytes === undefined || storedBytes + neededBytes <= quotaBytes)) return ALL_FIT

  const freed = quotaBytes === undefined ? new Map<string, number>() : freedBy(comparison.displaced)
  const candidates = listCandidates(comparison, draft, freed)
  // What makes way for a file leaves the mirror only with it.
  const stayingBytes = candidates.reduce((sum, { sizeBytes, growthBytes }) => sum + sizeBytes - growthBytes, 0)
  const left = { diskBytes: room.roomBytes, quotaBytes: quotaBytes === undefined ? Infinity : quotaBytes - storedBytes - stayingBytes }
  const refused = refuse(candidates, left)
  const sparse = draft.holes ? takeSparse(comparison, refused) : new Map<ComparedDirectory, Set<number>>()
  leaveOut(comparison, refused, left)
  return { unfit: refused.reduce((count, { lacks }) => count + lacks.size, 0), sparse, leftBytes: left.diskBytes }
}

/** Takes large files that the disk has no room for off those that are refused. */
function takeSparse (comparison: Comparison, refused: readonly RefusedFiles[]): Map<ComparedDirectory, Set<number>> {
  const sparse = new Map<ComparedDirectory, Set<number>>()
  for (const { directory, lacks } of refused) {
    const mayBeSparse = (index: number): boolean => directory.entry(index).sizeBytes() > LIMITS.packedFileBytes
    const indices = [...lacks].filter(([index, lack]) => lack === 'disk' && mayBeSparse(index)).map(([index]) => index)
    for (const index of indices) {
      lacks.delete(index)
      comparison.wantedBytes -= directory.entry(index).sizeBytes()
    }
    if (indices.length > 0) sparse.set(directory, new Set(indices))
  }
  return sparse
}

/** Tasks for files whose digest turned out to be another one, and for which the disk has no room; the smallest ones fit first. */
export function unfitRepeats (roomBytes: number, plan: Pick<Plan, 'tasks'>): { readonly tasks: ReadonlySet<number>, readonly leftBytes: number } {
  const tasks = new Set<number>()
  let leftBytes = roomBytes
  const wanted = plan.tasks.tasksToRepeat().map(task => ({ task, sizeBytes: plan.tasks.describe(task).sizeBytes }))
  for (const { task, sizeBytes } of wanted.sort((a, b) => a.sizeBytes - b.sizeBytes)) {
    if (sizeBytes > leftBytes) tasks.add(task)
    else leftBytes -= sizeBytes
  }
  return { tasks, leftBytes }
}

/** What a person is told of a file that does not fit on the disk. */
export function diskShortage (sizeBytes: number, leftBytes: number): string {
  return `it takes ${formatSize(sizeBytes)}, and ${formatSize(Math.max(0, leftBytes))} are left. ` +
    'Free some space on the server, keep versions for a shorter time, or lower its --reserve'
}

function quotaLack (growthBytes: number, leftBytes: number): string {
  return `it takes ${formatSize(growthBytes)} more than now, and the quota leaves ${formatSize(Math.max(0, leftBytes))}. ` +
    'Remove files from the directory or ignore some of them, or start the server with a larger --quota'
}

function listCandidates ({ directories }: Comparison, { digest, moves }: PlanDraft, freed: ReadonlyMap<string, number>): Candidate[] {
  const moved = movedPlaces(moves)
  return directories.flatMap(directory => {
    const mayBeHere = new Set(digest ? directory.alike : [])
    const places = moved.get(directory)
    return Array.from(directory.wanted).filter(index => places?.has(index) !== true).map(index => {
      const sizeBytes = directory.entry(index).sizeBytes()
      const freedBytes = freed.size === 0 ? 0 : freed.get(pathAt(directory, index)) ?? 0
      return { directory, index, sizeBytes, diskBytes: mayBeHere.has(index) ? 0 : sizeBytes, growthBytes: sizeBytes - freedBytes }
    })
  })
}

/** Uses up what is left, and returns what does not fit, by directory. */
function refuse (candidates: readonly Candidate[], left: Left): RefusedFiles[] {
  const refused = new Map<ComparedDirectory, Map<number, Lack>>()
  for (const { directory, index, diskBytes, growthBytes } of [...candidates].sort((a, b) => a.growthBytes - b.growthBytes)) {
    const lack = diskBytes > left.diskBytes ? 'disk' : growthBytes > 0 && growthBytes > left.quotaBytes ? 'quota' : undefined
    if (lack === undefined) {
      left.diskBytes -= diskBytes
      left.quotaBytes -= growthBytes
      continue
    }
    const lacks = refused.get(directory) ?? new Map<number, Lack>()
    refused.set(directory, lacks.set(index, lack))
  }
  return [...refused].map(([directory, lacks]) => ({ directory, lacks })).sort((a, b) => a.directory.number - b.directory.number)
}

function leaveOut (comparison: Comparison, refused: readonly RefusedFiles[], left: Left): void {
  const paths = new Set<string>()
  for (const { directory, lacks } of refused) {
    const { wanted } = directory
    directory.keepWanted(index => !lacks.has(index))
    for (const index of wanted) {
      const lack = lacks.get(index)
      if (lack === undefined) continue
      const sizeBytes = directory.entry(index).sizeBytes()
      const path = pathAt(directory, index)
      paths.add(path)
      comparison.wantedBytes -= sizeBytes
      comparison.problems.add(problem(path, 'NO_ROOM', lack === 'disk' ? diskShortage(sizeBytes, left.diskBytes) : quotaLack(sizeBytes, left.quotaBytes)))
    }
  }
  comparison.displaced = comparison.displaced.filter(({ path, how }) => how === 'gone' || !waysUp(path, how).some(way => paths.has(way)))
}

/** The paths of files that can take the place of a stored one: its own, and where its whole directory makes way, those above. */
function waysUp (path: string, how: Displaced['how']): string[] {
  const ways = [path]
  for (let at = path.lastIndexOf('/'); how === 'lost' && at > 0; at = path.lastIndexOf('/', at - 1)) ways.push(path.slice(0, at))
  return ways
}

function pathAt (compared: ComparedDirectory, index: number): RelativePath {
  return joinPath(compared.directory, compared.entry(index).name())
}

/** Bytes that leave the mirror once everything is stored. */
function leavingBytes (displaced: readonly Displaced[], { removes, moves }: PlanDraft): number {
  const moved = new Set(moves.map(move => move.from))
  return displaced.reduce((sum, { path, entry, how }) => how === 'gone' && !removes && !moved.has(path) ? sum : sum + entry.sizeBytes, 0)
}

/** For each path the bytes that leave the mirror when a file takes it: those of its old content, or of the directory that stood there. */
function freedBy (displaced: readonly Displaced[]): Map<string, number> {
  const freed = new Map<string, number>()
  for (const { path, entry, how } of displaced) {
    if (how === 'gone') continue
    for (const way of waysUp(path, how)) freed.set(way, (freed.get(way) ?? 0) + entry.sizeBytes)
  }
  return freed
}
