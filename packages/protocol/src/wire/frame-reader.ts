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
  /** How long the peer may be silent, and how long one frame may take to arrive. */
  readonly idleTimeoutMs: number
  readonly stallTimeoutMs: number
  /** Aborted when arriving data is no longer needed. */
  readonly signal: AbortSignal
  /** Called if nothing more will arrive: the stream broke, or the peer is considered dead. */
  readonly onGone: (error: FileSyncError) => void
  /** Called if the peer sent CLOSE or ended its side without it; it still reads. */
  readonly onPeerClosed: (error: FileSyncError) => void
  /** Called if the peer violated the protocol or sent too slowly; it should receive the error. */
  readonly onViolation: (error: FileSyncError) => void
}

/** Free buffers that are kept: as many as are in use at once, read ahead and being staged. */
const FREE_BUFFERS_MAX = 8

/**
 * The receiving half of a connection: splits the stream into frames ahead of the session, up to a limit above which it stops
 * reading. Handles heartbeats and CLOSE itself.
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
  /** Including frame headers. */
  bytesReceived = 0

  constructor (init: FrameReaderInit) {
    this.#init = init
  }

  /** Starts to read. */
  start (): void {
    this.#reading = this.#pump()
  }

  /** The next frame that has arrived, or undefined. */
  shift (): Frame | undefined {
    const frame = this.#inbox.shift()
    if (frame !== undefined && !this.#inbox.isFull) this.#wakeReader?.()
    return frame
  }

  /** Resolves when a frame arrives or the connection ends. */
  arrival (): Promise<void> {
    return new Promise(resolve => { this.#wakeReceivers.push(resolve) })
  }

  /** Drops the frames that have arrived. */
  clear (): void {
    this.#inbox.clear()
  }

  /** Takes back the buffer of a payload that is no longer needed, for later frames. */
  reuse (buffer: ArrayBuffer): void {
    this.#buffers.release(buffer)
  }

  /** Wakes all waiters after the signal was aborted. Data that still arrives is read and dropped. */
  stop (): void {
    this.#wakeAllReceivers()
    this.#wakeReader?.()
  }

  /** Resolves when the stream has ended. */
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
      // A closing end still writes, and destroys the stream itself.
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
