import type { RelativePath } from '@filesync/protocol'

/** How far a transfer is, for a person or a page. */
export interface TransferProgress {
  /** Files and bytes of files that went over the link, or are answered otherwise. */
  readonly files: number
  readonly bytes: number
  /** What the server asked for so far. It may ask for more while `isTotalKnown` is false. */
  readonly filesWanted: number
  readonly bytesWanted: number
  readonly isTotalKnown: boolean
  /** What the server says is durable. */
  readonly filesStored: number
  readonly bytesStored: number
  /** Bytes of files a second, over the last seconds. */
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
/** The rate is what the last seconds were like: older samples fade with this time constant. */
const RATE_MEMORY_MS = 3_000

/** Counts a transfer, and reports at most ten times a second. */
export class ProgressMeter {
  readonly #report: ((progress: TransferProgress) => void) | undefined
  #reportedMs: number
  #sampledMs: number
  #sampledBytes = 0
  #bytesPerSecond: number | undefined
  files = 0
  bytes = 0
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
    this.#sampledMs = nowMs
  }

  /** Something changed. */
  update (nowMs: number): void {
    if (this.#report === undefined || nowMs - this.#reportedMs < REPORT_MS) return
    this.finish(nowMs)
  }

  /** Reports whatever there is to report. */
  finish (nowMs: number): void {
    this.#sample(nowMs)
    this.#reportedMs = nowMs
    this.#report?.(this.snapshot())
  }

  snapshot (): TransferProgress {
    const { files, bytes, filesWanted, bytesWanted, isTotalKnown, filesStored, bytesStored, path, isCompressing } = this
    const bytesPerSecond = this.#bytesPerSecond ?? 0
    const canTell = isTotalKnown && bytesPerSecond > 0
    const remainingMs = canTell ? Math.max(0, bytesWanted - bytes) * 1000 / bytesPerSecond : undefined
    return {
      files, bytes, filesWanted, bytesWanted, isTotalKnown, filesStored, bytesStored, path, isCompressing, bytesPerSecond, remainingMs,
    }
  }

  #sample (nowMs: number): void {
    const passedMs = nowMs - this.#sampledMs
    if (passedMs < REPORT_MS) return
    const latest = (this.bytes - this.#sampledBytes) * 1000 / passedMs
    const weight = this.#bytesPerSecond === undefined ? 1 : 1 - Math.exp(-passedMs / RATE_MEMORY_MS)
    this.#bytesPerSecond = (this.#bytesPerSecond ?? 0) * (1 - weight) + latest * weight
    this.#sampledMs = nowMs
    this.#sampledBytes = this.bytes
  }
}
