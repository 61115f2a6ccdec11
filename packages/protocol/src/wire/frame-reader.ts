import { BufferPool } from './buffer-pool.ts'
import type { ByteStream } from './byte-stream.ts'
import type { Clock } from '../clock.ts'
import { asFileSyncError, FileSyncError } from '../errors.ts'
import { closeMessageIn, errorFromClose } from './close-message.ts'
import { FrameDecoder } from './frame.ts'
import type { Frame } from './frame.ts'
import { Inbox } from './inbox.ts'
import { LIMITS } from '../limits.ts'

export interface FrameReaderInit {
  readonly stream: ByteStream
  readonly clock: Clock
  /** How long the peer may be silent, and how long one frame may take to come. */
  readonly idleTimeoutMs: number
  readonly stallTimeoutMs: number
  /** Aborted when what arrives is of no more interest. */
  readonly signal: AbortSignal
  /** Nothing more will come: the stream broke, or the peer is taken for gone. */
  readonly onGone: (error: FileSyncError) => void
  /** The peer said CLOSE, or ended its side without: it still reads what is said to it. */
  readonly onPeerClosed: (error: FileSyncError) => void
  /** The peer sent what it may not send, or too slowly, and is to be told. */
  readonly onViolation: (error: FileSyncError) => void
}

/** Buffers that wait for their next frame: as many as are under way, read ahead and being staged. */
const FREE_BUFFERS_MAX = 8

/**
 * The receiving half of a connection: cuts what the stream brings into frames, ahead of who takes them, up to a bound beyond
 * which it stops reading. Takes heartbeats and CLOSE out by itself.
 */
export class FrameReader {
  readonly #init: FrameReaderInit
  readonly #buffers = new BufferPool(FREE_BUFFERS_MAX)
  readonly #decoder = new FrameDecoder(sizeBytes => this.#buffers.acquire(sizeBytes))
  readonly #inbox = new Inbox(LIMITS.inboxBytes)
  #wakeReceivers: (() => void)[] = []
  #wakeReader: (() => void) | undefined
  #reading: Promise<void> | undefined
  #frameSinceMs = 0
  /** Frame headers included. */
  bytesReceived = 0

  constructor (init: FrameReaderInit) {
    this.#init = init
  }

  /** Reads from now on. */
  start (): void {
    this.#reading = this.#pump()
  }

  /** The next frame that has arrived; undefined where there is none. */
  shift (): Frame | undefined {
    const frame = this.#inbox.shift()
    if (frame !== undefined && !this.#inbox.isFull) this.#wakeReader?.()
    return frame
  }

  /** Resolves at the next frame, or when it is over. */
  arrival (): Promise<void> {
    return new Promise(resolve => { this.#wakeReceivers.push(resolve) })
  }

  /** Drops what has arrived and was not taken. */
  clear (): void {
    this.#inbox.clear()
  }

  /** Takes the buffer of a payload that nobody needs any more, for a frame to come. */
  reuse (buffer: ArrayBuffer): void {
    this.#buffers.release(buffer)
  }

  /** Wakes all who wait, as the signal was aborted. What still comes is read and dropped. */
  stop (): void {
    this.#wakeAllReceivers()
    this.#wakeReader?.()
  }

  /** Resolves when the stream has brought all that it will bring. */
  async ended (): Promise<void> {
    await this.#reading
  }

  async #pump (): Promise<void> {
    const { signal, onGone, onPeerClosed: onFarewell } = this.#init
    try {
      for (;;) {
        const chunks = await this.#readInTime()
        if (chunks === undefined) {
          if (!signal.aborted) onFarewell(new FileSyncError('PEER_GONE', 'The other end ended the connection.'))
          return
        }
        for (const chunk of chunks) {
          this.bytesReceived += chunk.length
          await this.#takeIn(chunk)
        }
      }
    } catch (error) {
      // An end that says goodbye still writes, and destroys the stream by itself.
      if (!signal.aborted) onGone(asFileSyncError(error, 'PEER_GONE'))
    }
  }

  async #readInTime (): Promise<readonly Uint8Array[] | undefined> {
    const { stream, clock, idleTimeoutMs, signal, onGone } = this.#init
    const cancel = clock.schedule(idleTimeoutMs, () => {
      if (!signal.aborted) onGone(new FileSyncError('PEER_TIMEOUT', 'The other end was silent for too long.'))
    })
    try {
      return await stream.read()
    } finally {
      cancel()
    }
  }

  async #takeIn (chunk: Uint8Array): Promise<void> {
    const { clock, stallTimeoutMs, signal, onViolation: onRefused } = this.#init
    if (signal.aborted) return
    try {
      if (this.#decoder.isBetweenFrames) this.#frameSinceMs = clock.monotonicMs()
      for (const frame of this.#decoder.push(chunk)) {
        this.#accept(frame)
        if (this.#inbox.isFull) await this.#waitForRoom()
        if (signal.aborted) return
        this.#frameSinceMs = clock.monotonicMs()
      }
      if (!this.#decoder.isBetweenFrames && clock.monotonicMs() - this.#frameSinceMs > stallTimeoutMs) {
        throw new FileSyncError('PEER_TOO_SLOW', 'The other end took too long to send one frame.')
      }
    } catch (error) {
      onRefused(asFileSyncError(error))
    }
  }

  async #waitForRoom (): Promise<void> {
    while (this.#inbox.isFull && !this.#init.signal.aborted) {
      await new Promise<void>(resolve => { this.#wakeReader = resolve })
    }
  }

  #accept (frame: Frame): void {
    if (frame.type === 'HEARTBEAT') return
    const close = closeMessageIn(frame)
    if (close !== undefined) {
      this.#init.onPeerClosed(errorFromClose(close))
      return
    }
    this.#inbox.push(frame)
    this.#wakeAllReceivers()
  }

  #wakeAllReceivers (): void {
    const receivers = this.#wakeReceivers
    this.#wakeReceivers = []
    for (const wake of receivers) wake()
  }
}
