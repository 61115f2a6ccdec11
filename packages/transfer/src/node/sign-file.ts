import { readSync } from 'node:fs'
import { FileSyncError } from '@filesync/protocol'
import { hashBytes } from '@filesync/protocol/node'
import { averageBitsFor, SignatureBuilder } from '../signature.ts'
import { createCutFinder } from './cut-finder.ts'

const PIECE_BYTES = 1 << 20

export interface SignRequest {
  /** An open file; the numbers are those of the process, so any thread may use them. */
  readonly fd: number
  readonly sizeBytes: number
  /** Looked at before every read. */
  readonly isStopped: () => boolean
}

/**
 * The signature of an open file. Throws ABORTED when it is stopped, and INTERNAL when the file is shorter than told or
 * too large to be signed, which `averageBitsFor` tells before.
 */
export function signFile ({ fd, sizeBytes, isStopped }: SignRequest): Uint8Array<ArrayBuffer> {
  const averageBits = averageBitsFor(sizeBytes)
  if (averageBits === undefined) throw new FileSyncError('INTERNAL', 'A file of this size has no signature.')
  const builder = new SignatureBuilder({ averageBits, cuts: createCutFinder(averageBits), hash: hashBytes })
  for (let at = 0; at < sizeBytes;) {
    if (isStopped()) throw new FileSyncError('ABORTED', 'Signing was stopped.')
    // A buffer for each piece, because the end of a chunk may wait for the next one.
    const piece = new Uint8Array(Buffer.allocUnsafeSlow(Math.min(PIECE_BYTES, sizeBytes - at)).buffer)
    const got = readSync(fd, piece, 0, piece.length, at)
    if (got === 0) throw new FileSyncError('INTERNAL', 'A file became shorter while it was signed.')
    builder.push(piece.subarray(0, got))
    at += got
  }
  return builder.finish()
}
