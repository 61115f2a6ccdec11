import type { ByteStream } from '../wire/byte-stream.ts'
import type { Clock } from '../clock.ts'
import { FileSyncError } from '../errors.ts'

export interface MemoryStreamInit {
  /** Bytes that may wait for the reader before `write` waits; 256 KiB by default. */
  readonly capacityBytes?: number
  /** Maximum length of a chunk. */
  readonly chunkBytes?: number
  /** Breaks both directions after this many bytes were written by the first end, or by the second. */
  readonly cutAfterBytes?: readonly [first: number | undefined, second: number | undefined]
  /** Delays data and the end of a side by so much on the clock. */
  readonly delay?: { readonly clock: Clock, readonly delayMs: number }
}

/** Two byte streams connected in memory: what one end writes, the other reads. The counterpart of a socket pair. */
export function memoryStreamPair (init: MemoryStreamInit = {}): [ByteStream, ByteStream] {
  const there = new Lane(init, init.cutAfterBytes?.[0])
  const back = new Lane(init, init.cutAfterBytes?.[1])
  const cut = (): void => {
    there.break(severed())
    back.break(severed())
  }
  there.onCut = cut
  back.onCut = cut
  return [new MemoryStream(back, there), new MemoryStream(there, back)]
}

function severed (): FileSyncError {
  return new FileSyncError('PEER_GONE', 'The connection was lost.')
}

class Lane {
  readonly #capacityBytes: number
  readonly #chunkBytes: number
  readonly #delay: MemoryStreamInit['delay']
  #leftBeforeCut: number
  #chunks: Uint8Array[] = []
  #waitingBytes = 0
  #closed = false
  #ended = false
  #broken: Error | undefined
  #wakeReader: (() => void) | undefined
  #wakeWriters: (() => void)[] = []
  onCut: () => void = () => { /* set by the pair */ }

  constructor (init: MemoryStreamInit, cutAfterBytes: number | undefined) {
    this.#capacityBytes = init.capacityBytes ?? 256 << 10
    this.#chunkBytes = init.chunkBytes ?? Infinity
    this.#delay = init.delay
    this.#leftBeforeCut = cutAfterBytes ?? Infinity
  }

  async read (): Promise<readonly Uint8Array[] | undefined> {
    for (;;) {
      if (this.#chunks.length > 0) return this.#take()
      if (this.#broken !== undefined) throw this.#broken
      if (this.#ended) return undefined
      await new Promise<void>(resolve => { this.#wakeReader = resolve })
    }
  }

  async write (bytes: Uint8Array): Promise<void> {
    this.#throwIfBroken()
    if (this.#closed) throw severed()
    const passed = bytes.slice(0, Math.min(bytes.length, this.#leftBeforeCut))
    this.#leftBeforeCut -= passed.length
    this.#waitingBytes += passed.length
    this.#deliver(() => {
      for (let at = 0; at < passed.length; at += this.#chunkBytes) this.#chunks.push(passed.subarray(at, at + this.#chunkBytes))
    })
    if (passed.length < bytes.length || this.#leftBeforeCut === 0) this.onCut()
    while (this.#waitingBytes > this.#capacityBytes && this.#broken === undefined) {
      await new Promise<void>(resolve => { this.#wakeWriters.push(resolve) })
    }
    this.#throwIfBroken()
  }

  end (): void {
    this.#closed = true
    this.#deliver(() => { this.#ended = true })
  }

  /** Discards what was not read. */
  drop (): void {
    this.#chunks = []
    this.#ended = false
  }

  break (reason: Error): void {
    this.#broken ??= reason
    this.#wakeReader?.()
    this.#wakeAllWriters()
  }

  #deliver (apply: () => void): void {
    const arrive = (): void => {
      apply()
      this.#wakeReader?.()
    }
    if (this.#delay === undefined) arrive()
    else this.#delay.clock.schedule(this.#delay.delayMs, arrive)
  }

  // A method, because `break` sets the field while `write` waits, which type narrowing of an inline check does not see.
  #throwIfBroken (): void {
    if (this.#broken !== undefined) throw this.#broken
  }

  #take (): readonly Uint8Array[] {
    const chunks = this.#chunks
    this.#chunks = []
    for (const chunk of chunks) this.#waitingBytes -= chunk.length
    this.#wakeAllWriters()
    return chunks
  }

  #wakeAllWriters (): void {
    const writers = this.#wakeWriters
    this.#wakeWriters = []
    for (const wake of writers) wake()
  }
}

class MemoryStream implements ByteStream {
  readonly #incoming: Lane
  readonly #outgoing: Lane
  #destroyed: Error | undefined

  constructor (incoming: Lane, outgoing: Lane) {
    this.#incoming = incoming
    this.#outgoing = outgoing
  }

  async read (): Promise<readonly Uint8Array[] | undefined> {
    return await this.#incoming.read()
  }

  async write (bytes: Uint8Array, onReleased?: () => void): Promise<void> {
    try {
      const written = this.#outgoing.write(bytes)
      onReleased?.()
      await written
    } catch (error) {
      throw this.#destroyed ?? error
    }
  }

  async end (): Promise<void> {
    if (this.#destroyed !== undefined) throw this.#destroyed
    this.#outgoing.end()
  }

  destroy (reason: Error): void {
    this.#destroyed ??= reason
    this.#incoming.drop()
    this.#incoming.break(reason)
    this.#outgoing.break(severed())
  }
}
