import { equalDigests, formatSize, LIMITS } from '@filesync/protocol'
import type { Digest, Hasher } from '@filesync/protocol'
import { compressFrame } from './compressed-frame.ts'
import { DATA_CONTENT_AT, writeDataHeader } from './data-frame.ts'
import { DeltaEncoder } from './delta-encoder.ts'
import type { FileFault, StreamRequest, StreamStep } from './file-source.ts'
import { Signature } from './signature.ts'
import { CHANGED, lengthFault } from './source-reader.ts'
import type { OpenFile, SourceReader } from './source-reader.ts'
import { dataAtStart, holeAtStart } from './zero-runs.ts'

/** Bytes that are read in one step if none of them are sent; some hundredths of a second. */
export const UNSENT_BYTES_PER_STEP: number = 8 << 20

/**
 * Reads a large file in steps of bounded size: a prefix that the server already has is only hashed, the rest becomes DATA or
 * DELTA frames, and the digest covers the whole file.
 */
export class FileReading {
  readonly #request: StreamRequest
  readonly #reader: SourceReader
  readonly #hasher: Hasher
  readonly #delta: DeltaEncoder | undefined
  #opened: OpenFile | undefined
  /** Reused for every piece that is not sent itself. */
  #scratch: Uint8Array<ArrayBuffer> | undefined
  #position = 0
  #isReadWhole = false
  #hasHoles = false
  /** Set if it was computed before the last step. */
  #digest: Digest | undefined
  #last: StreamStep | undefined

  /** Throws FRAME_MALFORMED if the signature is invalid. */
  constructor (request: StreamRequest, reader: SourceReader) {
    this.#request = request
    this.#reader = reader
    this.#hasher = reader.createHasher()
    this.#delta = createDelta(request, reader)
    const opened = reader.open(request.file)
    if ('code' in opened) this.#last = { kind: 'FAULT', fault: opened }
    else this.#begin(opened)
  }

  #begin (opened: OpenFile): void {
    const { file: { entry: { sizeBytes } }, holes = false, roomBytes = Infinity } = this.#request
    this.#opened = opened
    if (!holes) return
    const { allocatedBytes } = opened
    this.#hasHoles = allocatedBytes < sizeBytes
    if (allocatedBytes <= roomBytes) return
    const detail = `it takes ${formatSize(allocatedBytes)}, and ${formatSize(roomBytes)} are left. ` +
      'Free some space on the server, or lower its --reserve'
    this.#fail({ code: 'NO_ROOM', detail })
  }

  step (compress: boolean): StreamStep {
    if (this.#last !== undefined) return this.#last
    const frame = this.#delta?.take()
    if (frame !== undefined) return { kind: 'FRAME', frame: this.#compressed(frame, compress), fileBytes: 0 }
    if (this.#position < this.#request.file.entry.sizeBytes) return this.#readOn(compress)
    return this.#finish(compress)
  }

  close (): void {
    this.#opened?.close()
    this.#opened = undefined
    this.#last ??= { kind: 'FAULT', fault: CHANGED }
  }

  /** Reads several pieces in one step if none of them are sent: an answer for each would cost more than hashing it. */
  #readOn (compress: boolean): StreamStep {
    const { file: { entry: { sizeBytes } }, offset } = this.#request
    let fileBytes = 0
    for (;;) {
      const step = this.#read(compress)
      if (step.kind !== 'READ') return step
      fileBytes += step.fileBytes
      const isOver = this.#position === sizeBytes || this.#position === offset
      if (isOver || fileBytes >= UNSENT_BYTES_PER_STEP || this.#delta?.isDue === true) return { kind: 'READ', fileBytes }
    }
  }

  #read (compress: boolean): StreamStep {
    const { file: { entry, task }, content, offset, pieceBytes } = this.#request
    const isHashedOnly = content === 'DATA' && this.#position < offset
    const length = Math.min(pieceBytes, (isHashedOnly ? offset : entry.sizeBytes) - this.#position)
    const isSent = content === 'DATA' && !isHashedOnly
    if (isSent && this.#hasHoles) return this.#readSparse(compress)
    const buffer = this.#buffer(isSent, length)
    const piece = isSent ? buffer.subarray(DATA_CONTENT_AT) : buffer
    if (this.#opened === undefined) return this.#fail(CHANGED)
    const got = this.#opened.read(piece, this.#position)
    if (typeof got !== 'number') return this.#fail(got)
    if (got !== length) return this.#fail(lengthFault(this.#opened))
    this.#hasher.update(piece)
    this.#position += length
    if (!isSent) {
      this.#delta?.push(piece)
      return { kind: 'READ', fileBytes: length }
    }
    writeDataHeader(buffer, task)
    return { kind: 'FRAME', frame: this.#compressed(buffer, compress), fileBytes: length }
  }

  /** A hole, or the data before the next one. What was read after it is read again in the next step, from the page cache. */
  #readSparse (compress: boolean): StreamStep {
    const { file: { entry: { sizeBytes }, task }, pieceBytes } = this.#request
    let holeBytes = 0
    while (this.#position < sizeBytes && holeBytes + pieceBytes <= LIMITS.holeBytes) {
      const piece = this.#buffer(false, Math.min(pieceBytes, sizeBytes - this.#position))
      if (this.#opened === undefined) return this.#fail(CHANGED)
      const got = this.#opened.read(piece, this.#position)
      if (typeof got !== 'number') return this.#fail(got)
      if (got !== piece.length) return this.#fail(lengthFault(this.#opened))
      const zeros = holeAtStart(piece)
      if (zeros === 0 && holeBytes === 0) return this.#sendData(piece.subarray(0, dataAtStart(piece)), task, compress)
      this.#hasher.update(piece.subarray(0, zeros))
      this.#position += zeros
      holeBytes += zeros
      if (zeros < piece.length) break
    }
    return { kind: 'HOLE', fileBytes: holeBytes }
  }

  #sendData (content: Uint8Array, task: number, compress: boolean): StreamStep {
    const frame = this.#buffer(true, content.length)
    frame.set(content, DATA_CONTENT_AT)
    this.#hasher.update(content)
    this.#position += content.length
    writeDataHeader(frame, task)
    return { kind: 'FRAME', frame: this.#compressed(frame, compress), fileBytes: content.length }
  }

  // The buffer of a frame is transferred, so each needs its own.
  #buffer (isSent: boolean, length: number): Uint8Array<ArrayBuffer> {
    if (isSent) return this.#reader.allocate(DATA_CONTENT_AT + length)
    this.#scratch ??= this.#reader.allocate(this.#request.pieceBytes)
    return this.#scratch.subarray(0, length)
  }

  #compressed (frame: Uint8Array<ArrayBuffer>, compress: boolean): Uint8Array<ArrayBuffer> {
    if (!compress || this.#reader.compress === undefined) return frame
    return compressFrame(frame, this.#delta === undefined ? 'DATA' : 'DELTA', this.#reader.compress)
  }

  #finish (compress: boolean): StreamStep {
    if (!this.#isReadWhole) {
      this.#isReadWhole = true
      const fault = this.#faultAtEnd()
      if (fault !== undefined) return this.#fail(fault)
      this.#delta?.finish()
      return this.step(compress)
    }
    this.#last = { kind: 'END', digest: this.#digest ?? this.#hasher.digest() }
    this.close()
    return this.#last
  }

  #faultAtEnd (): FileFault | undefined {
    if (this.#opened === undefined) return CHANGED
    return this.#request.file.isGrowing === true ? this.#beginningFault(this.#opened) : faultAtEnd(this.#opened, this.#position)
  }

  /** Reads the listed part of a growing file again: if it is the same both times, it existed in between. */
  #beginningFault (opened: OpenFile): FileFault | undefined {
    const { file: { entry: { sizeBytes } }, pieceBytes } = this.#request
    const again = this.#reader.createHasher()
    for (let at = 0; at < sizeBytes;) {
      const piece = this.#buffer(false, Math.min(pieceBytes, sizeBytes - at))
      const got = opened.read(piece, at)
      if (typeof got !== 'number') return got
      if (got !== piece.length) return CHANGED
      again.update(piece)
      at += got
    }
    this.#digest = this.#hasher.digest()
    return equalDigests(again.digest(), this.#digest) ? opened.check() : CHANGED
  }

  #fail (fault: FileFault): StreamStep {
    this.#last = { kind: 'FAULT', fault }
    this.close()
    return this.#last
  }
}

/** Checks that nothing follows the end, and that the file did not change. */
function faultAtEnd (opened: OpenFile, sizeBytes: number): FileFault | undefined {
  const more = opened.read(new Uint8Array(1), sizeBytes)
  if (typeof more !== 'number') return more
  return more === 0 ? opened.check() : lengthFault(opened)
}

function createDelta (request: StreamRequest, reader: SourceReader): DeltaEncoder | undefined {
  if (request.content !== 'DELTA' || request.signature === undefined) return undefined
  const signature = new Signature(request.signature)
  const cuts = reader.createCutFinder(signature.averageBits)
  return new DeltaEncoder({ task: request.file.task, signature, cuts, hash: reader.hash })
}
