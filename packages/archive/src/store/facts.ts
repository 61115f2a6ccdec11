import { DIGEST_BYTES } from '@filesync/protocol'
import type { Digest } from '@filesync/protocol'
import type { Position } from './position.ts'

/** Size of the encoded facts of a file: digest (32 bytes), times stored and last verified (ms, u48 each), number of the sync (u32). */
export const FACT_BYTES: number = DIGEST_BYTES + 16

/** The facts of one stored file. */
export interface Fact {
  readonly digest: Digest
  /** When this content became durable under its path, milliseconds since the Unix epoch. */
  readonly storedAtMs: number
  /** When it was last verified, milliseconds since the Unix epoch; 0 if never. */
  readonly verifiedAtMs: number
  /** Number of the sync that stored it, which gives the order even if the clock was set back; 0 if unknown. */
  readonly storedCount: number
}

/** Writes the facts of one file at `at`. */
export function writeFact (bytes: Uint8Array, at: number, fact: Fact): void {
  bytes.set(fact.digest, at)
  writeTime(bytes, at + DIGEST_BYTES + 6, fact.verifiedAtMs)
  stampFact(bytes, at, { count: fact.storedCount, ms: fact.storedAtMs })
}

/** Writes when the file whose facts are at `at` was stored. */
export function stampFact (bytes: Uint8Array, at: number, { count, ms }: Position): void {
  writeTime(bytes, at + DIGEST_BYTES, ms)
  for (let byte = 0; byte < 4; byte++) bytes[at + DIGEST_BYTES + 12 + byte] = count >>> 8 * (3 - byte)
}

/** The facts at `at`; the digest is a copy. */
export function readFact (bytes: Uint8Array, at: number): Fact {
  return {
    digest: bytes.slice(at, at + DIGEST_BYTES) as Digest,
    storedAtMs: readTime(bytes, at + DIGEST_BYTES),
    verifiedAtMs: readTime(bytes, at + DIGEST_BYTES + 6),
    storedCount: new DataView(bytes.buffer, bytes.byteOffset + at + DIGEST_BYTES + 12, 4).getUint32(0),
  }
}

/** The sync that stored the file whose facts are at `at` (0 if unknown), and when. */
export function readSince (bytes: Uint8Array, at: number): Position {
  const count = new DataView(bytes.buffer, bytes.byteOffset + at + DIGEST_BYTES + 12, 4).getUint32(0)
  return { count, ms: readTime(bytes, at + DIGEST_BYTES) }
}

function writeTime (bytes: Uint8Array, at: number, timeMs: number): void {
  const high = Math.floor(timeMs / 0x1_0000_0000)
  const low = timeMs >>> 0
  bytes[at] = high >>> 8
  bytes[at + 1] = high
  bytes[at + 2] = low >>> 24
  bytes[at + 3] = low >>> 16
  bytes[at + 4] = low >>> 8
  bytes[at + 5] = low
}

function readTime (bytes: Uint8Array, at: number): number {
  const view = new DataView(bytes.buffer, bytes.byteOffset + at, 6)
  return view.getUint16(0) * 0x1_0000_0000 + view.getUint32(2)
}
