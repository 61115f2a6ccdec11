import {
  DIGEST_RECORD_BYTES, FRAME_HEADER_BYTES, PACK_RECORD_BYTES, writeDigestRecord, writeFrameHeader, writePackRecord,
} from '@filesync/protocol'
import type { HashBytes, Hasher } from '@filesync/protocol'
import { compressFrame } from './compressed-frame.ts'
import type { Compress } from './compressed-frame.ts'
import type { CutFinder } from './gear.ts'
import type { FileFault, PackRead, WantedFile } from './file-source.ts'

/** One open file of the source. Synchronous, because it is used in a thread that does nothing else. */
export interface OpenFile {
  /** Allocated space: less than its size if it has holes or is compressed. */
  readonly allocatedBytes: number
  /**
   * Fills `into` from `position`, as far as the file goes, and returns the number of bytes. Reads at least once, and stops
   * after `enoughBytes`, by default the length of `into`.
   */
  read (into: Uint8Array, position: number, enoughBytes?: number): number | FileFault
  /** The fault of a file that changed since it was opened; called after the last read. */
  check (): FileFault | undefined
  close (): void
}

/** What reading needs from the system. */
export interface SourceReader {
  /** Opens a file that is as listed: a regular file with that size and mtime; a growing file has at least that size. */
  open (file: WantedFile): OpenFile | FileFault
  /** A new or reused buffer with arbitrary content. */
  allocate (sizeBytes: number): Uint8Array<ArrayBuffer>
  readonly hash: HashBytes
  createHasher (): Hasher
  createCutFinder (averageBits: number): CutFinder
  /** Absent if frames are never compressed. */
  readonly compress?: Compress
}

export const CHANGED: FileFault = { code: 'CHANGED_DURING_READ' }
const SIZE_UNRELIABLE: FileFault = { code: 'SIZE_UNRELIABLE' }

/**
 * The fault of a file whose content did not have the listed length: it changed, or its file system reports another size than
 * that of the content, as procfs and some FUSE file systems do.
 */
export function lengthFault (opened: OpenFile): FileFault {
  return opened.check() ?? SIZE_UNRELIABLE
}

/** Reads small files into one PACK frame, which leaves out files that cannot be read. */
export function buildPack (files: readonly WantedFile[], reader: SourceReader, compress: boolean): PackRead {
  // One byte more, to check that the last file ends at its listed size.
  let capacity = FRAME_HEADER_BYTES + 1
  for (const { entry } of files) capacity += PACK_RECORD_BYTES + entry.sizeBytes
  const buffer = reader.allocate(capacity)
  const faults: (FileFault & { task: number })[] = []
  let at = FRAME_HEADER_BYTES
  let bytes = 0
  for (const file of files) {
    const sizeBytes = file.entry.sizeBytes
    const start = at + PACK_RECORD_BYTES
    const fault = readWhole(file, buffer.subarray(start, start + sizeBytes + 1), reader)
    if (fault !== undefined) {
      faults.push({ ...fault, task: file.task })
      continue
    }
    writePackRecord(buffer, at, { task: file.task, sizeBytes, digest: reader.hash(buffer.subarray(start, start + sizeBytes)) })
    at = start + sizeBytes
    bytes += sizeBytes
  }
  return { frame: finishPack(buffer.subarray(0, at), reader, compress), files: files.length - faults.length, bytes, faults }
}

/** Reads small files for one DIGESTS frame, which leaves out files that cannot be read. */
export function buildDigests (files: readonly WantedFile[], reader: SourceReader): PackRead {
  const frame = reader.allocate(FRAME_HEADER_BYTES + DIGEST_RECORD_BYTES * files.length)
  // One byte more, to check that a file ends at its listed size.
  const scratch = new Uint8Array(1 + files.reduce((most, { entry }) => Math.max(most, entry.sizeBytes), 0))
  const faults: (FileFault & { task: number })[] = []
  let at = FRAME_HEADER_BYTES
  let bytes = 0
  for (const file of files) {
    const { task, entry: { sizeBytes } } = file
    const fault = readWhole(file, scratch.subarray(0, sizeBytes + 1), reader)
    if (fault !== undefined) {
      faults.push({ ...fault, task })
      continue
    }
    writeDigestRecord(frame, at, { task, digest: reader.hash(scratch.subarray(0, sizeBytes)) })
    at += DIGEST_RECORD_BYTES
    bytes += sizeBytes
  }
  return { frame: finishFrame(frame.subarray(0, at), 'DIGESTS'), files: files.length - faults.length, bytes, faults }
}

function finishFrame (frame: Uint8Array<ArrayBuffer>, type: 'PACK' | 'DIGESTS'): Uint8Array<ArrayBuffer> | undefined {
  if (frame.length === FRAME_HEADER_BYTES) return undefined
  writeFrameHeader(frame, { type, flags: 0, payloadBytes: frame.length - FRAME_HEADER_BYTES })
  return frame
}

function finishPack (frame: Uint8Array<ArrayBuffer>, reader: SourceReader, compress: boolean): Uint8Array<ArrayBuffer> | undefined {
  const pack = finishFrame(frame, 'PACK')
  return pack !== undefined && compress && reader.compress !== undefined ? compressFrame(pack, 'PACK', reader.compress) : pack
}

/** @param into one byte longer than the file: reading the end together with the content saves a call */
function readWhole (file: WantedFile, into: Uint8Array, reader: SourceReader): FileFault | undefined {
  const { sizeBytes } = file.entry
  const opened = reader.open(file)
  if ('code' in opened) return opened
  try {
    const got = opened.read(into, 0, sizeBytes)
    if (typeof got !== 'number') return got
    if (file.isGrowing === true) return beginningFault(opened, into.subarray(0, sizeBytes), got)
    return got === sizeBytes ? opened.check() : lengthFault(opened)
  } finally {
    opened.close()
  }
}

/** The fault of a growing file whose listed part has changed since it was read. */
function beginningFault (opened: OpenFile, first: Uint8Array, got: number): FileFault | undefined {
  if (got < first.length) return CHANGED
  const again = new Uint8Array(first.length)
  const gotAgain = opened.read(again, 0)
  if (typeof gotAgain !== 'number') return gotAgain
  return gotAgain === first.length && first.every((byte, at) => byte === again[at]) ? opened.check() : CHANGED
}
