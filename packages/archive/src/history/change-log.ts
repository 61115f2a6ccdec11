import { equalDigests } from '@filesync/protocol'
import type { HashBytes, RelativePath } from '@filesync/protocol'
import { BlockReader, BlockWriter } from './block.ts'

/**
 * How entries came or left. `made`: there was nothing. `replaced`: something else took the place. `removed`: nothing did. `touched`:
 * only time or mode changed. `released`: the index let go of it, and it stayed where it was.
 */
type ChangeKind = typeof CHANGE_KINDS[number]

/** Their places are what is written. */
const CHANGE_KINDS = ['point', 'made', 'replaced', 'removed', 'touched', 'released'] as const

/** What happened to some entries of one directory. */
export interface HistoryChange {
  readonly kind: Exclude<ChangeKind, 'point'>
  readonly directory: RelativePath
  /** The step of the sync: what a recovery writes again has the same one. */
  readonly step: number
  /** Nothing is known of the entries but their names: others put there what was there before. */
  readonly isUnknown: boolean
  /** The entries as they were before, as a listing of their own; of what was made or is unknown, as they are since. */
  readonly entries: Uint8Array
  /** The facts of its files. */
  readonly facts: Uint8Array
  /** For each entry when, by the server's clock. */
  readonly atMs: Float64Array
  /** For each entry the folder of the sync that took it, from 0; NO_FOLDER for none. */
  readonly folders: Uint16Array
}

export const NO_FOLDER = 0xffff

/** The beginning of a sync. */
export interface Point {
  /** Milliseconds since the Unix epoch; not a number of one of which nothing else is remembered. */
  readonly ms: number
  /** The age of the archive then, by which its versions expire. */
  readonly ageMs: number
}

export interface ParsedLog {
  readonly point: Point | undefined
  readonly changes: readonly HistoryChange[]
}

// No listing holds it, so that what follows a block that a crash cut short is found again.
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

/** Reads what was appended; passes over what a crash cut short. */
export function parseLog (bytes: Uint8Array, hash: HashBytes): ParsedLog {
  const changes: HistoryChange[] = []
  let point: Point | undefined
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length)
  for (let at = findMark(bytes, 0); at !== -1;) {
    const end = at + HEAD_BYTES <= bytes.length ? at + HEAD_BYTES + view.getUint32(at + HEAD_BYTES - 4) : Infinity
    const body = end <= bytes.length ? bytes.subarray(at + HEAD_BYTES, end) : undefined
    if (body === undefined || !equalDigests(hash(body).subarray(0, CHECK_BYTES), bytes.subarray(at + MARK.length, at + MARK.length + CHECK_BYTES))) {
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
      changes.push({ kind, isUnknown, step, directory, atMs: reader.times(), folders: reader.shorts(), entries: reader.bytes(), facts: reader.bytes() })
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
