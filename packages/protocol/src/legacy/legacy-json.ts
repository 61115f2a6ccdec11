import { FileSyncError } from '../errors.ts'

export interface JsonBounds {
  readonly maxBytes: number
  readonly maxDepth: number
  /** Objects and arrays in one value: decoded, each takes many times its two characters. */
  readonly maxContainers: number
}

const FIRST_BYTES = 1024
const QUOTE = 0x22
const BACKSLASH = 0x5c
const OPEN_ARRAY = 0x5b
const CLOSE_ARRAY = 0x5d
const OPEN_OBJECT = 0x7b
const CLOSE_OBJECT = 0x7d

const decoder = new TextDecoder('utf-8', { fatal: true })

/**
 * Finds the end of a JSON object in a stream without lengths that arrives in pieces of any size. The limits are checked byte by
 * byte, before anything is decoded.
 */
export class JsonReader {
  readonly #bounds: JsonBounds
  /** Grows by doubling: a separate piece for each single byte would take a hundred times its size. */
  #bytes = new Uint8Array(FIRST_BYTES)
  #sizeBytes = 0
  #depth = 0
  #containers = 0
  #inString = false
  #isEscaped = false

  constructor (bounds: JsonBounds) {
    this.#bounds = bounds
  }

  /**
   * Adds the next piece. Returns the object and how many bytes of the piece belong to it, or undefined until it is complete.
   * Throws MESSAGE_INVALID for anything but JSON, LIMIT_EXCEEDED above the limits.
   */
  push (piece: Uint8Array): { readonly value: unknown, readonly used: number } | undefined {
    const room = this.#bounds.maxBytes - this.#sizeBytes
    const end = Math.min(piece.length, room)
    for (let at = 0; at < end; at++) {
      if (!this.#step(piece[at] ?? 0)) continue
      this.#keep(piece.subarray(0, at + 1))
      return { value: this.#decode(), used: at + 1 }
    }
    if (piece.length > room) throw beyond(`is longer than ${String(this.#bounds.maxBytes)} bytes`)
    this.#keep(piece)
    return undefined
  }

  #keep (piece: Uint8Array): void {
    const neededBytes = this.#sizeBytes + piece.length
    if (neededBytes > this.#bytes.length) {
      const larger = new Uint8Array(Math.max(neededBytes, this.#bytes.length * 2))
      larger.set(this.#bytes.subarray(0, this.#sizeBytes))
      this.#bytes = larger
    }
    this.#bytes.set(piece, this.#sizeBytes)
    this.#sizeBytes = neededBytes
  }

  /** Whether the object ends with this byte. */
  #step (letter: number): boolean {
    if (this.#isEscaped) {
      this.#isEscaped = false
    } else if (this.#inString) {
      if (letter === BACKSLASH) this.#isEscaped = true
      else if (letter === QUOTE) this.#inString = false
    } else if (letter === OPEN_OBJECT || letter === OPEN_ARRAY) {
      if (this.#depth === 0 && letter !== OPEN_OBJECT) throw notJson()
      if (++this.#depth > this.#bounds.maxDepth) throw beyond('is nested too deep')
      if (++this.#containers > this.#bounds.maxContainers) throw beyond('has too many objects and arrays')
    } else if (this.#depth === 0) {
      if (!isSpace(letter)) throw notJson()
    } else if (letter === QUOTE) {
      this.#inString = true
    } else if (letter === CLOSE_OBJECT || letter === CLOSE_ARRAY) {
      return --this.#depth === 0
    }
    return false
  }

  #decode (): unknown {
    try {
      return JSON.parse(decoder.decode(this.#bytes.subarray(0, this.#sizeBytes))) as unknown
    } catch (cause) {
      throw notJson(cause)
    }
  }
}

function isSpace (letter: number): boolean {
  return letter === 0x20 || (letter >= 0x09 && letter <= 0x0d)
}

function notJson (cause?: unknown): FileSyncError {
  const detail = cause === undefined ? {} : { cause }
  return new FileSyncError('MESSAGE_INVALID', 'The peer sent data that is not a message of the original protocol.', detail)
}

function beyond (what: string): FileSyncError {
  return new FileSyncError('LIMIT_EXCEEDED', `The peer sent a message of the original protocol that ${what}.`)
}
