import { FileSyncError } from '@filesync/protocol'
import type { HashBytes } from '@filesync/protocol'
import type { Moment } from '../archive.ts'
import type { ArchiveIndex } from '../store/archive-index.ts'
import type { ContentStore } from '../store/content-store.ts'
import type { Position } from '../store/position.ts'
import type { PastMoment } from './past-state.ts'
import { parsePointId, parsePoints, pointId } from './point-log.ts'
import type { RecordedPoint } from './point-log.ts'

export interface PointSource {
  readonly area: string
  readonly index: Pick<ArchiveIndex, 'area'>
  readonly store: Pick<ContentStore, 'points'>
  readonly hash: HashBytes
}

/** The points of an area whose state can still be restored, oldest first. */
export async function keptPoints ({ area, index, store, hash }: PointSource): Promise<RecordedPoint[]> {
  const droppedCount = index.area(area)?.history?.droppedCount ?? 0
  return parsePoints(await store.points(area), hash).filter(({ count }) => count >= droppedCount)
}

/** Finds the moment that is meant among the points of an area. Throws USAGE for a point that is unknown or no longer kept. */
export function pastMoment (points: readonly RecordedPoint[], moment: Moment): PastMoment {
  if ('ms' in moment) return { ms: moment.ms }
  return momentOf(findPoint(points, moment.point))
}

/** Throws USAGE for a point that is unknown or no longer kept. */
export function findPoint (points: readonly RecordedPoint[], id: string): RecordedPoint {
  const count = parsePointId(id)
  const found = points.find(point => point.count === count)
  if (found !== undefined) return found
  const [first, last] = [points[0], points.at(-1)]
  const range = first === undefined || last === undefined
    ? 'No point is recorded yet'
    : `Points from ${pointId(first.count)} to ${pointId(last.count)} are kept`
  const why = count === undefined ? 'is not the id of a point' : 'is not a point of this client, or is no longer kept'
  throw new FileSyncError('USAGE', `${JSON.stringify(id)} ${why}. ${range}; "history" lists them.`)
}

/** The id of the point whose state was there at a position; undefined if a sync was changing it. */
export function pointAt (points: readonly RecordedPoint[], at: Position, settledCount: number): string | undefined {
  const point = points.findLast(({ count, atMs }) => count < at.count || (count === at.count && atMs <= at.ms))
  if (point === undefined) return undefined
  const isUnchangedSince = point.count === at.count || (point === points.at(-1) && at.count <= settledCount)
  return isUnchangedSince ? pointId(point.count) : undefined
}

function momentOf ({ count, atMs }: RecordedPoint): PastMoment {
  return { count, ms: atMs }
}
