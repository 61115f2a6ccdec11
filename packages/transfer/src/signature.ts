import { FileSyncError } from '@filesync/protocol'
import type { HashBytes } from '@filesync/protocol'
import { Chunker } from './chunker.ts'
import { chunkSizes } from './gear.ts'
import type { CutFinder } from './gear.ts'

/** Version (u8), average bits (u8), zero (u16), size of the file (u64); big-endian. */
const HEADER_BYTES = 12
/** Length of the chunk (u32), first bytes of its BLAKE3 digest. */
const RECORD_BYTES = 20
const VERSION = 1

/**
 * Bytes of a chunk's digest. 16 are enough: a collision takes 2^64 tries, the digest of the whole file detects even that, and
 * a signature is little more than half as long as with 32.
 */
const CHUNK_DIGEST_BYTES = 16

/** Largest signature. A file that needs a larger one, near a tebibyte, is sent whole. */
export const SIGNATURE_BYTES_MAX: number = 64 << 20

/** Chunks of 64 KiB on average, larger ones for files whose signature would become too long. */
const AVERAGE_BITS_MIN = 16
const AVERAGE_BITS_MAX = 18

/** The chunk size for a file; undefined if it is too large to have a signature. */
export function averageBitsFor (fileBytes: number): number | undefined {
  for (let bits = AVERAGE_BITS_MIN; bits <= AVERAGE_BITS_MAX; bits++) {
    // Chunks may be as short as a quarter of the average, but random content comes close to the average.
    if (HEADER_BYTES + Math.ceil(fileBytes / 2 ** bits) * RECORD_BYTES * 1.25 <= SIGNATURE_BYTES_MAX) return bits
  }
  return undefined
}

/** Describes a file chunk by chunk, so that the other end can find what its own file has in common with it. */
export class SignatureBuilder {
  readonly #averageBits: number
  readonly #hash: HashBytes
  readonly #chunker: Chunker
  #bytes: Uint8Array<ArrayBuffer> = new Uint8Array(4096)
  #filled = HEADER_BYTES
  #fileBytes = 0

  constructor (init: { readonly averageBits: number, readonly cuts: CutFinder, readonly hash: HashBytes }) {
    this.#averageBits = init.averageBits
    this.#chunker = new Chunker(init.cuts)
    this.#hash = init.hash
  }

  /** Size of the signature so far, without an unfinished chunk. */
  get sizeBytes (): number {
    return this.#filled
  }

  push (bytes: Uint8Array): void {
    this.#fileBytes += bytes.length
    for (const chunk of this.#chunker.push(bytes)) this.#add(chunk)
  }

  /** Appends the records of whole chunks, which describe `fileBytes` bytes. */
  append (records: Uint8Array, fileBytes: number): void {
    this.#endChunk()
    this.#reserve(records.length)
    this.#bytes.set(records, this.#filled)
    this.#filled += records.length
    this.#fileBytes += fileBytes
  }

  /** The signature of everything that was pushed and appended. */
  finish (): Uint8Array<ArrayBuffer> {
    this.#endChunk()
    const view = new DataView(this.#bytes.buffer)
    view.setUint8(0, VERSION)
    view.setUint8(1, this.#averageBits)
    view.setBigUint64(4, BigInt(this.#fileBytes))
    return this.#bytes.slice(0, this.#filled)
  }

  #endChunk (): void {
    for (const chunk of this.#chunker.finish()) this.#add(chunk)
  }

  #reserve (bytes: number): void {
    const length = this.#filled + bytes
    if (length <= this.#bytes.length) return
    const larger = new Uint8Array(Math.max(length, this.#bytes.length * 2))
    larger.set(this.#bytes)
    this.#bytes = larger
  }

  #add (chunk: Uint8Array): void {
    this.#reserve(RECORD_BYTES)
    new DataView(this.#bytes.buffer).setUint32(this.#filled, chunk.length)
    this.#bytes.set(this.#hash(chunk).subarray(0, CHUNK_DIGEST_BYTES), this.#filled + 4)
    this.#filled += RECORD_BYTES
  }
}

/** Most slots to probe for a chunk, so that a signature made to collide costs no more. */
const CANDIDATES_MAX = 32

/** A parsed signature with a lookup of chunks. */
export class Signature {
  readonly averageBits: number
  readonly fileBytes: number
  readonly chunks: number
  readonly #view: DataView
  readonly #offsets: Float64Array
  /** Hash table: index of a chunk plus one, by the first bits of its digest; 0 is free. */
  #slots: Uint32Array | undefined

  /** Throws FRAME_MALFORMED if the bytes are not a signature. */
  constructor (bytes: Uint8Array) {
    if (bytes.length < HEADER_BYTES || (bytes.length - HEADER_BYTES) % RECORD_BYTES !== 0) throw malformed('truncated')
    this.#view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length)
    this.averageBits = this.#view.getUint8(1)
    this.chunks = (bytes.length - HEADER_BYTES) / RECORD_BYTES
    this.fileBytes = Number(this.#view.getBigUint64(4))
    if (this.#view.getUint8(0) !== VERSION || this.#view.getUint16(2) !== 0) throw malformed('unknown version')
    if (this.averageBits < AVERAGE_BITS_MIN || this.averageBits > AVERAGE_BITS_MAX) throw malformed('invalid chunk size')
    this.#offsets = new Float64Array(this.chunks)
    this.#measure(chunkSizes(this.averageBits).maxBytes)
  }

  /** Index of a chunk with this length and digest. */
  find (digest: Uint8Array, lengthBytes: number): number | undefined {
    const slots = this.#slots ??= this.#fillSlots()
    const head = new DataView(digest.buffer, digest.byteOffset).getUint32(0)
    for (let tries = 0; tries < CANDIDATES_MAX; tries++) {
      const slot = slots[(head + tries) % slots.length] ?? 0
      if (slot === 0) return undefined
      if (this.matches(slot - 1, digest, lengthBytes)) return slot - 1
    }
    return undefined
  }

  /** Whether the chunk with this index has this length and digest. */
  matches (chunk: number, digest: Uint8Array, lengthBytes: number): boolean {
    if (this.lengthOf(chunk) !== lengthBytes) return false
    const at = HEADER_BYTES + chunk * RECORD_BYTES + 4
    for (let i = 0; i < CHUNK_DIGEST_BYTES; i++) if (this.#view.getUint8(at + i) !== digest[i]) return false
    return true
  }

  /** Offset of a chunk in the described file. */
  offsetOf (chunk: number): number {
    return this.#offsets[chunk] ?? this.fileBytes
  }

  lengthOf (chunk: number): number {
    return this.#view.getUint32(HEADER_BYTES + chunk * RECORD_BYTES)
  }

  /** The records of these bytes of the described file; undefined if they are not whole chunks. */
  recordsOf (offset: number, lengthBytes: number): Uint8Array | undefined {
    const first = this.#chunkAt(offset)
    const last = offset + lengthBytes === this.fileBytes ? this.chunks : this.#chunkAt(offset + lengthBytes)
    if (first === undefined || last === undefined) return undefined
    const { buffer, byteOffset } = this.#view
    return new Uint8Array(buffer, byteOffset + HEADER_BYTES + first * RECORD_BYTES, (last - first) * RECORD_BYTES)
  }

  /** Index of the chunk that starts at this offset. */
  #chunkAt (offset: number): number | undefined {
    let low = 0
    let high = this.chunks
    while (low < high) {
      const middle = low + high >>> 1
      if ((this.#offsets[middle] ?? 0) < offset) low = middle + 1
      else high = middle
    }
    return this.#offsets[low] === offset ? low : undefined
  }

  #measure (maxChunkBytes: number): void {
    let offset = 0
    for (let chunk = 0; chunk < this.chunks; chunk++) {
      const length = this.lengthOf(chunk)
      if (length === 0 || length > maxChunkBytes) throw malformed('a chunk has an invalid length')
      this.#offsets[chunk] = offset
      offset += length
    }
    if (offset !== this.fileBytes) throw malformed('the chunks do not add up to the size of the file')
  }

  // Repeats of a chunk that find no free slot are dropped: any one of them serves.
  #fillSlots (): Uint32Array {
    const slots = new Uint32Array(2 ** Math.ceil(Math.log2(this.chunks * 2 + 2)))
    for (let chunk = 0; chunk < this.chunks; chunk++) {
      const head = this.#view.getUint32(HEADER_BYTES + chunk * RECORD_BYTES + 4)
      for (let tries = 0; tries < CANDIDATES_MAX; tries++) {
        const slot = (head + tries) % slots.length
        if (slots[slot] !== 0) continue
        slots[slot] = chunk + 1
        break
      }
    }
    return slots
  }
}

function malformed (why: string): FileSyncError {
  return new FileSyncError('FRAME_MALFORMED', `Invalid signature: ${why}.`)
}
