import type { ByteStream } from './byte-stream.ts'
import type { Clock } from '../clock.ts'
import { asFileSyncError, FileSyncError } from '../errors.ts'
import { encodeFrame } from './frame.ts'

export interface FrameWriterInit {
  readonly stream: ByteStream
  readonly clock: Clock
  /** Something is sent at least this often. */
  readonly heartbeatMs: number
  /** How long the peer may take to accept one frame. */
  readonly stallTimeoutMs: number
  /** Aborted when only CLOSE may still be sent, with the FileSyncError that ended the connection as the reason. */
  readonly signal: AbortSignal
  /** Called if the peer accepts no more data. */
  readonly onGone: (error: FileSyncError) => void
}

/** The sending half of a connection: writes frames, each within its time limit, and heartbeats if there was nothing to write. */
export class FrameWriter {
  readonly #init: FrameWriterInit
  #lastSentMs = 0
  #pendingWrites = 0
  #cancelBeat: () => void = () => { /* nothing is scheduled yet */ }
  /** Including frame headers. */
  bytesSent = 0

  constructor (init: FrameWriterInit) {
    this.#init = init
  }

  /** Starts to send heartbeats. */
  start (): void {
    this.#lastSentMs = this.#init.clock.monotonicMs()
    this.#beat()
  }

  /** Whether the stream has not yet accepted all that was written. */
  get isBusy (): boolean {
    return this.#pendingWrites > 0
  }

  /** Resolves when the stream has room for more. `onReleased` is called when the frame's buffer may be reused. */
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

  /** Writes after the connection has ended and `signal` was aborted. Rejects as the stream does. */
  async writeLast (frame: Uint8Array): Promise<void> {
    this.bytesSent += frame.length
    await this.#init.stream.write(frame)
  }

  /** Stops sending heartbeats. */
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
