/** `auto` compresses while the link is slower than compressing. */
export type Compression = 'auto' | 'always' | 'never'

/** The choice is made again after this time of sending, or after this number of bytes. */
const WINDOW_MS = 250
const WINDOW_BYTES = 1 << 20
/** Above this, compressing at both ends costs more time than it saves: zstd at level 1 takes about 500 MB a second of one core. */
const FAST_LINK_BYTES_PER_SECOND = 150_000_000
/** The link is the limit if sending waits for it for at least this share of the time. */
const LINK_IS_LIMIT = 0.5

/**
 * Decides whether frames are worth compressing. `auto` measures how fast the link takes bytes and how much of the time sending
 * waits for it; whether content shrinks is checked for each frame by its reader. It starts with compression, because a small
 * sync is over before anything is known, and on a fast link the first frames cost little.
 */
export class CompressionChoice {
  readonly #compression: Compression
  #isOn: boolean
  #startMs: number
  #waitedMs = 0
  #bytes = 0

  constructor (compression: Compression, nowMs: number) {
    this.#compression = compression
    this.#isOn = compression !== 'never'
    this.#startMs = nowMs
  }

  /** Whether the next frame is to be compressed. */
  get isOn (): boolean {
    return this.#isOn
  }

  /** Records that a frame was sent. `waitedMs`: how long sending waited for the link. */
  sent (frame: { readonly bytes: number, readonly waitedMs: number, readonly nowMs: number }): void {
    if (this.#compression !== 'auto') return
    this.#bytes += frame.bytes
    this.#waitedMs += frame.waitedMs
    const passedMs = frame.nowMs - this.#startMs
    if (passedMs < WINDOW_MS && this.#bytes < WINDOW_BYTES) return
    const isLimit = this.#waitedMs >= passedMs * LINK_IS_LIMIT
    const isSlow = this.#bytes * 1000 / Math.max(1, this.#waitedMs) < FAST_LINK_BYTES_PER_SECOND
    this.#isOn = isLimit ? isSlow : this.#isOn && isSlow
    this.#startMs = frame.nowMs
    this.#waitedMs = 0
    this.#bytes = 0
  }
}
