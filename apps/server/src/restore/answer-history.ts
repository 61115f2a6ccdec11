import type { Area, Point, Version } from '@filesync/archive'
import { LIMITS } from '@filesync/protocol'
import type { HistoryAnswer, HistoryPoint, HistoryQuestion, HistoryVersion } from '@filesync/protocol'
import { orPointUnknown, parseAreaPath } from './area-path.ts'

const NOTHING: HistoryAnswer = { type: 'HISTORY_ANSWER', points: [], versions: [], hasMore: false }

/** One page of the history of an area; empty if nothing was ever stored. Throws NAME_INVALID and POINT_UNKNOWN. */
export async function answerHistory (area: Area | undefined, question: HistoryQuestion): Promise<HistoryAnswer> {
  const path = parseAreaPath(question.path)
  if (area === undefined) return NOTHING
  if (question.what === 'POINTS') {
    const { before } = question
    const options = { path, limit: LIMITS.historyPerPage, ...(before !== undefined && { before }) }
    const { points, hasMore } = await orPointUnknown(area.points(options))
    return { ...NOTHING, points: points.map(toPoint), hasMore }
  }
  const skip = question.skip ?? 0
  const versions = await area.versions(path)
  return {
    ...NOTHING,
    versions: versions.slice(skip, skip + LIMITS.historyPerPage).map(toVersion),
    hasMore: versions.length > skip + LIMITS.historyPerPage,
  }
}

function toPoint ({ id, atMs, added, replaced, removed, bytes }: Point): HistoryPoint {
  return { id, atMs: whole(atMs), added, replaced, removed, bytes }
}

function toVersion ({ path, kind, sizeBytes, untilMs, point }: Version): HistoryVersion {
  const kinds = { file: 'FILE', directory: 'DIRECTORY', symlink: 'SYMLINK', special: 'FILE' } as const
  return { path, kind: kinds[kind], sizeBytes, untilMs: whole(untilMs), ...(point !== undefined && { point }) }
}

/** A message has whole milliseconds from 1970 on. */
function whole (timeMs: number): number {
  return Math.max(0, Math.floor(timeMs))
}
