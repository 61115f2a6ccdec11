import { DIGEST_BYTES } from '../digest.ts'
import { DIRECTORY, FILE, SYMLINK } from '../encoding/listing-kinds.ts'
import { MsgpackWriter } from '../encoding/msgpack-writer.ts'
import type { Name } from './name.ts'

const NO_DIGEST = new Uint8Array(DIGEST_BYTES)
/** Maximum length of an array header; the actual length is known when the last entry is written. */
const HEADER_BYTES = 5

/** The position of a listing among all that were written, and of the digests of subdirectories in it. */
export interface WrittenListing {
  readonly start: number
  readonly end: number
  /** Relative to `start`. The digests there are zero. */
  readonly digestOffsets: readonly number[]
}

/**
 * Writes the listings of many directories one after another, an entry at a time, into one buffer. The same bytes as
 * `encodeListing`, without an object for each entry: a scan of a million files would create millions of them.
 *
 * Call `begin`, then one method for each entry in canonical order, each name once, then `end`. A listing that was begun but not
 * ended is discarded.
 */
export class ListingWriter {
  readonly #writer = new MsgpackWriter()
  #written = 0
  #count = 0
  #digestOffsets: number[] = []

  begin (): void {
    this.#writer.rewind(this.#written)
    this.#writer.skip(HEADER_BYTES)
    this.#count = 0
    this.#digestOffsets = []
  }

  /** @param halves mtime in nanoseconds, mode, size in bytes and file id, each as two halves of 32 bits, the lower first */
  file (name: Name, halves: Uint32Array): void {
    this.#count++
    this.#writer.row(name, FILE, halves)
  }

  directory (name: Name, mode: number, mtimeNs: bigint): void {
    this.#count++
    this.#writer.array(5)
    this.#writer.str(name)
    this.#writer.uint(DIRECTORY)
    this.#writer.int64(mtimeNs)
    this.#writer.uint(mode)
    this.#writer.bin(NO_DIGEST)
    this.#digestOffsets.push(this.#writer.length - DIGEST_BYTES)
  }

  symlink (name: Name, mtimeNs: bigint, target: string): void {
    this.#count++
    this.#writer.array(4)
    this.#writer.str(name)
    this.#writer.uint(SYMLINK)
    this.#writer.int64(mtimeNs)
    this.#writer.str(target)
  }

  end (): WrittenListing {
    const start = this.#writer.arrayBefore(this.#written + HEADER_BYTES, this.#count)
    const end = this.#writer.length
    this.#written = end
    return { start, end, digestOffsets: this.#digestOffsets.map(offset => offset - start) }
  }

  /** Returns a copy of all listings that were ended, and clears the writer. */
  flush (): Uint8Array<ArrayBuffer> {
    this.#writer.rewind(this.#written)
    const bytes = this.#writer.toBytes()
    this.#writer.reset()
    this.#written = 0
    return bytes
  }
}
