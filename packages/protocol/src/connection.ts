import { BufferPool } from './buffer-pool.ts'
import type { ByteStream } from './byte-stream.ts'
import type { Clock } from './clock.ts'
import { asFileSyncError, FileSyncError } from './errors.ts'
import { closeIn, farewell, lastWords } from './farewell.ts'
import { encodeFrame, FrameDecoder } from './frame.ts'
import type { Frame, RawFrameType } from './frame.ts'
import { Inbox } from './inbox.ts'
import { LIMITS } from './limits.ts'
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
  /** Sends a frame that was built whole, header included. `onPassed` is called when its buffer may be used again. */
  sendFrame (frame: Uint8Array, onPassed?: () => void): Promise<void>
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

/** Buffers that wait for their next frame: as many as are under way, read ahead and being staged. */
const FREE_BUFFERS_MAX = 8

/** Starts a connection. It reads from now on. */
export function openConnection (init: ConnectionInit): Connection {
  const connection = new StreamConnection(init)
  connection.start(init.signal)
  return connection
}

class StreamConnection implements Connection {
  readonly #stream: ByteStream
  readonly #clock: Clock
  readonly #heartbeatMs: number
  readonly #idleTimeoutMs: number
  readonly #stallTimeoutMs: number
  readonly #over = new AbortController()
  readonly #buffers = new BufferPool(FREE_BUFFERS_MAX)
  readonly #decoder = new FrameDecoder(sizeBytes => this.#buffers.take(sizeBytes))
  readonly #inbox = new Inbox(LIMITS.inboxBytes)
  #wakeReceivers: (() => void)[] = []
  #wakeReader: (() => void) | undefined
  #reading: Promise<void> | undefined
  #goodbye: Promise<void> | undefined
  #lastSentMs = 0
  #frameSinceMs = 0
  #pendingWrites = 0
  #cancelBeat: () => void = () => { /* nothing is scheduled yet */ }
  bytesSent = 0
  bytesReceived = 0

  constructor (init: ConnectionInit) {
    this.#stream = init.stream
    this.#clock = init.clock
    this.#heartbeatMs = init.heartbeatMs ?? LIMITS.heartbeatMs
    this.#idleTimeoutMs = init.idleTimeoutMs ?? LIMITS.idleTimeoutMs
    this.#stallTimeoutMs = init.stallTimeoutMs ?? LIMITS.stallTimeoutMs
  }

  get signal (): AbortSignal {
    return this.#over.signal
  }

  start (outer: AbortSignal | undefined): void {
    this.#lastSentMs = this.#clock.monotonicMs()
    if (outer !== undefined) this.#follow(outer)
    this.#beat()
    this.#reading = this.#pump()
  }

  async send (message: Message): Promise<void> {
    await this.sendFrame(encodeFrame('MESSAGE', [encodeMessage(message)]))
  }

  async sendRaw (type: RawFrameType, payload: readonly Uint8Array[], flags = 0): Promise<void> {
    await this.sendFrame(encodeFrame(type, payload, flags))
  }

  async sendFrame (frame: Uint8Array, onPassed?: () => void): Promise<void> {
    this.#throwIfOver()
    this.bytesSent += frame.length
    this.#lastSentMs = this.#clock.monotonicMs()
    this.#pendingWrites++
    const cancel = this.#clock.schedule(this.#stallTimeoutMs, () => {
      this.destroy(new FileSyncError('PEER_TIMEOUT', 'The other end did not take what was sent to it for too long.'))
    })
    try {
      await this.#stream.write(frame, onPassed)
    } catch (error) {
      this.destroy(gone(error))
    } finally {
      cancel()
      this.#pendingWrites--
    }
    this.#throwIfOver()
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
      throw this.#refuse(new FileSyncError('MESSAGE_UNEXPECTED', `The other end sent ${got} where ${types.join(' or ')} was due.`))
    } finally {
      cancel?.()
    }
  }

  async next (): Promise<Incoming> {
    for (;;) {
      const frame = this.#inbox.shift()
      if (frame !== undefined) {
        if (!this.#inbox.isFull) this.#wakeReader?.()
        const incoming = this.#open(frame)
        if (incoming !== undefined) return incoming
        continue
      }
      this.#throwIfOver()
      await new Promise<void>(resolve => { this.#wakeReceivers.push(resolve) })
    }
  }

  reuse (buffer: ArrayBuffer): void {
    this.#buffers.give(buffer)
  }

  async close (error?: unknown): Promise<void> {
    if (!this.signal.aborted) {
      // Before the abort: who hears it and calls close again waits for the same goodbye.
      this.#goodbye = Promise.resolve().then(() => this.#sayGoodbye(error))
      this.#inbox.clear()
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
      await this.#stream.write(encodeFrame('MESSAGE', [encodeMessage(lastWords(error))]))
      await this.#stream.end()
      // A socket that is destroyed with unread bytes resets the connection, and the peer would lose the last words.
      await this.#reading
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
      if (this.#pendingWrites > 0) this.destroy(error)
      else void this.close(error)
    }
    if (outer.aborted) {
      stop()
      return
    }
    outer.addEventListener('abort', stop, { once: true })
    this.signal.addEventListener('abort', () => { outer.removeEventListener('abort', stop) }, { once: true })
  }

  async #pump (): Promise<void> {
    try {
      for (;;) {
        const chunks = await this.#readInTime()
        if (chunks === undefined) throw new FileSyncError('PEER_GONE', 'The other end ended the connection.')
        for (const chunk of chunks) {
          this.bytesReceived += chunk.length
          await this.#takeIn(chunk)
        }
      }
    } catch (error) {
      // An end that says goodbye still writes, and destroys the stream by itself.
      if (!this.signal.aborted) this.destroy(gone(error))
    }
  }

  async #readInTime (): Promise<readonly Uint8Array[] | undefined> {
    const cancel = this.#clock.schedule(this.#idleTimeoutMs, () => {
      if (!this.signal.aborted) this.destroy(new FileSyncError('PEER_TIMEOUT', 'The other end was silent for too long.'))
    })
    try {
      return await this.#stream.read()
    } finally {
      cancel()
    }
  }

  async #takeIn (chunk: Uint8Array): Promise<void> {
    if (this.signal.aborted) return
    try {
      if (this.#decoder.isBetweenFrames) this.#frameSinceMs = this.#clock.monotonicMs()
      for (const frame of this.#decoder.push(chunk)) {
        this.#accept(frame)
        if (this.#inbox.isFull) await this.#waitForRoom()
        if (this.signal.aborted) return
        this.#frameSinceMs = this.#clock.monotonicMs()
      }
      if (!this.#decoder.isBetweenFrames && this.#clock.monotonicMs() - this.#frameSinceMs > this.#stallTimeoutMs) {
        throw new FileSyncError('PEER_TOO_SLOW', 'The other end took too long to send one frame.')
      }
    } catch (error) {
      this.#refuse(asFileSyncError(error))
    }
  }

  async #waitForRoom (): Promise<void> {
    while (this.#inbox.isFull && !this.signal.aborted) {
      await new Promise<void>(resolve => { this.#wakeReader = resolve })
    }
  }

  #accept (frame: Frame): void {
    if (frame.type === 'HEARTBEAT') return
    const close = closeIn(frame)
    if (close !== undefined) {
      this.destroy(farewell(close))
      return
    }
    this.#inbox.push(frame)
    this.#wakeAllReceivers()
  }

  /** What a frame holds; undefined for a message that this version does not know. */
  #open (frame: Frame): Incoming | undefined {
    if (frame.type === 'HEARTBEAT') return undefined
    if (frame.type !== 'MESSAGE') return { kind: 'raw', type: frame.type, flags: frame.flags, payload: frame.payload }
    try {
      const message = decodeMessage(frame.payload)
      if (message?.type !== 'CLOSE') return message === undefined ? undefined : { kind: 'message', message }
      this.destroy(farewell(message))
    } catch (error) {
      throw this.#refuse(asFileSyncError(error))
    }
    return undefined
  }

  #beat (): void {
    if (this.signal.aborted) return
    let dueMs = this.#lastSentMs + this.#heartbeatMs - this.#clock.monotonicMs()
    if (dueMs <= 0) {
      dueMs = this.#heartbeatMs
      if (this.#pendingWrites === 0) {
        this.sendFrame(encodeFrame('HEARTBEAT', [])).catch(() => { /* the connection is over, and says so elsewhere */ })
      }
    }
    this.#cancelBeat = this.#clock.schedule(dueMs, () => { this.#beat() })
  }

  /** Ends the connection because of what the peer did, and tells it. */
  #refuse (error: FileSyncError): FileSyncError {
    void this.close(error)
    return error
  }

  #abort (error: FileSyncError): void {
    if (this.signal.aborted) return
    this.#over.abort(error)
    this.#cancelBeat()
    this.#wakeAllReceivers()
    this.#wakeReader?.()
  }

  #wakeAllReceivers (): void {
    const receivers = this.#wakeReceivers
    this.#wakeReceivers = []
    for (const wake of receivers) wake()
  }

  #throwIfOver (): void {
    if (this.signal.aborted) throw this.signal.reason as FileSyncError
  }
}

function closed (): FileSyncError {
  return new FileSyncError('PEER_GONE', 'The connection is closed.')
}

function gone (error: unknown): FileSyncError {
  return asFileSyncError(error, 'PEER_GONE')
}
