import type { ByteStream } from '../wire/byte-stream.ts'
import type { Clock } from '../clock.ts'
import { asFileSyncError, FileSyncError } from '../errors.ts'
import { JsonReader } from './legacy-json.ts'
import type { JsonBounds } from './legacy-json.ts'
import { LEGACY_LIMITS } from './legacy-limits.ts'
import { encodeLegacyMessage, parseLegacyMessage } from './legacy-messages.ts'
import type { LegacyMessages } from './legacy-messages.ts'

export interface LegacyReceiveOptions {
  /** How long the whole message may take to arrive; `idleTimeoutMs` by default. */
  readonly withinMs?: number
  /** Limits of the message; by default those of a short one. */
  readonly bounds?: JsonBounds
}

/** Throttles reading: resolves when more may be read after these bytes. Rejects if the session must end. */
export type LegacyThrottle = (bytes: number) => Promise<void>

const MESSAGE_BOUNDS: JsonBounds = { maxBytes: LEGACY_LIMITS.messageBytes, maxDepth: LEGACY_LIMITS.messageDepth, maxContainers: 16 }
const NEWLINE = 0x0a

/** How a server receives CLIENT_FILES_INFO. */
export const LEGACY_LIST_OPTIONS: Required<LegacyReceiveOptions> = {
  withinMs: LEGACY_LIMITS.listTimeoutMs,
  bounds: { maxBytes: LEGACY_LIMITS.listBytes, maxDepth: LEGACY_LIMITS.messageDepth, maxContainers: LEGACY_LIMITS.listFiles + 2 },
}

/**
 * The original protocol over a byte stream: JSON messages without lengths, and the bytes of files between them. Every wait has a
 * time limit: the stream is destroyed if the peer is silent for too long or sends too slowly.
 */
export class LegacyChannel {
  readonly #stream: ByteStream
  readonly #clock: Clock
  readonly #throttle: LegacyThrottle | undefined
  readonly #gone = new AbortController()
  #chunks: Uint8Array[] = []
  #filling: Promise<void> | undefined
  #ended = false
  bytesSent: number = 0
  bytesReceived: number = 0

  constructor (stream: ByteStream, clock: Clock, throttle?: LegacyThrottle) {
    this.#stream = stream
    this.#clock = clock
    this.#throttle = throttle
  }

  /** Aborted when the peer has ended its side or the stream broke; detected only during a read. */
  get signal (): AbortSignal {
    return this.#gone.signal
  }

  /** Reads ahead, so that a disconnect is detected although no message is expected. */
  readAhead (): void {
    this.#fill().catch(() => { /* reported by the signal */ })
  }

  /** Throws MESSAGE_INVALID, LIMIT_EXCEEDED, PEER_TIMEOUT, PEER_GONE. */
  async receive<K extends keyof LegacyMessages> (type: K, options: LegacyReceiveOptions = {}): Promise<LegacyMessages[K]> {
    const reader = new JsonReader(options.bounds ?? MESSAGE_BOUNDS)
    let patienceMs = options.withinMs ?? LEGACY_LIMITS.idleTimeoutMs
    for (;;) {
      const sinceMs = this.#clock.monotonicMs()
      const piece = await this.#within(patienceMs, `its ${type}`, async () => await this.#next())
      patienceMs -= this.#clock.monotonicMs() - sinceMs
      const whole = reader.push(piece)
      // Time that throttling takes does not count as the peer's.
      await this.#throttle?.(whole?.used ?? piece.length)
      if (whole === undefined) continue
      this.#unread(piece, whole.used)
      return parseLegacyMessage(type, whole.value)
    }
  }

  /** The newline after a message. */
  async receiveNewline (): Promise<void> {
    const piece = await this.#within(LEGACY_LIMITS.idleTimeoutMs, 'a newline', async () => await this.#next())
    if (piece[0] !== NEWLINE) {
      throw new FileSyncError('MESSAGE_INVALID', 'The newline after a message of the original protocol is missing.')
    }
    this.#unread(piece, 1)
    await this.#throttle?.(1)
  }

  /** Exactly so many bytes, in pieces as they arrive. */
  async * receiveBytes (sizeBytes: number): AsyncGenerator<Uint8Array, void, undefined> {
    let patienceMs: number = LEGACY_LIMITS.idleTimeoutMs
    for (let left = sizeBytes; left > 0;) {
      const sinceMs = this.#clock.monotonicMs()
      const piece = await this.#within(patienceMs, 'the rest of a file', async () => await this.#next())
      const mine = piece.subarray(0, left)
      this.#unread(piece, mine.length)
      left -= mine.length
      patienceMs -= this.#clock.monotonicMs() - sinceMs
      // Received bytes extend the time limit in proportion, so that an occasional byte cannot hold the only turn.
      patienceMs = Math.min(LEGACY_LIMITS.idleTimeoutMs, patienceMs + mine.length * 1000 / LEGACY_LIMITS.leastBytesPerSecond)
      await this.#throttle?.(mine.length)
      yield mine
    }
  }

  async send (message: LegacyMessages[keyof LegacyMessages]): Promise<void> {
    await this.sendBytes(encodeLegacyMessage(message))
  }

  async sendBytes (bytes: Uint8Array): Promise<void> {
    this.bytesSent += bytes.length
    await this.#within(LEGACY_LIMITS.idleTimeoutMs, 'it to accept data', async () => { await this.#stream.write(bytes) })
  }

  /** Ends the stream regularly. */
  async end (): Promise<void> {
    await this.#within(LEGACY_LIMITS.idleTimeoutMs, 'it to end the connection', async () => { await this.#stream.end() })
  }

  destroy (reason: Error): void {
    this.#stream.destroy(reason)
  }

  async #within<T> (delayMs: number, what: string, work: () => Promise<T>): Promise<T> {
    const cancel = this.#clock.schedule(Math.max(0, delayMs), () => {
      this.#stream.destroy(new FileSyncError('PEER_TIMEOUT', `The peer took too long: timed out waiting for ${what}.`))
    })
    try {
      return await work()
    } finally {
      cancel()
    }
  }

  async #next (): Promise<Uint8Array> {
    for (;;) {
      const piece = this.#chunks.shift()
      if (piece !== undefined) return piece
      if (this.#ended) throw new FileSyncError('PEER_GONE', 'The peer ended the connection before the session was over.')
      await this.#fill()
    }
  }

  #unread (piece: Uint8Array, used: number): void {
    if (used < piece.length) this.#chunks.unshift(piece.subarray(used))
  }

  async #fill (): Promise<void> {
    this.#filling ??= this.#read()
    await this.#filling
  }

  async #read (): Promise<void> {
    try {
      const chunks = await this.#stream.read()
      if (chunks === undefined) {
        this.#ended = true
        this.#gone.abort(new FileSyncError('PEER_GONE', 'The peer ended the connection.'))
        return
      }
      for (const chunk of chunks) {
        this.#chunks.push(chunk)
        this.bytesReceived += chunk.length
      }
    } catch (error) {
      this.#gone.abort(asFileSyncError(error, 'PEER_GONE'))
      throw error
    } finally {
      this.#filling = undefined
    }
  }
}
