import type { RelativePath } from '@filesync/protocol'
import { MovingRate } from './moving-rate.ts'

/** How far a transfer is, for a person or a page. */
export interface TransferProgress {
  /** Files and bytes of files that went over the link, or are answered otherwise. */
  readonly files: number
  readonly bytes: number
  /** Content that went over the link itself: not what the server had already, of a file that goes on or is sent as a difference. */
  readonly carriedBytes: number
  /** What the server asked for so far. It may ask for more while `isTotalKnown` is false. */
  readonly filesWanted: number
  readonly bytesWanted: number
  readonly isTotalKnown: boolean
  /** What the server says is durable. */
  readonly filesStored: number
  readonly bytesStored: number
  /** Content that goes over the link in a second, over the last ten seconds. */
  readonly bytesPerSecond: number
  /** Expected milliseconds to the end, where that can be told. */
  readonly remainingMs: number | undefined
  /** The file that is on its way. */
  readonly path: RelativePath | undefined
  /** Whether what was sent last was compressed: trying does not count, where content does not shrink. */
  readonly isCompressing: boolean
}

/** Reports are at least this far apart, so that a person can read them and they cost nothing. */
const REPORT_MS = 100

/** Counts a transfer, and reports at most ten times a second. */
export class ProgressMeter {
  readonly #report: ((progress: TransferProgress) => void) | undefined
  #reportedMs: number
  #nowMs: number
  #carried: MovingRate
  /** How fast the transfer comes to its end. */
  #moved: MovingRate
  files = 0
  bytes = 0
  carriedBytes = 0
  /** Of `bytes`, those that were only read again because the server has them: they say nothing of how fast the rest goes. */
  skippedBytes = 0
  filesWanted = 0
  bytesWanted = 0
  isTotalKnown = false
  filesStored = 0
  bytesStored = 0
  path: RelativePath | undefined
  isCompressing = false

  constructor (report: ((progress: TransferProgress) => void) | undefined, nowMs: number) {
    this.#report = report
    this.#reportedMs = -Infinity
    this.#nowMs = nowMs
    this.#carried = new MovingRate(nowMs)
    this.#moved = new MovingRate(nowMs)
  }

  /** Rates count from now on. */
  begin (nowMs: number): void {
    this.#carried = new MovingRate(nowMs, this.carriedBytes)
    this.#moved = new MovingRate(nowMs, this.bytes - this.skippedBytes)
  }

  /** Something changed. */
  update (nowMs: number): void {
    if (this.#report === undefined || nowMs - this.#reportedMs < REPORT_MS) return
    this.finish(nowMs)
  }

  /** Reports whatever there is to report. */
  finish (nowMs: number): void {
    this.#nowMs = nowMs
    this.#carried.note(nowMs, this.carriedBytes)
    this.#moved.note(nowMs, this.bytes - this.skippedBytes)
    this.#reportedMs = nowMs
    this.#report?.(this.snapshot())
  }

  snapshot (): TransferProgress {
    const { files, bytes, carriedBytes, filesWanted, bytesWanted, isTotalKnown, filesStored, bytesStored, path, isCompressing } = this
    const bytesPerSecond = this.#carried.perSecond(this.#nowMs)
    const movedPerSecond = this.#moved.perSecond(this.#nowMs)
    const canTell = isTotalKnown && movedPerSecond > 0
    const remainingMs = canTell ? Math.max(0, bytesWanted - bytes) * 1000 / movedPerSecond : undefined
    return {
      files, bytes, carriedBytes, filesWanted, bytesWanted, isTotalKnown, filesStored, bytesStored, path, isCompressing,
      bytesPerSecond, remainingMs,
    }
  }
}
