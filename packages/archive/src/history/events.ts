import { joinPath, pathDepth, readListing } from '@filesync/protocol'
import type { Entry, HashBytes, RelativePath } from '@filesync/protocol'
import type { HistoryLog, KeptEntry } from '../store/content-store.ts'
import { FACT_BYTES, readFact } from '../store/facts.ts'
import type { Fact } from '../store/facts.ts'
import { staysInside } from '../store/names.ts'
import { parseVersionFolder, versionFolder } from '../store/version-folder.ts'
import { NO_FOLDER, parseLog } from './change-log.ts'
import type { HistoryChange, Point } from './change-log.ts'
import { comparePositions } from '../store/position.ts'
import type { Position } from '../store/position.ts'

/** What happened at a path. */
export interface PathEvent {
  readonly path: RelativePath
  readonly kind: HistoryChange['kind']
  readonly at: Position
  /** What was there before; undefined if nothing is known of it. */
  readonly entry: Entry | undefined
  /** Of a file. */
  readonly fact: Fact | undefined
  /** The folder in versions that took it. */
  readonly folder: string | undefined
}

/** What is remembered of an area. */
export interface RecordedHistory {
  readonly points: ReadonlyMap<number, Point>
  /** In the order in which they happened. */
  readonly events: readonly PathEvent[]
}

/** Reads what is remembered of the paths that are asked for. */
export function readEvents (logs: readonly HistoryLog[], kept: readonly KeptEntry[], { hash, isWanted }: { readonly hash: HashBytes, readonly isWanted: (path: RelativePath) => boolean }): RecordedHistory {
  const stamps = new Map(kept.flatMap(({ folder }) => { const parsed = parseVersionFolder(folder); return parsed === undefined ? [] : [[parsed.count, parsed.stampMs] as const] }))
  const points = new Map<number, Point>()
  const events: PathEvent[] = []
  const seen = new Set<string>()
  for (const { count, bytes } of logs) {
    const { point, changes } = parseLog(bytes, hash)
    if (point !== undefined && !Number.isNaN(point.ms)) points.set(count, point)
    const stampMs = points.get(count)?.ms ?? stamps.get(count) ?? 0
    for (const change of changes) {
      for (const event of eventsOf(change, { count, stampMs, isWanted })) {
        // What a recovery wrote once more is less exact than what was written first.
        const key = `${String(count)}:${String(change.step)}:${event.kind}:${event.path}`
        if (!seen.has(key)) events.push(event)
        seen.add(key)
      }
    }
  }
  return { points, events: events.sort((a, b) => comparePositions(a.at, b.at)) }
}

function * eventsOf (change: HistoryChange, { count, stampMs, isWanted }: { readonly count: number, readonly stampMs: number, readonly isWanted: (path: RelativePath) => boolean }): Generator<PathEvent, void, undefined> {
  const { kind, directory, isUnknown, entries, facts, atMs, folders } = change
  let [place, files] = [-1, 0]
  for (const entry of readListing(entries)) {
    place++
    const isFile = entry.kind === 'file'
    const fact = isFile && !isUnknown && facts.length > 0 ? readFact(facts, files++ * FACT_BYTES) : undefined
    const path = joinPath(directory, entry.name)
    if (!isWanted(path) || isIndexOnly(directory, entry)) continue
    const extra = folders[place] ?? NO_FOLDER
    yield {
      path, kind, at: { count, ms: atMs[place] ?? stampMs }, entry: isUnknown ? undefined : entry, fact,
      folder: extra === NO_FOLDER ? undefined : versionFolder({ count, stampMs, extra }),
    }
  }
}

/** Whether an entry is noted in the index alone: a link that leads out. */
export function isIndexOnly (directory: RelativePath, entry: Entry): boolean {
  return entry.kind === 'symlink' && !staysInside(pathDepth(directory), entry.target)
}
