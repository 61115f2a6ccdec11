const encoder = new TextEncoder()
const INITIAL_BYTES = 4096

/**
 * Writes MessagePack in one canonical form: every integer and length in the fewest bytes. Listings are compared by the digest
 * of their bytes, so unlike messages they must not depend on the choices of an encoder.
 */
export class MsgpackWriter {
  #bytes = new Uint8Array(INITIAL_BYTES)
  #view = new DataView(this.#bytes.buffer)
  #at = 0

  /** Discards what was written, and keeps the buffer. */
  reset (): void {
    this.#at = 0
  }

  /** Number of bytes written. */
  get length (): number {
    return this.#at
  }

  /** Discards what was written after the first `length` bytes. */
  rewind (length: number): void {
    this.#at = length
  }

  /** Reserves bytes that are written later. */
  skip (bytes: number): void {
    this.#reserve(bytes)
    this.#at += bytes
  }

  /** A copy of what was written. */
  toBytes (): Uint8Array<ArrayBuffer> {
    return this.#bytes.slice(0, this.#at)
  }

  /** Writes the header of an array into reserved bytes so that it ends at `end`, and returns its start. */
  arrayBefore (end: number, count: number): number {
    const at = this.#at
    const start = end - (count < 16 ? 1 : count < 0x10000 ? 3 : 5)
    this.#at = start
    this.array(count)
    this.#at = at
    return start
  }

  array (count: number): void {
    this.#reserve(5)
    if (count < 16) this.#byte(0x90 | count)
    else if (count < 0x10000) this.#tagged16(0xdc, count)
    else this.#tagged32(0xdd, count)
  }

  /** @param value an integer from 0 to 2^53 - 1 */
  uint (value: number): void {
    this.#reserve(9)
    if (value < 0x80) this.#byte(value)
    else if (value < 0x100) { this.#byte(0xcc); this.#byte(value) }
    else if (value < 0x10000) this.#tagged16(0xcd, value)
    else if (value < 0x1_0000_0000) this.#tagged32(0xce, value)
    else {
      this.#tagged32(0xcf, Math.floor(value / 0x1_0000_0000))
      this.#view.setUint32(this.#at, value >>> 0)
      this.#at += 4
    }
  }

  /** @param value an integer from -2^63 to 2^64 - 1 */
  int64 (value: bigint): void {
    if (value >= 0n) {
      if (value <= 0xffff_ffffn) { this.uint(Number(value)); return }
      this.#reserve(9)
      this.#byte(0xcf)
      this.#view.setBigUint64(this.#at, value)
      this.#at += 8
      return
    }
    this.#negative(value)
  }

  str (text: string): void {
    // At most three bytes per UTF-16 unit, and five for the header.
    this.#reserve(5 + text.length * 3)
    const start = this.#at
    const headerBytes = text.length < 32 ? 1 : text.length < 256 ? 2 : 3
    let length = this.#text(text, start + headerBytes)
    const needed = length < 32 ? 1 : length < 0x100 ? 2 : 3
    if (needed !== headerBytes) length = this.#text(text, start + needed)
    if (needed === 1) this.#byte(0xa0 | length)
    else if (needed === 2) { this.#byte(0xd9); this.#byte(length) }
    else this.#tagged16(0xda, length)
    this.#at = start + needed + length
  }

  /**
   * An array of a text, a number below 128, and at most 13 integers of 64 bits, each as two halves of 32, the lower first; the
   * first of them is signed. The same bytes as one call for each, in one function that calls others only for rare values: if
   * they were called for every file of a tree, the engine would inline copies of them into every caller (measured in a scan of
   * 100,000 files: a third of all compiled code, 0.05 s of processor time).
   */
  row (text: string, first: number, halves: Uint32Array): void {
    const units = text.length
    this.#reserve(8 + units * 3 + halves.length / 2 * 9)
    const bytes = this.#bytes
    let at = this.#at
    bytes[at++] = 0x90 | halves.length / 2 + 2
    let i = 0
    if (units < 32) {
      for (; i < units; i++) {
        const unit = text.charCodeAt(i)
        if (unit >= 0x80) break
        bytes[at + 1 + i] = unit
      }
    }
    if (i === units && units < 32) {
      bytes[at] = 0xa0 | units
      at += 1 + units
    } else {
      this.#at = at
      this.str(text)
      at = this.#at
    }
    bytes[at++] = first
    for (let half = 0; half < halves.length; half += 2) {
      const low = halves[half] ?? 0
      const high = halves[half + 1] ?? 0
      let from = 24
      if (high !== 0) {
        if (half === 0 && high >= 0x8000_0000) {
          this.#at = at
          this.#negative(BigInt.asIntN(64, BigInt(high) << 32n | BigInt(low)))
          at = this.#at
          continue
        }
        bytes[at] = 0xcf
        bytes[at + 1] = high >>> 24
        bytes[at + 2] = high >>> 16
        bytes[at + 3] = high >>> 8
        bytes[at + 4] = high
        at += 5
      } else if (low < 0x80) {
        bytes[at++] = low
        continue
      } else if (low < 0x100) {
        bytes[at++] = 0xcc
        from = 0
      } else if (low < 0x10000) {
        bytes[at++] = 0xcd
        from = 8
      } else {
        bytes[at++] = 0xce
      }
      for (; from >= 0; from -= 8) bytes[at++] = low >>> from
    }
    this.#at = at
  }

  /** @param value at most 255 bytes */
  bin (value: Uint8Array): void {
    this.#reserve(2 + value.length)
    this.#byte(0xc4)
    this.#byte(value.length)
    this.#bytes.set(value, this.#at)
    this.#at += value.length
  }

  #negative (value: bigint): void {
    this.#reserve(9)
    if (value >= -32n) this.#byte(Number(value) & 0xff)
    else if (value >= -0x80n) { this.#byte(0xd0); this.#byte(Number(value) & 0xff) }
    else if (value >= -0x8000n) this.#tagged16(0xd1, Number(value) & 0xffff)
    else if (value >= -0x8000_0000n) this.#tagged32(0xd2, Number(value) >>> 0)
    else {
      this.#byte(0xd3)
      this.#view.setBigInt64(this.#at, value)
      this.#at += 8
    }
  }

  #text (text: string, at: number): number {
    // A loop is faster than the encoder for short ASCII names, which almost all names are.
    if (text.length <= 48) {
      let i = 0
      for (; i < text.length; i++) {
        const unit = text.charCodeAt(i)
        if (unit >= 0x80) break
        this.#bytes[at + i] = unit
      }
      if (i === text.length) return i
    }
    return encoder.encodeInto(text, this.#bytes.subarray(at)).written
  }

  #byte (value: number): void {
    this.#bytes[this.#at++] = value
  }

  #tagged16 (tag: number, value: number): void {
    this.#byte(tag)
    this.#view.setUint16(this.#at, value)
    this.#at += 2
  }

  #tagged32 (tag: number, value: number): void {
    this.#byte(tag)
    this.#view.setUint32(this.#at, value)
    this.#at += 4
  }

  #reserve (bytes: number): void {
    const needed = this.#at + bytes
    if (needed <= this.#bytes.length) return
    const grown = new Uint8Array(Math.max(needed, this.#bytes.length * 2))
    grown.set(this.#bytes.subarray(0, this.#at))
    this.#bytes = grown
    this.#view = new DataView(grown.buffer)
  }
}
