import type { HashBytes, RelativePath } from '@filesync/protocol'
import { BlockWriter } from './block.ts'
import { frame, readFrames } from './frame.ts'

/**
 * How entries changed. `made`: nothing was there before. `replaced`: another entry replaced it. `removed`: it was removed. `touched`: only
 * mtime or mode changed. `released`: it left the index but stayed in the mirror.
 */
type ChangeKind = typeof CHANGE_KINDS[number]

/** Their positions are the encoded values. */
const CHANGE_KINDS = ['start', 'made', 'replaced', 'removed', 'touched', 'released'] as const

/** A change of some entries of one directory. */
export interface HistoryChange {
  readonly kind: Exclude<ChangeKind, 'start'>
  readonly directory: RelativePath
  /** Number of the step of the sync; a recovery that records the step again uses the same number. */
  readonly step: number
  /** Whether only the names of the entries are known, because what was there had been put there by hand. */
  readonly isUnknown: boolean
  /** The entries before the change, encoded as a listing; if made or unknown, the entries after it. */
  readonly entries: Uint8Array
  /** The facts of the files among them. */
  readonly facts: Uint8Array
  /** For each entry the time of the change by the server's clock, milliseconds since the Unix epoch. */
  readonly atMs: Float64Array
  /** For each entry the number of the sync's folder in versions that received it; NO_FOLDER for none. */
  readonly folders: Uint16Array
}

export const NO_FOLDER = 0xffff

/** The beginning of a sync. */
export interface SyncStart {
  /** Milliseconds since the Unix epoch; NaN if nothing else is recorded of the sync. */
  readonly ms: number
  /** The age of the archive at that time, by which the sync's versions expire. */
  readonly ageMs: number
}

export interface ParsedLog {
  readonly start: SyncStart | undefined
  readonly changes: readonly HistoryChange[]
}

export function encodeStart ({ ms, ageMs }: SyncStart, hash: HashBytes): Uint8Array {
  const body = new BlockWriter()
  body.byte(0)
  body.times(Float64Array.of(ms, ageMs))
  return frame(body.finish(), hash)
}

export function encodeChange (change: HistoryChange, hash: HashBytes): Uint8Array {
  const body = new BlockWriter()
  body.byte(CHANGE_KINDS.indexOf(change.kind))
  body.byte(Number(change.isUnknown))
  body.number(change.step)
  body.bytes(new TextEncoder().encode(change.directory))
  body.times(change.atMs)
  body.shorts(change.folders)
  body.bytes(change.entries)
  body.bytes(change.facts)
  return frame(body.finish(), hash)
}

/** Parses the history of a sync; skips blocks that a crash truncated. */
export function parseLog (bytes: Uint8Array, hash: HashBytes): ParsedLog {
  const changes: HistoryChange[] = []
  let start: SyncStart | undefined
  for (const block of readFrames(bytes, hash)) {
    const kind = CHANGE_KINDS[block.byte()]
    if (kind === 'start') {
      const [ms = 0, ageMs = 0] = block.times()
      start ??= { ms, ageMs }
    } else if (kind !== undefined) {
      const isUnknown = block.byte() === 1
      const step = block.number()
      const directory = new TextDecoder('utf-8', { ignoreBOM: true }).decode(block.bytes()) as RelativePath
      changes.push({
        kind,
        isUnknown,
        step,
        directory,
        atMs: block.times(),
        folders: block.shorts(),
        entries: block.bytes(),
        facts: block.bytes(),
      })
    }
  }
  return { start, changes }
}
