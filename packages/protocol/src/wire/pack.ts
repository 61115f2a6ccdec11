import { DIGEST_BYTES } from '../digest.ts'
import type { Digest } from '../digest.ts'
import { FileSyncError } from '../errors.ts'
import { LIMITS } from '../limits.ts'

/**
 * FILE_HEADER in its packed form, before the bytes of each file of a pack: task (u32), length (u32), digest (32 bytes);
 * big-endian.
 */
export const PACK_RECORD_BYTES: number = 8 + DIGEST_BYTES

/** One whole small file in a pack. */
export interface PackedFile {
  /** The number of the task it answers. */
  readonly task: number
  readonly digest: Digest
  /** A view into the pack. */
  readonly content: Uint8Array
}

/** Writes the record of a file whose content is already at `at + PACK_RECORD_BYTES`. */
export function writePackRecord (pack: Uint8Array, at: number, file: { task: number, sizeBytes: number, digest: Uint8Array }): void {
  const view = new DataView(pack.buffer, pack.byteOffset + at, 8)
  view.setUint32(0, file.task)
  view.setUint32(4, file.sizeBytes)
  pack.set(file.digest, at + 8)
}

/** The files of a pack in order. Throws FRAME_MALFORMED; nothing is copied. */
export function * readPack (pack: Uint8Array): Generator<PackedFile, void, undefined> {
  const view = new DataView(pack.buffer, pack.byteOffset, pack.length)
  let at = 0
  while (at < pack.length) {
    if (pack.length - at < PACK_RECORD_BYTES) throw malformed('a record is truncated')
    const task = view.getUint32(at)
    const sizeBytes = view.getUint32(at + 4)
    const start = at + PACK_RECORD_BYTES
    if (sizeBytes > LIMITS.packedFileBytes || sizeBytes > pack.length - start) {
      throw malformed('a file is longer than its pack or the limit')
    }
    yield {
      task,
      digest: pack.subarray(at + 8, start) as Digest,
      content: pack.subarray(start, start + sizeBytes),
    }
    at = start + sizeBytes
  }
}

function malformed (why: string): FileSyncError {
  return new FileSyncError('FRAME_MALFORMED', `Invalid pack of files: ${why}.`)
}
