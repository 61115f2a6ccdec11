const HEADER_BYTES = 5
const TLS_HANDSHAKE = 22
/** The most that a record may carry before its encryption (RFC 8446, section 5.1). */
const RECORD_BYTES = 16_384

/**
 * Collects the beginning of what a client sends until its first TLS record, the ClientHello, is complete. Until then it cannot be
 * answered, so a client that sends nothing, or half of it, costs no more than its socket.
 */
export class FirstRecord {
  readonly #chunks: Uint8Array[] = []
  #lengthBytes = 0

  /** Adds what arrived. Returns whether it is enough to begin; also if it is not TLS, which the handshake then refuses. */
  add (chunk: Uint8Array): boolean {
    this.#chunks.push(chunk)
    this.#lengthBytes += chunk.length
    if (this.#byteAt(0) !== TLS_HANDSHAKE) return true
    if (this.#lengthBytes < HEADER_BYTES) return false
    const recordBytes = this.#byteAt(3) * 256 + this.#byteAt(4)
    return recordBytes > RECORD_BYTES || this.#lengthBytes >= HEADER_BYTES + recordBytes
  }

  /** How much has arrived. */
  get lengthBytes (): number {
    return this.#lengthBytes
  }

  /** Everything that arrived, in order. */
  get chunks (): readonly Uint8Array[] {
    return this.#chunks
  }

  #byteAt (position: number): number {
    let before = 0
    for (const chunk of this.#chunks) {
      const byte = chunk[position - before]
      if (byte !== undefined) return byte
      before += chunk.length
    }
    return 0
  }
}
