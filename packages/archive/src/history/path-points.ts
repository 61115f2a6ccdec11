import { equalDigests } from '@filesync/protocol'
import type { RelativePath } from '@filesync/protocol'
import { FACT_BYTES, readSince } from '../store/facts.ts'
import type { StoredDirectory } from '../store/fold.ts'
import { ListingCursor } from '../store/listing-cursor.ts'
import { afterSync } from '../store/position.ts'
import type { Occupant } from './occupants.ts'
import { occupantAt, sinceOf } from './occupants.ts'
import { isAtOrBelow, PastWalk } from './past-walk.ts'
import type { PastStateSource } from './past-walk.ts'
import type { RecordedPoint } from './point-log.ts'

/** The points to choose from. */
export interface PointRange {
  /** Oldest first. */
  readonly points: readonly RecordedPoint[]
  /** The last sync whose history was dropped, with which what the first point changed begins; 0 for none. */
  readonly droppedCount: number
}

/** The points that changed something at a path or below it, with the numbers of files and bytes at it or below it. */
export async function pointsOf (
  source: PastStateSource, path: RelativePath, { points, droppedCount }: PointRange,
): Promise<RecordedPoint[]> {
  const first = droppedCount > 0 ? { count: droppedCount - 1, atMs: 0 } : undefined
  const differences = points.map(point => ({ ...point, added: 0, replaced: 0, removed: 0, bytes: 0, hasChanged: false }))
  const walk = await PastWalk.open(source, path)
  for await (const { byPath, plain } of walk.walk()) {
    for (const { place, sizeBytes, count } of storedIn(plain, points)) {
      const point = differences[place]
      if (point === undefined || (place === 0 && first !== undefined && count <= first.count)) continue
      point.hasChanged = true
      point.added++
      point.bytes += sizeBytes
    }
    for (const [at, occupants] of byPath) {
      if (!isAtOrBelow(at, path)) continue
      for (const place of changedAt(occupants, points)) {
        const [point, before] = [differences[place], points[place - 1] ?? first]
        if (point === undefined) continue
        const old = before === undefined ? undefined : occupantAfter(occupants, before)
        const now = occupantAfter(occupants, point)
        if (old !== now) point.hasChanged = true
        addDifference(point, old, now)
      }
    }
  }
  return differences.filter(({ hasChanged }) => hasChanged).map(({ hasChanged: _, ...point }) => point)
}

/** For each file that has only been stored, the place in `points` of the first one that has it. */
function * storedIn (
  { listing, facts }: StoredDirectory, points: readonly RecordedPoint[],
): Generator<{ readonly place: number, readonly sizeBytes: number, readonly count: number }, void, undefined> {
  let known = { count: 0, place: -1 }
  for (const cursor = new ListingCursor(listing); cursor.next();) {
    const { count } = readSince(facts, cursor.index * FACT_BYTES)
    if (count === 0) continue
    // Most files of a directory were stored by one sync.
    if (count !== known.count) known = { count, place: points.findIndex(point => point.count >= count) }
    if (known.place !== -1) yield { ...known, sizeBytes: cursor.sizeBytes() }
  }
}

type Difference = { -readonly [Field in 'added' | 'replaced' | 'removed' | 'bytes']: number }

function addDifference (point: Difference, old: Occupant | undefined, now: Occupant | undefined): void {
  const [wasFile, isFile] = [fileOf(old), fileOf(now)]
  if (wasFile !== undefined && isFile === undefined) point.removed++
  if (isFile === undefined || hasSameContent(old, now)) return
  if (wasFile === undefined) point.added++
  else point.replaced++
  point.bytes += isFile.sizeBytes
}

/** The places in `points` of those that may have changed a path: the first ones at or after each change of it. */
function changedAt (occupants: readonly Occupant[], points: readonly RecordedPoint[]): Set<number> {
  const places = new Set<number>()
  for (const { until, fact, since } of occupants) {
    for (const count of [until.count, sinceOf(fact)?.count, since?.count]) {
      const place = count === undefined ? -1 : points.findIndex(point => point.count >= count)
      if (place !== -1) places.add(place)
    }
  }
  return places
}

function occupantAfter (
  occupants: readonly Occupant[], { count, atMs }: Pick<RecordedPoint, 'count' | 'atMs'>,
): Occupant | undefined {
  return occupantAt(occupants, afterSync(count), ({ fact, found }) => (fact?.storedAtMs ?? found?.birthtimeMs ?? 0) <= atMs)
}

function fileOf (occupant: Occupant | undefined): { readonly sizeBytes: number } | undefined {
  const entry = occupant?.entry ?? occupant?.found
  return entry?.kind === 'file' ? entry : undefined
}

/** Whether only the time or the mode differ. */
function hasSameContent (old: Occupant | undefined, now: Occupant | undefined): boolean {
  return old?.fact !== undefined && now?.fact !== undefined && equalDigests(old.fact.digest, now.fact.digest)
}
