import type { Duplex } from 'node:stream'
import type { ByteStream } from '../wire/byte-stream.ts'
import { FileSyncError } from '../errors.ts'

/** Bytes that may wait for the reader before the socket is paused. */
const HIGH_WATER_BYTES = 1 << 20

/**
 * A socket (TCP, TLS, or a Unix socket) as a byte stream. Takes over the socket: no other code may read, write or handle its
 * errors. Chunks are returned as they arrive, without copying.
 */
export function socketStream (socket: Duplex): ByteStream {
  return new SocketStream(socket)
}

class SocketStream implements ByteStream {
  readonly #socket: Duplex
  #chunks: Uint8Array[] = []
  #waitingBytes = 0
  #ended = false
  #broken: Error | undefined
  #isWaking = false
  #wakeReader: (() => void) | undefined
  #drained: Promise<void> | undefined

  constructor (socket: Duplex) {
    this.#socket = socket
    // A socket that has already ended emits no further event.
    if (socket.destroyed) this.#break(lost(socket.errored ?? undefined))
    this.#ended = socket.readableEnded
    socket.on('error', error => { this.#break(lost(error)) })
    socket.on('close', () => { this.#break(lost(undefined)) })
    socket.on('end', () => {
      this.#ended = true
      this.#wakeReader?.()
    })
    socket.on('data', (chunk: Uint8Array) => {
      this.#chunks.push(chunk)
      this.#waitingBytes += chunk.length
      if (this.#waitingBytes >= HIGH_WATER_BYTES) socket.pause()
      this.#wakeSoon()
    })
  }

  async read (): Promise<readonly Uint8Array[] | undefined> {
    for (;;) {
      if (this.#chunks.length > 0) return this.#takeChunks()
      if (this.#ended) return undefined
      if (this.#broken !== undefined) throw this.#broken
      await new Promise<void>(resolve => { this.#wakeReader = resolve })
    }
  }

  async write (bytes: Uint8Array, onReleased?: () => void): Promise<void> {
    if (this.#broken !== undefined) throw this.#broken
    const hasRoom = this.#socket.write(bytes, error => { if (error === null || error === undefined) onReleased?.() })
    if (hasRoom) return
    this.#drained ??= this.#waitForDrain()
    await this.#drained
  }

  async end (): Promise<void> {
    if (this.#broken !== undefined) throw this.#broken
    await new Promise<void>((resolve, reject) => {
      this.#socket.once('close', () => { reject(this.#broken ?? lost(undefined)) })
      this.#socket.end(() => { resolve() })
    })
  }

  destroy (reason: Error): void {
    this.#chunks = []
    this.#ended = false
    this.#break(reason)
    this.#socket.destroy()
  }

  async #waitForDrain (): Promise<void> {
    try {
      await new Promise<void>((resolve, reject) => {
        const stop = (): void => { reject(this.#broken ?? lost(undefined)) }
        this.#socket.once('drain', () => {
          this.#socket.off('close', stop)
          resolve()
        })
        this.#socket.once('close', stop)
      })
    } finally {
      this.#drained = undefined
    }
  }

  // TLS emits its records one by one: the reader gets all that arrive in one turn of the event loop together.
  #wakeSoon (): void {
    if (this.#isWaking || this.#wakeReader === undefined) return
    this.#isWaking = true
    setImmediate(() => {
      this.#isWaking = false
      this.#wakeReader?.()
    })
  }

  #takeChunks (): readonly Uint8Array[] {
    const chunks = this.#chunks
    this.#chunks = []
    this.#waitingBytes = 0
    if (this.#socket.isPaused()) this.#socket.resume()
    return chunks
  }

  #break (reason: Error): void {
    this.#broken ??= reason
    this.#wakeReader?.()
  }
}

function lost (cause: Error | undefined): FileSyncError {
  const why = cause === undefined ? '' : ` (${cause.message})`
  return new FileSyncError('PEER_GONE', `The connection was lost${why}.`, cause === undefined ? {} : { cause })
}
