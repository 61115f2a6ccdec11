import type { ByteStream } from '../byte-stream.ts'
import { FileSyncError } from '../errors.ts'

export interface MemoryStreamInit {
  /** Bytes that may wait for the reader before `write` waits; 256 KiB unless told. */
  readonly capacityBytes?: number
  /** Hands over at most this many bytes a chunk. */
  readonly chunkBytes?: number
  /** Breaks both directions after this many bytes were written by the first end, or by the second. */
  readonly cutAfterBytes?: readonly [first: number | undefined, second: number | undefined]
}

/** Two byte streams joined in memory: what one end writes, the other reads. The twin of a socket pair. */
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
  #leftBeforeCut: number
  #chunks: Uint8Array[] = []
  #waitingBytes = 0
  #ended = false
  #broken: Error | undefined
  #wakeReader: (() => void) | undefined
  #wakeWriters: (() => void)[] = []
  onCut: () => void = () => { /* set by the pair */ }

  constructor (init: MemoryStreamInit, cutAfterBytes: number | undefined) {
    this.#capacityBytes = init.capacityBytes ?? 256 << 10
    this.#chunkBytes = init.chunkBytes ?? Infinity
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
    if (this.#ended) throw severed()
    const passed = bytes.slice(0, Math.min(bytes.length, this.#leftBeforeCut))
    this.#leftBeforeCut -= passed.length
    for (let at = 0; at < passed.length; at += this.#chunkBytes) this.#chunks.push(passed.subarray(at, at + this.#chunkBytes))
    this.#waitingBytes += passed.length
    this.#wakeReader?.()
    if (passed.length < bytes.length || this.#leftBeforeCut === 0) this.onCut()
    while (this.#waitingBytes > this.#capacityBytes && this.#broken === undefined) {
      await new Promise<void>(resolve => { this.#wakeWriters.push(resolve) })
    }
    this.#throwIfBroken()
  }

  end (): void {
    this.#ended = true
    this.#wakeReader?.()
  }

  break (reason: Error): void {
    this.#broken ??= reason
    this.#wakeReader?.()
    this.#wakeAllWriters()
  }

  // A method of its own: `break` sets the field while `write` waits, which the narrowing of a plain check does not see.
  #throwIfBroken (): void {
    if (this.#broken !== undefined) throw this.#broken
  }

  #take (): readonly Uint8Array[] {
    const chunks = this.#chunks
    this.#chunks = []
    this.#waitingBytes = 0
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

  constructor (incoming: Lane, outgoing: Lane) {
    this.#incoming = incoming
    this.#outgoing = outgoing
  }

  async read (): Promise<readonly Uint8Array[] | undefined> {
    return await this.#incoming.read()
  }

  async write (bytes: Uint8Array): Promise<void> {
    await this.#outgoing.write(bytes)
  }

  end (): Promise<void> {
    this.#outgoing.end()
    return Promise.resolve()
  }

  destroy (reason: Error): void {
    this.#incoming.break(reason)
    this.#outgoing.break(severed())
  }
}
