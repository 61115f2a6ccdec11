import type { ByteStream } from './byte-stream.ts'
import type { Clock } from '../clock.ts'
import { asFileSyncError, FileSyncError } from '../errors.ts'
import { encodeFrame } from './frame.ts'

export interface FrameWriterInit {
  readonly stream: ByteStream
  readonly clock: Clock
  /** The peer hears of this end at least this often. */
  readonly heartbeatMs: number
  /** How long the peer may take to take one frame. */
  readonly stallTimeoutMs: number
  /** Aborted when nothing but the last words may be sent any more, with the FileSyncError that tells why as the reason. */
  readonly signal: AbortSignal
  /** The peer takes nothing any more. */
  readonly onGone: (error: FileSyncError) => void
}

/** The sending half of a connection: writes frames within their time, and heartbeats where there was nothing to write. */
export class FrameWriter {
  readonly #init: FrameWriterInit
  #lastSentMs = 0
  #pendingWrites = 0
  #cancelBeat: () => void = () => { /* nothing is scheduled yet */ }
  /** Frame headers included. */
  bytesSent = 0

  constructor (init: FrameWriterInit) {
    this.#init = init
  }

  /** Sends heartbeats from now on. */
  start (): void {
    this.#lastSentMs = this.#init.clock.monotonicMs()
    this.#beat()
  }

  /** Whether something was written that the peer has not taken yet. */
  get isBusy (): boolean {
    return this.#pendingWrites > 0
  }

  /** Resolves when the stream has room for more. `onReleased` is called when the frame's buffer may be used again. */
  async write (frame: Uint8Array, onReleased?: () => void): Promise<void> {
    const { stream, clock, stallTimeoutMs, onGone } = this.#init
    this.#throwIfOver()
    this.bytesSent += frame.length
    this.#lastSentMs = clock.monotonicMs()
    this.#pendingWrites++
    const cancel = clock.schedule(stallTimeoutMs, () => {
      onGone(new FileSyncError('PEER_TIMEOUT', 'The other end accepted no data for too long.'))
    })
    try {
      await stream.write(frame, onReleased)
    } catch (error) {
      onGone(asFileSyncError(error, 'PEER_GONE'))
    } finally {
      cancel()
      this.#pendingWrites--
    }
    this.#throwIfOver()
  }

  /** Writes behind the end of the connection, which `signal` has told already. Rejects as the stream does. */
  async writeLast (frame: Uint8Array): Promise<void> {
    this.bytesSent += frame.length
    await this.#init.stream.write(frame)
  }

  /** Sends no more heartbeats. */
  stop (): void {
    this.#cancelBeat()
  }

  #beat (): void {
    const { clock, heartbeatMs, signal } = this.#init
    if (signal.aborted) return
    let dueMs = this.#lastSentMs + heartbeatMs - clock.monotonicMs()
    if (dueMs <= 0) {
      dueMs = heartbeatMs
      if (this.#pendingWrites === 0) {
        this.write(encodeFrame('HEARTBEAT', [])).catch(() => { /* the connection is over, and says so elsewhere */ })
      }
    }
    this.#cancelBeat = clock.schedule(dueMs, () => { this.#beat() })
  }

  #throwIfOver (): void {
    const { signal } = this.#init
    if (signal.aborted) throw signal.reason as FileSyncError
  }
}
