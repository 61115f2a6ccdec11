import { joinPath, readListing } from '@filesync/protocol'
import type { Entry, HashBytes, RelativePath } from '@filesync/protocol'
import type { HistoryLog, KeptEntry } from '../store/content-store.ts'
import { FACT_BYTES, readFact } from '../store/facts.ts'
import type { Fact } from '../store/facts.ts'
import { parseVersionFolder, versionFolder } from '../store/version-folder.ts'
import { NO_FOLDER, parseLog } from './change-log.ts'
import type { HistoryChange, SyncStart } from './change-log.ts'
import { comparePositions } from '../store/position.ts'
import type { Position } from '../store/position.ts'

/** A change of one path. */
export interface PathEvent {
  readonly path: RelativePath
  readonly kind: HistoryChange['kind']
  readonly at: Position
  /** The entry that was there before; undefined if it is unknown. */
  readonly entry: Entry | undefined
  /** If it was a file. */
  readonly fact: Fact | undefined
  /** The folder in versions that received it. */
  readonly folder: string | undefined
}

/** The recorded history of an area. */
export interface RecordedHistory {
  /** When each sync with recorded history began, by its number. */
  readonly starts: ReadonlyMap<number, SyncStart>
  /** Oldest first. */
  readonly events: readonly PathEvent[]
}

interface EventFilter {
  readonly isWanted: (path: RelativePath) => boolean
  /** Changes of entries of other directories are not decoded; all by default. */
  readonly isWantedDirectory?: ((directory: RelativePath) => boolean) | undefined
}

/** Reads the recorded history of some paths. */
export function readEvents (
  logs: readonly HistoryLog[], kept: readonly KeptEntry[],
  { hash, isWanted, isWantedDirectory = () => true }: EventFilter & { readonly hash: HashBytes },
): RecordedHistory {
  const stamps = new Map(kept.flatMap(({ folder }) => {
    const parsed = parseVersionFolder(folder)
    return parsed === undefined ? [] : [[parsed.count, parsed.stampMs] as const]
  }))
  const starts = new Map<number, SyncStart>()
  const events: PathEvent[] = []
  const seen = new Set<string>()
  for (const { count, bytes } of logs) {
    const { start, changes } = parseLog(bytes, hash)
    if (start !== undefined && !Number.isNaN(start.ms)) starts.set(count, start)
    const stampMs = starts.get(count)?.ms ?? stamps.get(count) ?? 0
    for (const change of changes) {
      if (!isWantedDirectory(change.directory)) continue
      for (const event of eventsOf(change, { count, stampMs, isWanted })) {
        // If a recovery recorded a step again, the first record is more exact.
        const key = `${String(count)}:${String(change.step)}:${event.kind}:${event.path}`
        if (!seen.has(key)) events.push(event)
        seen.add(key)
      }
    }
  }
  return { starts, events: events.sort(compareEvents) }
}

/**
 * The order of events of one path. What was made has taken the place of what left at the same moment, in whatever order they are recorded:
 * each kind of change has blocks of its own.
 */
export function compareEvents (left: PathEvent, right: PathEvent): number {
  return comparePositions(left.at, right.at) || Number(left.kind === 'made') - Number(right.kind === 'made')
}

/** The changes of single paths that a recorded change consists of. */
export function * eventsOf (
  change: HistoryChange, { count, stampMs, isWanted }: EventFilter & { readonly count: number, readonly stampMs: number },
): Generator<PathEvent, void, undefined> {
  const { kind, directory, isUnknown, entries, facts, atMs, folders } = change
  let [place, files] = [-1, 0]
  for (const entry of readListing(entries)) {
    place++
    const isFile = entry.kind === 'file'
    const fact = isFile && !isUnknown && facts.length > 0 ? readFact(facts, files++ * FACT_BYTES) : undefined
    const path = joinPath(directory, entry.name)
    if (!isWanted(path)) continue
    const extra = folders[place] ?? NO_FOLDER
    yield {
      path, kind, at: { count, ms: atMs[place] ?? stampMs }, entry: isUnknown ? undefined : entry, fact,
      folder: extra === NO_FOLDER ? undefined : versionFolder({ count, stampMs, extra }),
    }
  }
}
