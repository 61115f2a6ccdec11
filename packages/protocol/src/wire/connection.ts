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

/** An arrived message or raw frame. */
export type Incoming =
  | { readonly kind: 'message', readonly message: Message }
  | { readonly kind: 'raw', readonly type: RawFrameType, readonly flags: number, readonly payload: Uint8Array<ArrayBuffer> }

export interface ConnectionInit {
  readonly stream: ByteStream
  readonly clock: Clock
  /** Ends the connection with ABORTED, or with the reason if that is a FileSyncError; sends CLOSE as `close` does. */
  readonly signal?: AbortSignal
  /** These three default to the values of LIMITS. */
  readonly heartbeatMs?: number
  readonly idleTimeoutMs?: number
  readonly stallTimeoutMs?: number
}

/**
 * Typed messages and raw frames over a byte stream. Reads ahead up to a limit, so that a dead or closing peer is noticed
 * while the session is busy elsewhere; above the limit it stops reading, which slows the sender. The connection sends and
 * consumes heartbeats itself.
 *
 * If the peer is silent for `idleTimeoutMs`, or takes longer than `stallTimeoutMs` to accept one frame or to finish sending
 * one, the connection ends with PEER_TIMEOUT or PEER_TOO_SLOW.
 */
export interface Connection {
  /** Aborted when the connection ends, with the FileSyncError that ended it as the reason. */
  readonly signal: AbortSignal
  /** Bytes on the stream so far, including frame headers. */
  readonly bytesSent: number
  readonly bytesReceived: number
  /** Sends one message; resolves when the stream has room for more. */
  send (message: Message): Promise<void>
  /** Sends one raw frame; `flags` as in a frame. Resolves when the stream has room for more. */
  sendRaw (type: RawFrameType, payload: readonly Uint8Array[], flags?: number): Promise<void>
  /** Sends an encoded frame, including its header. `onReleased` is called when its buffer may be reused. */
  sendFrame (frame: Uint8Array, onReleased?: () => void): Promise<void>
  /**
   * The next message, which must be of one of these types; anything else ends the connection with MESSAGE_UNEXPECTED.
   * With `withinMs`, ends it with PEER_TIMEOUT if nothing arrives in that time. Both send CLOSE to the peer.
   */
  receive <T extends MessageType>(types: readonly T[], withinMs?: number): Promise<MessageOf<T>>
  /**
   * The next message or raw frame. What arrived before the peer's CLOSE, or before the stream broke, is still returned.
   */
  next (): Promise<Incoming>
  /** Takes back the buffer of a payload that is no longer needed, for later frames. */
  reuse (buffer: ArrayBuffer): void
  /**
   * Sends CLOSE with DONE, or with the error as far as it may be disclosed, and ends; waits until the peer has ended too, for at
   * most 2 s. If the connection is already closing, waits for that. Never rejects.
   */
  close (error?: unknown): Promise<void>
  /** Ends at once, without CLOSE. */
  destroy (error: FileSyncError): void
}

/** How long a closing end waits for its CLOSE to be sent and for the peer to end. */
const CLOSE_TIMEOUT_MS = 2_000

/** Starts a connection, which begins to read at once. */
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
  #closing: Promise<void> | undefined

  constructor (init: ConnectionInit) {
    const { stream, clock } = init
    const { heartbeatMs = LIMITS.heartbeatMs, idleTimeoutMs = LIMITS.idleTimeoutMs, stallTimeoutMs = LIMITS.stallTimeoutMs } = init
    const { signal } = this
    const onGone = (error: FileSyncError): void => { this.destroy(error) }
    this.#stream = stream
    this.#clock = clock
    this.#reader = new FrameReader({
      stream,
      clock,
      idleTimeoutMs,
      stallTimeoutMs,
      signal,
      onGone,
      onPeerClosed: error => { this.#closeInReply(error) },
      onViolation: error => { this.#closeBecauseOf(error) },
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

  // Returns the writer's promise without an await: this is called for each frame of a transfer.
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
      const expected = types.join(' or ')
      throw this.#closeBecauseOf(new FileSyncError('MESSAGE_UNEXPECTED', `The other end sent ${got}, but ${expected} was expected.`))
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
      // Before the abort: a listener that calls close again waits for the same CLOSE.
      this.#closing = Promise.resolve().then(() => this.#sendClose(error))
      this.#reader.clear()
      this.#abort(error === undefined ? closed() : asFileSyncError(error))
    }
    await this.#closing
  }

  destroy (error: FileSyncError): void {
    this.#abort(error)
    this.#stream.destroy(error)
  }

  async #sendClose (error: unknown): Promise<void> {
    const cancel = this.#clock.schedule(CLOSE_TIMEOUT_MS, () => { this.#stream.destroy(closed()) })
    try {
      await this.#writer.writeLast(encodeFrame('MESSAGE', [encodeMessage(closeMessageFor(error))]))
      await this.#stream.end()
      // A socket that is destroyed with unread bytes resets the connection, and the peer would lose the CLOSE.
      await this.#reader.ended()
    } catch {
      // The peer has gone already.
    } finally {
      cancel()
      this.#stream.destroy(closed())
    }
  }

  #follow (outer: AbortSignal): void {
    const stop = (): void => {
      const error = asFileSyncError(outer.reason, 'ABORTED')
      // CLOSE would wait for data that the peer does not accept, and an abort must not wait.
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

  /** The content of a frame; undefined for a message that this version does not know. */
  #open (frame: Frame): Incoming | undefined {
    if (frame.type === 'HEARTBEAT') return undefined
    if (frame.type !== 'MESSAGE') return { kind: 'raw', type: frame.type, flags: frame.flags, payload: frame.payload }
    try {
      const message = decodeMessage(frame.payload)
      if (message?.type !== 'CLOSE') return message === undefined ? undefined : { kind: 'message', message }
      this.#closeInReply(errorFromClose(message))
    } catch (error) {
      throw this.#closeBecauseOf(asFileSyncError(error))
    }
    return undefined
  }

  /** Ends the connection after the peer did, and sends CLOSE too; what arrived before is still returned. */
  #closeInReply (error: FileSyncError): void {
    if (this.signal.aborted) return
    this.#closing = Promise.resolve().then(() => this.#sendClose(undefined))
    this.#abort(error)
  }

  /** Ends the connection because of a violation by the peer, and sends it the error. */
  #closeBecauseOf (error: FileSyncError): FileSyncError {
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
