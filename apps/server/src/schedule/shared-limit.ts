import { wait } from '@filesync/protocol'
import type { Clock } from '@filesync/protocol'
import { TokenBucket } from '@filesync/transfer'

interface Request {
  /** Its place in the row: where its flow is in virtual time. */
  readonly start: number
  readonly bytes: number
  readonly admit: () => void
}

/** One of those that share the limit. */
export interface Flow {
  /** Resolves when so many bytes of it may pass. Rejects with the signal's reason. */
  take (bytes: number, signal: AbortSignal): Promise<void>
}

/** What may pass at once after a pause, in time. */
const BURST_MS = 250
/** A large frame passes in slices, so that who comes in the middle of it waits for one of them only. */
const SLICE_MS = 2
const MIN_SLICE_BYTES = 16 << 10

/**
 * A rate that several flows share fairly, by bytes: whoever wants little gets all of it, and the rest is split evenly among
 * those who want more ("Start-time Fair Queuing", Goyal, Vin and Cheng, 1996).
 */
export class SharedLimit {
  readonly #clock: Clock
  readonly #bucket: TokenBucket
  readonly #burstBytes: number
  readonly #sliceBytes: number
  #waiting: Request[] = []
  #virtual = 0
  #isRunning = false

  constructor (bytesPerSecond: number, clock: Clock) {
    this.#clock = clock
    this.#burstBytes = bytesPerSecond * BURST_MS / 1000
    this.#sliceBytes = Math.max(MIN_SLICE_BYTES, bytesPerSecond * SLICE_MS / 1000)
    this.#bucket = new TokenBucket({ bytesPerSecond, burstBytes: this.#burstBytes, nowMs: clock.monotonicMs() })
  }

  open (): Flow {
    let finish = 0
    return {
      take: async (bytes, signal) => {
        for (let left = bytes; left > 0; left -= this.#sliceBytes) {
          signal.throwIfAborted()
          // Who was busy with its last bytes for a moment catches up on that, but not on what it did not want.
          const start = Math.max(this.#virtual - this.#burstBytes, finish)
          const slice = Math.min(left, this.#sliceBytes)
          finish = start + slice
          await this.#pass(start, slice, signal)
        }
      },
    }
  }

  async #pass (start: number, bytes: number, signal: AbortSignal): Promise<void> {
    let stop: (() => void) | undefined
    try {
      await new Promise<void>((admit, refuse) => {
        const request = { start, bytes, admit }
        stop = () => {
          this.#waiting = this.#waiting.filter(other => other !== request)
          refuse(signal.reason as Error)
        }
        signal.addEventListener('abort', stop, { once: true })
        this.#waiting.push(request)
        if (!this.#isRunning) void this.#run()
      })
    } finally {
      if (stop !== undefined) signal.removeEventListener('abort', stop)
    }
  }

  async #run (): Promise<void> {
    this.#isRunning = true
    // Whoever asks within this turn is compared with the others.
    await Promise.resolve()
    for (let next = this.#first(); next !== undefined; next = this.#first()) {
      this.#waiting = this.#waiting.filter(request => request !== next)
      this.#virtual = next.start
      const delayMs = this.#bucket.take(next.bytes, this.#clock.monotonicMs())
      next.admit()
      if (delayMs > 0) await wait(this.#clock, delayMs)
    }
    this.#isRunning = false
  }

  #first (): Request | undefined {
    return this.#waiting.reduce<Request | undefined>((least, request) => least === undefined || request.start < least.start ? request : least, undefined)
  }
}
