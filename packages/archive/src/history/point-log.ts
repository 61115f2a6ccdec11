import type { HashBytes } from '@filesync/protocol'
import type { Point } from '../archive.ts'
import { BlockWriter } from './block.ts'
import { frame, readFrames } from './frame.ts'

/** A point as recorded: the number of the sync instead of an id. */
export interface RecordedPoint extends Omit<Point, 'id'> {
  readonly count: number
}

/** Encodes points, to be appended to the record of an area's points. */
export function encodePoints (points: readonly RecordedPoint[], hash: HashBytes): Uint8Array {
  const blocks = points.map(({ count, atMs, added, replaced, removed, bytes }) => {
    const body = new BlockWriter()
    body.times(Float64Array.of(count, atMs, added, replaced, removed, bytes))
    return frame(body.finish(), hash)
  })
  const whole = new Uint8Array(blocks.reduce((sum, { length }) => sum + length, 0))
  let at = 0
  for (const block of blocks) {
    whole.set(block, at)
    at += block.length
  }
  return whole
}

/** Parses the record of an area's points, oldest first; skips what a crash truncated. */
export function parsePoints (bytes: Uint8Array, hash: HashBytes): RecordedPoint[] {
  const points = new Map<number, RecordedPoint>()
  for (const block of readFrames(bytes, hash)) {
    const [count = 0, atMs = 0, added = 0, replaced = 0, removed = 0, sizeBytes = 0] = block.times()
    points.set(count, { count, atMs, added, replaced, removed, bytes: sizeBytes })
  }
  return [...points.values()].sort((a, b) => a.count - b.count)
}

/** The id of the point that a sync made. */
export function pointId (count: number): string {
  return `p${String(count)}`
}

/** The number of the sync in the id of a point; undefined for any other text. */
export function parsePointId (id: string): number | undefined {
  const [, count] = /^p([1-9]\d{0,14})$/u.exec(id) ?? []
  return count === undefined ? undefined : Number(count)
}

/** A recorded point as the archive shows it. */
export function shownPoint ({ count, ...point }: RecordedPoint): Point {
  return { id: pointId(count), ...point }
}
