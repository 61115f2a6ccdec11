import { equalDigests } from '@filesync/protocol'
import type { HashBytes, RelativePath } from '@filesync/protocol'
import { BlockReader, BlockWriter } from './block.ts'

/**
 * How entries changed. `made`: nothing was there before. `replaced`: another entry replaced it. `removed`: it was removed. `touched`: only
 * mtime or mode changed. `released`: it left the index but stayed in the mirror.
 */
type ChangeKind = typeof CHANGE_KINDS[number]

/** Their positions are the encoded values. */
const CHANGE_KINDS = ['point', 'made', 'replaced', 'removed', 'touched', 'released'] as const

/** A change of some entries of one directory. */
export interface HistoryChange {
  readonly kind: Exclude<ChangeKind, 'point'>
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
export interface Point {
  /** Milliseconds since the Unix epoch; NaN if nothing else is recorded of the sync. */
  readonly ms: number
  /** The age of the archive at that time, by which the sync's versions expire. */
  readonly ageMs: number
}

export interface ParsedLog {
  readonly point: Point | undefined
  readonly changes: readonly HistoryChange[]
}

// Starts each block. It occurs in no listing, so the block that follows a truncated one is found.
const MARK = Uint8Array.of(0xc1, 0xc1, 0x46, 0x53, 0x48, 0x31, 0xc1, 0xc1)
const CHECK_BYTES = 8
const HEAD_BYTES: number = MARK.length + CHECK_BYTES + 4

export function encodePoint ({ ms, ageMs }: Point, hash: HashBytes): Uint8Array {
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
  let point: Point | undefined
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length)
  for (let at = findMark(bytes, 0); at !== -1;) {
    const end = at + HEAD_BYTES <= bytes.length ? at + HEAD_BYTES + view.getUint32(at + HEAD_BYTES - 4) : Infinity
    const body = end <= bytes.length ? bytes.subarray(at + HEAD_BYTES, end) : undefined
    const check = bytes.subarray(at + MARK.length, at + MARK.length + CHECK_BYTES)
    if (body === undefined || !equalDigests(hash(body).subarray(0, CHECK_BYTES), check)) {
      at = findMark(bytes, at + 1)
      continue
    }
    const reader = new BlockReader(body)
    const kind = CHANGE_KINDS[reader.byte()]
    if (kind === 'point') {
      const [ms = 0, ageMs = 0] = reader.times()
      point ??= { ms, ageMs }
    } else if (kind !== undefined) {
      const isUnknown = reader.byte() === 1
      const step = reader.number()
      const directory = new TextDecoder('utf-8', { ignoreBOM: true }).decode(reader.bytes()) as RelativePath
      changes.push({
        kind,
        isUnknown,
        step,
        directory,
        atMs: reader.times(),
        folders: reader.shorts(),
        entries: reader.bytes(),
        facts: reader.bytes(),
      })
    }
    at = findMark(bytes, end)
  }
  return { point, changes }
}

function frame (body: Uint8Array, hash: HashBytes): Uint8Array {
  const framed = new Uint8Array(HEAD_BYTES + body.length)
  framed.set(MARK)
  framed.set(hash(body).subarray(0, CHECK_BYTES), MARK.length)
  new DataView(framed.buffer).setUint32(HEAD_BYTES - 4, body.length)
  framed.set(body, HEAD_BYTES)
  return framed
}

function findMark (bytes: Uint8Array, from: number): number {
  for (let at = bytes.indexOf(MARK[0] ?? 0, from); at !== -1; at = bytes.indexOf(MARK[0] ?? 0, at + 1)) {
    if (MARK.every((byte, i) => bytes[at + i] === byte)) return at
  }
  return -1
}
