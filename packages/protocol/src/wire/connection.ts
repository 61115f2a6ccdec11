import type { ByteStream } from './byte-stream.ts'
import type { Clock } from '../clock.ts'
import { asFileSyncError, FileSyncError } from '../errors.ts'
import { errorFromClose, closeMessageFor } from './close-message.ts'
import { encodeFrame } from './frame.ts'
import type { Frame, RawFrameType } from './frame.ts'
import { FrameReader } from './frame-reader.ts'
import { FrameWriter } from './frame-writer.ts'
import { LIMITS } from '../limits.ts'
import { decodeMessage, encodeMessage } from './message-schema.ts'
import type { Message, MessageOf, MessageType } from './messages.ts'

/** What arrives: a message, or raw bytes of one of the raw frame types. */
export type Incoming =
  | { readonly kind: 'message', readonly message: Message }
  | { readonly kind: 'raw', readonly type: RawFrameType, readonly flags: number, readonly payload: Uint8Array<ArrayBuffer> }

export interface ConnectionInit {
  readonly stream: ByteStream
  readonly clock: Clock
  /** Ends the connection with ABORTED, or with the reason where that is a FileSyncError; the peer is told as by `close`. */
  readonly signal?: AbortSignal
  /** These three are as in LIMITS unless told. */
  readonly heartbeatMs?: number
  readonly idleTimeoutMs?: number
  readonly stallTimeoutMs?: number
}

/**
 * Typed messages and raw frames over a byte stream. Reads ahead up to a bound, so that a dead or closing peer is noticed
 * while the session is busy elsewhere; beyond the bound it stops reading, and the sender is slowed. Heartbeats are sent
 * and taken by the connection itself.
 *
 * A peer that is silent for `idleTimeoutMs`, or that takes longer than `stallTimeoutMs` to take one frame or to finish
 * one, ends the connection with PEER_TIMEOUT or PEER_TOO_SLOW.
 */
export interface Connection {
  /** Aborted when the connection is of no more use, with the FileSyncError that ended it as the reason. */
  readonly signal: AbortSignal
  /** What crossed the stream so far, frame headers included. */
  readonly bytesSent: number
  readonly bytesReceived: number
  /** Sends one message; resolves when the stream has room for more. */
  send (message: Message): Promise<void>
  /** Sends one raw frame; `flags` as in a frame. Resolves when the stream has room for more. */
  sendRaw (type: RawFrameType, payload: readonly Uint8Array[], flags?: number): Promise<void>
  /** Sends a frame that was built whole, header included. `onReleased` is called when its buffer may be used again. */
  sendFrame (frame: Uint8Array, onReleased?: () => void): Promise<void>
  /**
   * The next message, which has to be of one of these types; anything else ends the connection with MESSAGE_UNEXPECTED.
   * With `withinMs`, ends it with PEER_TIMEOUT when nothing comes in that time. The peer is told either.
   */
  receive <T extends MessageType>(types: readonly T[], withinMs?: number): Promise<MessageOf<T>>
  /**
   * The next message or raw frame. What arrived before the peer's CLOSE, or before the stream broke, is still handed out.
   */
  next (): Promise<Incoming>
  /** Takes the buffer of a payload that nobody needs any more, for a frame to come. */
  reuse (buffer: ArrayBuffer): void
  /**
   * Says CLOSE with DONE, or with the error as far as a peer may know it, and ends; waits until the peer has ended too, or
   * for 2 s. Where the connection is closing already, waits for that. Never rejects.
   */
  close (error?: unknown): Promise<void>
  /** Ends at once and says nothing. */
  destroy (error: FileSyncError): void
}

/** How long a closing end waits for its last words to be taken. */
const CLOSE_TIMEOUT_MS = 2_000

/** Starts a connection. It reads from now on. */
export function openConnection (init: ConnectionInit): Connection {
  const connection = new StreamConnection(init)
  connection.start(init.signal)
  return connection
}

class StreamConnection implements Connection {
  readonly #stream: ByteStream
  readonly #clock: Clock
  readonly #over = new AbortController()
  readonly #reader: FrameReader
  readonly #writer: FrameWriter
  #goodbye: Promise<void> | undefined

  constructor (init: ConnectionInit) {
    const { stream, clock, heartbeatMs = LIMITS.heartbeatMs, idleTimeoutMs = LIMITS.idleTimeoutMs, stallTimeoutMs = LIMITS.stallTimeoutMs } = init
    const { signal } = this
    const onGone = (error: FileSyncError): void => { this.destroy(error) }
    this.#stream = stream
    this.#clock = clock
    this.#reader = new FrameReader({
      stream, clock, idleTimeoutMs, stallTimeoutMs, signal, onGone, onPeerClosed: error => { this.#answer(error) }, onViolation: error => { this.#refuse(error) },
    })
    this.#writer = new FrameWriter({ stream, clock, heartbeatMs, stallTimeoutMs, signal, onGone })
  }

  get signal (): AbortSignal {
    return this.#over.signal
  }

  get bytesSent (): number {
    return this.#writer.bytesSent
  }

  get bytesReceived (): number {
    return this.#reader.bytesReceived
  }

  start (outer: AbortSignal | undefined): void {
    if (outer !== undefined) this.#follow(outer)
    this.#writer.start()
    this.#reader.start()
  }

  async send (message: Message): Promise<void> {
    await this.sendFrame(encodeFrame('MESSAGE', [encodeMessage(message)]))
  }

  async sendRaw (type: RawFrameType, payload: readonly Uint8Array[], flags = 0): Promise<void> {
    await this.sendFrame(encodeFrame(type, payload, flags))
  }

  // Hands the writer's promise on: a transfer passes here for each frame.
  sendFrame (frame: Uint8Array, onReleased?: () => void): Promise<void> {
    return this.#writer.write(frame, onReleased)
  }

  async receive <T extends MessageType>(types: readonly T[], withinMs?: number): Promise<MessageOf<T>> {
    const cancel = withinMs === undefined ? undefined : this.#clock.schedule(withinMs, () => {
      void this.close(new FileSyncError('PEER_TIMEOUT', `The other end did not send ${types.join(' or ')} in time.`))
    })
    try {
      const incoming = await this.next()
      if (incoming.kind === 'message' && (types as readonly string[]).includes(incoming.message.type)) {
        return incoming.message as MessageOf<T>
      }
      const got = incoming.kind === 'message' ? incoming.message.type : `a ${incoming.type} frame`
      throw this.#refuse(new FileSyncError('MESSAGE_UNEXPECTED', `The other end sent ${got}, but ${types.join(' or ')} was expected.`))
    } finally {
      cancel?.()
    }
  }

  async next (): Promise<Incoming> {
    for (;;) {
      const frame = this.#reader.shift()
      if (frame !== undefined) {
        const incoming = this.#open(frame)
        if (incoming !== undefined) return incoming
        continue
      }
      if (this.signal.aborted) throw this.signal.reason as FileSyncError
      await this.#reader.arrival()
    }
  }

  reuse (buffer: ArrayBuffer): void {
    this.#reader.reuse(buffer)
  }

  async close (error?: unknown): Promise<void> {
    if (!this.signal.aborted) {
      // Before the abort: who hears it and calls close again waits for the same goodbye.
      this.#goodbye = Promise.resolve().then(() => this.#sayGoodbye(error))
      this.#reader.clear()
      this.#abort(error === undefined ? closed() : asFileSyncError(error))
    }
    await this.#goodbye
  }

  destroy (error: FileSyncError): void {
    this.#abort(error)
    this.#stream.destroy(error)
  }

  async #sayGoodbye (error: unknown): Promise<void> {
    const cancel = this.#clock.schedule(CLOSE_TIMEOUT_MS, () => { this.#stream.destroy(closed()) })
    try {
      await this.#writer.writeLast(encodeFrame('MESSAGE', [encodeMessage(closeMessageFor(error))]))
      await this.#stream.end()
      // A socket that is destroyed with unread bytes resets the connection, and the peer would lose the last words.
      await this.#reader.ended()
    } catch {
      // The peer is gone already, and there is nobody to tell.
    } finally {
      cancel()
      this.#stream.destroy(closed())
    }
  }

  #follow (outer: AbortSignal): void {
    const stop = (): void => {
      const error = asFileSyncError(outer.reason, 'ABORTED')
      // Words would wait behind what the peer does not take, and the one who aborts wants to be gone.
      if (this.#writer.isBusy) this.destroy(error)
      else void this.close(error)
    }
    if (outer.aborted) {
      stop()
      return
    }
    outer.addEventListener('abort', stop, { once: true })
    this.signal.addEventListener('abort', () => { outer.removeEventListener('abort', stop) }, { once: true })
  }

  /** What a frame holds; undefined for a message that this version does not know. */
  #open (frame: Frame): Incoming | undefined {
    if (frame.type === 'HEARTBEAT') return undefined
    if (frame.type !== 'MESSAGE') return { kind: 'raw', type: frame.type, flags: frame.flags, payload: frame.payload }
    try {
      const message = decodeMessage(frame.payload)
      if (message?.type !== 'CLOSE') return message === undefined ? undefined : { kind: 'message', message }
      this.#answer(errorFromClose(message))
    } catch (error) {
      throw this.#refuse(asFileSyncError(error))
    }
    return undefined
  }

  /** Ends the connection because the peer did, and says CLOSE too; what arrived before is still handed out. */
  #answer (error: FileSyncError): void {
    if (this.signal.aborted) return
    this.#goodbye = Promise.resolve().then(() => this.#sayGoodbye(undefined))
    this.#abort(error)
  }

  /** Ends the connection because of what the peer did, and tells it. */
  #refuse (error: FileSyncError): FileSyncError {
    void this.close(error)
    return error
  }

  #abort (error: FileSyncError): void {
    if (this.signal.aborted) return
    this.#over.abort(error)
    this.#writer.stop()
    this.#reader.stop()
  }
}

function closed (): FileSyncError {
  return new FileSyncError('PEER_GONE', 'The connection is closed.')
}
