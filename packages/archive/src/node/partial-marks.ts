import * as disk from './disk.ts'

/**
 * The marks file beside a partial ensures that after a power cut only what reached the disk counts as arrived. It records how much was
 * flushed, and a fingerprint of each span after that. If only the process was killed,
 * everything is still there, and the fingerprints prove it.
 *
 * Format: two numbers of 8 bytes, the flushed length and the end of the content when its last span was recorded, then 4 bytes a span.
 */
const SUFFIX = '.marks'
const SPAN_BYTES = 1 << 20
/** A fingerprint covers one byte of each sector, because a disk writes whole sectors. Covering all bytes would take much longer. */
const SECTOR_BYTES = 512
const HEADER_BYTES = 16
const END_AT = 8
const MARK_BYTES = 4
/** The constants of FNV-1a by Fowler, Noll and Vo. */
const SEED = 0x811c_9dc5
const PRIME = 0x0100_0193

type Place = readonly [prefix: string, name: string]

/** The partial that a marks file belongs to; undefined if the name is not that of a marks file. */
export function parseMarksName (name: string): string | undefined {
  return name.endsWith(SUFFIX) ? name.slice(0, -SUFFIX.length) : undefined
}

export function marksName (partial: string): string {
  return partial + SUFFIX
}

/** Computes the fingerprints of a content that is added from its start, in pieces of any length. */
class Spans {
  endBytes = 0
  /** The fingerprint of the incomplete last span. */
  mark = SEED

  /** Adds a piece; returns the fingerprints of the spans that it completes. */
  add (bytes: Uint8Array): number[] {
    const complete: number[] = []
    let at = (SECTOR_BYTES - this.endBytes % SECTOR_BYTES) % SECTOR_BYTES
    let left = SPAN_BYTES - this.endBytes % SPAN_BYTES
    for (let start = 0; start < bytes.length; start += left, left = SPAN_BYTES) {
      const end = Math.min(bytes.length, start + left)
      for (; at < end; at += SECTOR_BYTES) this.mark = Math.imul(this.mark ^ (bytes[at] ?? 0), PRIME)
      if (end < start + left) break
      complete.push(this.mark >>> 0)
      this.mark = SEED
    }
    this.endBytes += bytes.length
    return complete
  }
}

/** Records what arrives of a partial. */
export class PartialMarks {
  readonly #fd: number
  readonly #spans = new Spans()

  constructor (place: Place) {
    this.#fd = disk.continueAt(...place)
  }

  /** Takes in the kept content; to be called with all of it before anything is added. */
  restore (bytes: Uint8Array): void {
    this.#spans.add(bytes)
  }

  /** Discards what was recorded past the offset where writing continues. */
  startAt (endBytes: number): void {
    const header = readHeader(this.#fd)
    if (header.flushedBytes <= endBytes) return
    writeNumber(this.#fd, endBytes, 0)
    // Flushed at once: otherwise new content there would count as flushed after a power cut.
    disk.syncFile(this.#fd)
  }

  add (bytes: Uint8Array): void {
    const first = Math.floor(this.#spans.endBytes / SPAN_BYTES)
    const complete = this.#spans.add(bytes)
    if (complete.length > 0) this.#write(first, complete)
  }

  /** Records the last span too, and where it ends. */
  end (): void {
    const { endBytes, mark } = this.#spans
    this.#write(Math.floor(endBytes / SPAN_BYTES), [mark >>> 0])
    writeNumber(this.#fd, endBytes, END_AT)
  }

  close (): void {
    disk.close(this.#fd)
  }

  #write (first: number, marks: readonly number[]): void {
    disk.writeAll(this.#fd, new Uint8Array(Uint32Array.from(marks).buffer), HEADER_BYTES + first * MARK_BYTES)
  }
}

/** Records how much of a partial is flushed; does nothing if it no longer has a marks file. */
export function noteFlushed (place: Place, flushedBytes: number): void {
  if (!disk.existsAt(...place)) return
  const fd = disk.continueAt(...place)
  try {
    if (readHeader(fd).flushedBytes < flushedBytes) writeNumber(fd, flushedBytes, 0)
  } finally {
    disk.close(fd)
  }
}

/** How many leading bytes of a partial are known to be intact. */
export function countArrived (partial: Place, marks: Place): number {
  if (!disk.existsAt(...marks)) return 0
  const noted = disk.readAt(...marks)
  const fd = disk.readAt(...partial)
  try {
    const { flushedBytes, endBytes } = readHeader(noted)
    const { sizeBytes } = disk.statOf(fd)
    const buffer = new Uint8Array(SPAN_BYTES)
    let arrived = Math.min(flushedBytes, sizeBytes)
    for (let span = Math.floor(arrived / SPAN_BYTES); arrived < sizeBytes; span++) {
      const start = span * SPAN_BYTES
      const isLast = endBytes > start && endBytes < start + SPAN_BYTES
      const lengthBytes = isLast ? endBytes - start : SPAN_BYTES
      if (start + lengthBytes > sizeBytes || lengthBytes !== readFully(fd, buffer.subarray(0, lengthBytes), start)) break
      if (fingerprintOf(buffer.subarray(0, lengthBytes)) !== readMark(noted, span)) break
      arrived = Math.max(arrived, start + lengthBytes)
      if (isLast) break
    }
    return arrived
  } finally {
    disk.close(fd)
    disk.close(noted)
  }
}

function fingerprintOf (span: Uint8Array): number {
  const spans = new Spans()
  const [whole] = spans.add(span)
  return whole ?? spans.mark >>> 0
}

function readHeader (fd: number): { readonly flushedBytes: number, readonly endBytes: number } {
  const header = new Float64Array(2)
  readFully(fd, new Uint8Array(header.buffer), 0)
  const [flushedBytes = 0, endBytes = 0] = header
  // A power cut may leave anything in it.
  const isLength = (value: number): boolean => Number.isSafeInteger(value) && value >= 0
  return { flushedBytes: isLength(flushedBytes) ? flushedBytes : 0, endBytes: isLength(endBytes) ? endBytes : 0 }
}

/** Undefined if none was recorded. */
function readMark (fd: number, span: number): number | undefined {
  const mark = new Uint32Array(1)
  return readFully(fd, new Uint8Array(mark.buffer), HEADER_BYTES + span * MARK_BYTES) === MARK_BYTES ? mark[0] : undefined
}

function writeNumber (fd: number, value: number, position: number): void {
  disk.writeAll(fd, new Uint8Array(Float64Array.of(value).buffer), position)
}

/** Returns the number of bytes read, fewer than requested only at the end of the file. */
function readFully (fd: number, bytes: Uint8Array, position: number): number {
  let done = 0
  while (done < bytes.length) {
    const read = disk.readInto(fd, bytes.subarray(done), position + done)
    if (read === 0) break
    done += read
  }
  return done
}
