import { readSync } from 'node:fs'
import { FileSyncError } from '@filesync/protocol'
import { hashBytes } from '@filesync/protocol/node'
import { averageBitsFor, SignatureBuilder } from '../signature.ts'
import { createCutFinder } from './cut-finder.ts'

const PIECE_BYTES = 1 << 20

export interface SignRequest {
  /** An open file; descriptors belong to the process, so any thread may use them. */
  readonly fd: number
  readonly sizeBytes: number
  /** Checked before every read. */
  readonly isStopped: () => boolean
}

/**
 * The signature of an open file; undefined if it cannot be read or is shorter than `sizeBytes`. Throws ABORTED if it is
 * stopped, and INTERNAL if the file is too large to be signed, which `averageBitsFor` shows beforehand.
 */
export function signFile ({ fd, sizeBytes, isStopped }: SignRequest): Uint8Array<ArrayBuffer> | undefined {
  const averageBits = averageBitsFor(sizeBytes)
  if (averageBits === undefined) throw new FileSyncError('INTERNAL', 'A file of this size has no signature.')
  const builder = new SignatureBuilder({ averageBits, cuts: createCutFinder(averageBits), hash: hashBytes })
  const piece = new Uint8Array(Math.min(PIECE_BYTES, sizeBytes))
  for (let at = 0; at < sizeBytes;) {
    if (isStopped()) throw new FileSyncError('ABORTED', 'Signing was stopped.')
    const wanted = piece.subarray(0, Math.min(PIECE_BYTES, sizeBytes - at))
    const got = readPiece(fd, wanted, at)
    if (got === 0) return undefined
    builder.push(wanted.subarray(0, got))
    at += got
  }
  return builder.finish()
}

/** 0 at the end of the file, and if it cannot be read. */
function readPiece (fd: number, piece: Uint8Array, position: number): number {
  try {
    return readSync(fd, piece, 0, piece.length, position)
  } catch (error) {
    if (error instanceof Error && 'syscall' in error) return 0
    throw error
  }
}
