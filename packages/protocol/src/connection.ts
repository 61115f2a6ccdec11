import type { ByteStream } from './byte-stream.ts'
import type { Clock } from './clock.ts'
import { asFileSyncError, ERRORS, FileSyncError, isErrorCode } from './errors.ts'
import type { ErrorCode } from './errors.ts'
import { encodeFrame, FrameDecoder } from './frame.ts'
import type { Frame, RawFrameType } from './frame.ts'
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
  /** Ends the connection with ABORTED, or with the reason where that is a FileSyncError. */
  readonly signal?: AbortSignal
  readonly heartbeatMs?: number
  readonly idleTimeoutMs?: number
  readonly stallTimeoutMs?: number
}

/**
 * Typed messages and raw frames over a byte stream. Reads ahead up to a bound, so that a dead or closing peer is noticed
 * while the session is busy elsewhere; beyond the bound it stops reading, and the sender is slowed. Heartbeats are sent
 * and taken by the connection itself.
 */
export interface Connection {
  /** Aborted when the connection is over, with the FileSyncError that ended it as the reason. */
  readonly signal: AbortSignal
  /** What crossed the stream so far, frame headers included. */
  readonly bytesSent: number
  readonly bytesReceived: number
  /** Sends one message; resolves when the stream has room for more. */
  send (message: Message): Promise<void>
  /** Sends one raw frame; `flags` as in a frame. Resolves when the stream has room for more. */
  sendRaw (type: RawFrameType, payload: readonly Uint8Array[], flags?: number): Promise<void>
  /** Sends a frame that was built whole, header included. */
  sendFrame (frame: Uint8Array): Promise<void>
  /**
   * The next message, which has to be of one of these types; anything else ends the connection with MESSAGE_UNEXPECTED.
   * With `withinMs`, ends it with PEER_TIMEOUT when nothing comes in that time.
   */
  receive <T extends MessageType>(types: readonly T[], withinMs?: number): Promise<MessageOf<T>>
  /** The next message or raw frame. */
  next (): Promise<Incoming>
  /** Says CLOSE with DONE, or with the error as far as a peer may know it, and ends. Never rejects. */
  close (error?: unknown): Promise<void>
  /** Ends at once and says nothing. */
  destroy (error: FileSyncError): void
}

/** How long a closing end waits for its last words to be taken. */
const CLOSE_TIMEOUT_MS = 2_000

/** Starts a connection. It reads from now on. */
export function openConnection (init: ConnectionInit): Connection {
  const connection = new StreamConnection(init)
  connection.start()
  return connection
}

class StreamConnection implements Connection {
  readonly #stream: ByteStream
  readonly #clock: Clock
  readonly #heartbeatMs: number
  readonly #idleTimeoutMs: number
  readonly #stallTimeoutMs: number
  readonly #over = new AbortController()
  readonly #outerSignal: AbortSignal | undefined
  readonly #inbox: Incoming[] = []
  #inboxBytes = 0
  #wakeReceiver: (() => void) | undefined
  #wakeReader: (() => void) | undefined
  #lastSentMs = 0
  #pendingWrites = 0
  #sayingGoodbye = false
  #cancelBeat: () => void = () => { /* nothing is scheduled yet */ }
  bytesSent = 0
  bytesReceived = 0

  constructor (init: ConnectionInit) {
    this.#stream = init.stream
    this.#clock = init.clock
    this.#outerSignal = init.signal
    this.#heartbeatMs = init.heartbeatMs ?? LIMITS.heartbeatMs
    this.#idleTimeoutMs = init.idleTimeoutMs ?? LIMITS.idleTimeoutMs
    this.#stallTimeoutMs = init.stallTimeoutMs ?? LIMITS.stallTimeoutMs
  }

  get signal (): AbortSignal {
    return this.#over.signal
  }

  start (): void {
    this.#lastSentMs = this.#clock.monotonicMs()
    const outer = this.#outerSignal
    if (outer !== undefined) {
      const stop = (): void => { this.#fail(asFileSyncError(outer.reason, 'ABORTED')) }
      if (outer.aborted) stop()
      else {
        outer.addEventListener('abort', stop, { once: true })
        this.signal.addEventListener('abort', () => { outer.removeEventListener('abort', stop) }, { once: true })
      }
    }
    this.#beat()
    void this.#pump()
  }

  async send (message: Message): Promise<void> {
    await this.sendFrame(encodeFrame('MESSAGE', [encodeMessage(message)]))
  }

  async sendRaw (type: RawFrameType, payload: readonly Uint8Array[], flags = 0): Promise<void> {
    await this.sendFrame(encodeFrame(type, payload, flags))
  }

  async sendFrame (frame: Uint8Array): Promise<void> {
    this.#throwIfOver()
    this.bytesSent += frame.length
    this.#lastSentMs = this.#clock.monotonicMs()
    this.#pendingWrites++
    const cancel = this.#clock.schedule(this.#stallTimeoutMs, () => {
      this.#fail(new FileSyncError('PEER_TIMEOUT', 'The other end did not take what was sent to it for too long.'))
    })
    try {
      await this.#stream.write(frame)
    } catch (error) {
      this.#fail(gone(error))
    } finally {
      cancel()
      this.#pendingWrites--
    }
    this.#throwIfOver()
  }

  async receive <T extends MessageType>(types: readonly T[], withinMs?: number): Promise<MessageOf<T>> {
    const cancel = withinMs === undefined ? undefined : this.#clock.schedule(withinMs, () => {
      this.#fail(new FileSyncError('PEER_TIMEOUT', `The other end did not send ${types.join(' or ')} in time.`))
    })
    try {
      const incoming = await this.next()
      if (incoming.kind === 'message' && (types as readonly string[]).includes(incoming.message.type)) {
        return incoming.message as MessageOf<T>
      }
      const got = incoming.kind === 'message' ? incoming.message.type : `a ${incoming.type} frame`
      throw this.#fail(new FileSyncError('MESSAGE_UNEXPECTED', `The other end sent ${got} where ${types.join(' or ')} was due.`))
    } finally {
      cancel?.()
    }
  }

  async next (): Promise<Incoming> {
    for (;;) {
      const incoming = this.#inbox.shift()
      if (incoming !== undefined) {
        this.#inboxBytes -= weigh(incoming)
        if (this.#inboxBytes < LIMITS.inboxBytes) this.#wakeReader?.()
        return incoming
      }
      this.#throwIfOver()
      await new Promise<void>(resolve => { this.#wakeReceiver = resolve })
    }
  }

  async close (error?: unknown): Promise<void> {
    if (this.signal.aborted) return
    this.#sayingGoodbye = true
    const cancel = this.#clock.schedule(CLOSE_TIMEOUT_MS, () => { this.#stream.destroy(closed()) })
    try {
      await this.#stream.write(encodeFrame('MESSAGE', [encodeMessage(lastWords(error))]))
      await this.#stream.end()
    } catch {
      // The peer is gone already, and there is nobody to tell.
    } finally {
      cancel()
      this.#fail(error === undefined ? closed() : asFileSyncError(error))
    }
  }

  destroy (error: FileSyncError): void {
    this.#fail(error)
  }

  async #pump (): Promise<void> {
    const decoder = new FrameDecoder()
    try {
      while (!this.signal.aborted) {
        await this.#waitForRoom()
        const chunks = await this.#readInTime()
        if (chunks === undefined) throw new FileSyncError('PEER_GONE', 'The other end ended the connection.')
        for (const chunk of chunks) {
          this.bytesReceived += chunk.length
          for (const frame of decoder.push(chunk)) {
            if (this.signal.aborted) return
            this.#accept(frame)
          }
        }
      }
    } catch (error) {
      // A peer that breaks the protocol is told so; everything else is an end without words.
      if (!this.signal.aborted && asFileSyncError(error, 'PEER_GONE').code !== 'PEER_GONE') await this.close(error)
      else this.#fail(gone(error))
    }
  }

  async #waitForRoom (): Promise<void> {
    while (this.#inboxBytes >= LIMITS.inboxBytes && !this.signal.aborted) {
      await new Promise<void>(resolve => { this.#wakeReader = resolve })
    }
  }

  async #readInTime (): Promise<readonly Uint8Array[] | undefined> {
    const cancel = this.#clock.schedule(this.#idleTimeoutMs, () => {
      this.#fail(new FileSyncError('PEER_TIMEOUT', 'The other end was silent for too long.'))
    })
    try {
      return await this.#stream.read()
    } finally {
      cancel()
    }
  }

  #accept (frame: Frame): void {
    if (frame.type === 'HEARTBEAT') return
    if (frame.type !== 'MESSAGE') {
      this.#deliver({ kind: 'raw', type: frame.type, flags: frame.flags, payload: frame.payload })
      return
    }
    const message = decodeMessage(frame.payload)
    if (message === undefined) return
    if (message.type === 'CLOSE') {
      this.#fail(farewell(message.code, message.message))
      return
    }
    this.#deliver({ kind: 'message', message })
  }

  #deliver (incoming: Incoming): void {
    this.#inbox.push(incoming)
    this.#inboxBytes += weigh(incoming)
    this.#wakeReceiver?.()
  }

  #beat (): void {
    const silentMs = this.#clock.monotonicMs() - this.#lastSentMs
    if (this.signal.aborted) return
    if (silentMs >= this.#heartbeatMs && this.#pendingWrites === 0 && !this.#sayingGoodbye) {
      this.sendFrame(encodeFrame('HEARTBEAT', [])).catch(() => { /* the connection is over, and says so elsewhere */ })
    }
    this.#cancelBeat = this.#clock.schedule(Math.max(1, this.#heartbeatMs - silentMs), () => { this.#beat() })
  }

  #fail (error: FileSyncError): FileSyncError {
    if (!this.signal.aborted) {
      this.#over.abort(error)
      this.#cancelBeat()
      this.#stream.destroy(error)
    }
    this.#wakeReceiver?.()
    this.#wakeReader?.()
    return error
  }

  #throwIfOver (): void {
    if (this.signal.aborted) throw this.signal.reason as FileSyncError
  }
}

function weigh (incoming: Incoming): number {
  // A decoded message takes more than its bytes did; a flat guess keeps many tiny ones from slipping past the bound.
  return incoming.kind === 'raw' ? incoming.payload.length : 4096
}

function closed (): FileSyncError {
  return new FileSyncError('PEER_GONE', 'The connection is closed.')
}

function gone (error: unknown): FileSyncError {
  return asFileSyncError(error, 'PEER_GONE')
}

function lastWords (error: unknown): Message {
  if (error === undefined) return { type: 'CLOSE', code: 'DONE', message: '' }
  const { code, message } = asFileSyncError(error)
  // A peer learns what concerns it. The words of a fault in this program could hold paths, so they stay here.
  if (!ERRORS[code].wire) return { type: 'CLOSE', code: 'PEER_GONE', message: 'The other end stopped.' }
  const words = code === 'INTERNAL' ? ERRORS.INTERNAL.meaning : message
  return { type: 'CLOSE', code, message: words.slice(0, LIMITS.textBytes) }
}

/** What a CLOSE means to the end that receives it. A code that is not for the wire cannot be forced on this end. */
function farewell (code: string, message: string): FileSyncError {
  if (code === 'DONE') return new FileSyncError('PEER_GONE', 'The other end closed the connection.')
  const known: ErrorCode = isErrorCode(code) && ERRORS[code].wire ? code : 'PEER_GONE'
  return new FileSyncError(known, message === '' ? ERRORS[known].meaning : message)
}
