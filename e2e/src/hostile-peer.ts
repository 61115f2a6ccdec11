import { decodeMessage, encodeFrame, encodeMessage, FrameDecoder, PACK_RECORD_BYTES, readPack, writePackRecord } from '@filesync/protocol'
import type { ByteStream, Frame, Message, MessageOf, MessageType, RawFrameType } from '@filesync/protocol'
import { hashBytes } from '@filesync/protocol/node'

/** A peer that sends frames by hand, valid or not. It reads only when asked to. */
export class HostilePeer {
  readonly stream: ByteStream
  readonly #decoder = new FrameDecoder()
  readonly #frames: Frame[] = []
  readonly #seen: Uint8Array[] = []
  /** How the other end closed: `DONE`, or a code. */
  closedWith: string | undefined

  constructor (stream: ByteStream) {
    this.stream = stream
  }

  /** Sends bytes; whether the other end is still there does not matter. */
  async bytes (...pieces: readonly Uint8Array[]): Promise<void> {
    for (const piece of pieces) await this.stream.write(piece).catch(() => { /* it has ended already */ })
  }

  /** Sends a message, valid or not. */
  async say (...messages: readonly object[]): Promise<void> {
    for (const message of messages) await this.bytes(encodeFrame('MESSAGE', [encodeMessage(message as Message)]))
  }

  async raw (type: RawFrameType, payload: Uint8Array, flags = 0): Promise<void> {
    await this.bytes(encodeFrame(type, [payload], flags))
  }

  /** The next message of these types; others, heartbeats and raw frames are passed over. Throws where the other end closes first. */
  async hear<T extends MessageType> (...types: readonly T[]): Promise<MessageOf<T>> {
    for (;;) {
      const message = await this.hearAny()
      if (message === undefined)
        throw new Error(`The other end closed with ${String(this.closedWith)} where ${types.join(' or ')} was awaited.`)
      if ((types as readonly string[]).includes(message.type)) return message as MessageOf<T>
    }
  }

  /** The next message that is not a goodbye, or undefined where the other end is done. */
  async hearAny (): Promise<Message | undefined> {
    for (;;) {
      const frame = await this.#next()
      if (frame === undefined) return undefined
      const message = frame.type === 'MESSAGE' ? decodeMessage(frame.payload) : undefined
      if (message?.type === 'CLOSE') return undefined
      if (message !== undefined) return message
    }
  }

  /** How many files the next PACK holds. */
  async packedFiles (): Promise<number> {
    for (;;) {
      const frame = await this.#next()
      if (frame === undefined) throw new Error(`The other end closed with ${String(this.closedWith)} where a pack was awaited.`)
      if (frame.type === 'PACK') return [...readPack(frame.payload)].length
    }
  }

  /** Whether anything that was read so far holds these letters. */
  saw (letters: string): boolean {
    return this.#seen.some(payload => Buffer.from(payload).includes(letters))
  }

  /** Reads on to the end, and tells the code that the other end closed with; undefined where it said nothing. */
  async heardAtEnd (): Promise<string | undefined> {
    while (await this.#next() !== undefined) { /* only the end matters */ }
    return this.closedWith
  }

  async #next (): Promise<Frame | undefined> {
    for (;;) {
      const frame = this.#frames.shift()
      if (frame !== undefined) {
        this.#seen.push(frame.payload)
        const message = frame.type === 'MESSAGE' ? decodeMessage(frame.payload) : undefined
        if (message?.type === 'CLOSE') this.closedWith = message.code
        return frame
      }
      const chunks = await this.stream.read().catch(() => undefined)
      if (chunks === undefined) {
        await this.stream.end().catch(() => { /* it is over */ })
        return undefined
      }
      for (const chunk of chunks) this.#frames.push(...this.#decoder.push(chunk))
    }
  }
}

/** HELLO with every feature. */
export function hello (more: object = {}): object {
  return { type: 'HELLO', versions: [2], features: ['digest-blake3', 'zstd', 'resume', 'delta-fastcdc'], software: 'hostile', ...more }
}

/** A part of a listing or of a signature, with any header. */
export function part (
  number: number,
  bytes: Uint8Array,
  claim: { totalBytes?: number, offset?: number, lengthBytes?: number } = {}
): Uint8Array {
  const header = Buffer.alloc(16)
  header.writeUInt32BE(number, 0)
  header.writeUInt32BE(claim.totalBytes ?? bytes.length, 4)
  header.writeUInt32BE(claim.offset ?? 0, 8)
  header.writeUInt32BE(claim.lengthBytes ?? bytes.length, 12)
  return Buffer.concat([header, bytes])
}

/** The payload of a PACK. */
export function pack (
  ...files: readonly { readonly task: number, readonly bytes: Uint8Array, readonly digest?: Uint8Array, readonly sizeBytes?: number }[]
): Uint8Array {
  return Buffer.concat(
    files.map(({ task, bytes, digest, sizeBytes }) => {
      const record = new Uint8Array(PACK_RECORD_BYTES + bytes.length)
      writePackRecord(record, 0, { task, sizeBytes: sizeBytes ?? bytes.length, digest: digest ?? hashBytes(bytes) })
      record.set(bytes, PACK_RECORD_BYTES)
      return record
    })
  )
}

/** The payload of a DATA or DELTA frame. */
export function forTask (task: number, bytes: Uint8Array): Uint8Array {
  const number = Buffer.alloc(4)
  number.writeUInt32BE(task)
  return Buffer.concat([number, bytes])
}

/** The payload of a compressed frame. */
export function compressed (claimedBytes: number, zstd: Uint8Array): Uint8Array {
  return forTask(claimedBytes, zstd)
}
