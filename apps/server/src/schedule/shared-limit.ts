import { wait } from '@filesync/protocol'
import type { Clock } from '@filesync/protocol'
import { TokenBucket } from '@filesync/transfer'

interface LimitRequest {
  /** When it starts in virtual time; requests pass in this order. */
  readonly start: number
  readonly bytes: number
  readonly admit: () => void
}

/** One user of the shared limit. */
export interface Flow {
  /** Resolves when that many bytes may pass. Rejects with the signal's reason. */
  take (bytes: number, signal: AbortSignal): Promise<void>
}

/** How much may pass at once after a pause, as time at the full rate. */
const BURST_MS = 250
/** A large frame passes in slices, so that a request that comes meanwhile waits for one slice only. */
const SLICE_MS = 2
const MIN_SLICE_BYTES = 16 << 10

/**
 * A rate limit that several flows share fairly by bytes: a flow that needs little gets all of it, and the others share the rest
 * evenly ("Start-time Fair Queuing", Goyal, Vin and Cheng, 1996).
 */
export class SharedLimit {
  readonly #clock: Clock
  readonly #bucket: TokenBucket
  readonly #burstBytes: number
  readonly #sliceBytes: number
  #waiting: LimitRequest[] = []
  #virtualTime = 0
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
          // A flow that paused to process its last bytes may catch up on the pause, but only by one burst.
          const start = Math.max(this.#virtualTime - this.#burstBytes, finish)
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
    // Collect all requests of this event loop turn, so that the earliest in virtual time goes first.
    await Promise.resolve()
    for (let next = this.#first(); next !== undefined; next = this.#first()) {
      this.#waiting = this.#waiting.filter(request => request !== next)
      this.#virtualTime = next.start
      const delayMs = this.#bucket.take(next.bytes, this.#clock.monotonicMs())
      next.admit()
      if (delayMs > 0) await wait(this.#clock, delayMs)
    }
    this.#isRunning = false
  }

  #first (): LimitRequest | undefined {
    let first: LimitRequest | undefined
    for (const request of this.#waiting) if (first === undefined || request.start < first.start) first = request
    return first
  }
}
