import type { RelativePath } from '@filesync/protocol'
import { MovingRate } from './moving-rate.ts'

/** Progress of a transfer, for display. */
export interface TransferProgress {
  /** Files that were answered, and their bytes, however they were sent. */
  readonly files: number
  readonly bytes: number
  /** Content that went over the link: without what the server already had of a file that is resumed or sent as a delta. */
  readonly carriedBytes: number
  /** What the server has asked for so far. It may ask for more while `isTotalKnown` is false. */
  readonly filesWanted: number
  readonly bytesWanted: number
  readonly isTotalKnown: boolean
  /** What the server has reported as durable. */
  readonly filesStored: number
  readonly bytesStored: number
  /** Rate of content over the link, over the last ten seconds. */
  readonly bytesPerSecond: number
  /** Estimated milliseconds to the end; undefined if unknown. */
  readonly remainingMs: number | undefined
  /** The file that is being sent. */
  readonly path: RelativePath | undefined
  /** Whether the last frame was compressed. A frame that is sent plain because it does not shrink does not count. */
  readonly isCompressing: boolean
}

/** Minimum time between reports, so that they are readable and cheap. */
const REPORT_MS = 100

/** Counts a transfer, and reports at most ten times a second. */
export class ProgressMeter {
  readonly #report: ((progress: TransferProgress) => void) | undefined
  #reportedMs: number
  #nowMs: number
  #carried: MovingRate
  /** Rate of progress towards the end. */
  #moved: MovingRate
  files = 0
  bytes = 0
  carriedBytes = 0
  /** The part of `bytes` that was only read because the server has it; it says nothing about the speed of the rest. */
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

  /** Starts measuring the rates again. */
  startRates (nowMs: number): void {
    this.#carried = new MovingRate(nowMs, this.carriedBytes)
    this.#moved = new MovingRate(nowMs, this.bytes - this.skippedBytes)
  }

  /** Reports a change, unless the last report is too recent. */
  update (nowMs: number): void {
    if (this.#report === undefined || nowMs - this.#reportedMs < REPORT_MS) return
    this.finish(nowMs)
  }

  /** Reports the current state. */
  finish (nowMs: number): void {
    this.#nowMs = nowMs
    this.#carried.record(nowMs, this.carriedBytes)
    this.#moved.record(nowMs, this.bytes - this.skippedBytes)
    this.#reportedMs = nowMs
    this.#report?.(this.snapshot())
  }

  snapshot (): TransferProgress {
    const { files, bytes, carriedBytes, filesWanted, bytesWanted, isTotalKnown, filesStored, bytesStored, path, isCompressing } = this
    const bytesPerSecond = this.#carried.perSecond(this.#nowMs)
    const movedPerSecond = this.#moved.perSecond(this.#nowMs)
    const isKnown = isTotalKnown && movedPerSecond > 0
    const remainingMs = isKnown ? Math.max(0, bytesWanted - bytes) * 1000 / movedPerSecond : undefined
    return {
      files, bytes, carriedBytes, filesWanted, bytesWanted, isTotalKnown, filesStored, bytesStored, path, isCompressing,
      bytesPerSecond, remainingMs,
    }
  }
}
