import { DIGEST_BYTES } from '../digest.ts'
import type { Digest } from '../digest.ts'
import { FileSyncError } from '../errors.ts'

/** One record of a DIGESTS frame: task (u32, big-endian), digest (32 bytes). */
export const DIGEST_RECORD_BYTES: number = 4 + DIGEST_BYTES

/** The digest of one small file that was read whole. */
export interface FileDigest {
  /** The number of the task it answers. */
  readonly task: number
  /** A view into the frame if it was read from one. */
  readonly digest: Digest
}

export function writeDigestRecord (
  into: Uint8Array, at: number, { task, digest }: { readonly task: number, readonly digest: Uint8Array },
): void {
  new DataView(into.buffer, into.byteOffset + at, 4).setUint32(0, task)
  into.set(digest, at + 4)
}

/** The records of a DIGESTS frame in order. Throws FRAME_MALFORMED; nothing is copied. */
export function * readDigestRecords (payload: Uint8Array): Generator<FileDigest, void, undefined> {
  if (payload.length % DIGEST_RECORD_BYTES !== 0) {
    throw new FileSyncError('FRAME_MALFORMED', 'Invalid DIGESTS frame: it ends within a record.')
  }
  const view = new DataView(payload.buffer, payload.byteOffset, payload.length)
  for (let at = 0; at < payload.length; at += DIGEST_RECORD_BYTES) {
    yield { task: view.getUint32(at), digest: payload.subarray(at + 4, at + DIGEST_RECORD_BYTES) as Digest }
  }
}
