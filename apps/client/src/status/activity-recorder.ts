import type { Clock } from '@filesync/protocol'
import { MovingRate } from '@filesync/transfer'
import type { RunWatcher } from '../push/push-once.ts'
import { atRate } from './run-record.ts'
import type { Activity, RunRecord } from './run-record.ts'

/** Keeps the activity of a {@link RunRecord} up to date from the callbacks of a run. */
export class ActivityRecorder {
  readonly #record: RunRecord
  readonly #clock: Clock
  /** The rate of the current transfer. */
  #rate: MovingRate | undefined

  constructor (record: RunRecord, clock: Clock) {
    this.#record = record
    this.#clock = clock
  }

  /** The current activity, with the current rate. */
  get activity (): Activity {
    return atRate(this.#record.activity, this.#rate?.perSecond(this.#clock.monotonicMs()) ?? 0)
  }

  /** Callbacks for a run that record the activity and then call `watcher`. */
  callbacks (watcher: RunWatcher): RunWatcher {
    return {
      onBusy: (position, estimateMs) => {
        this.#record.activity = { doing: 'queued', position, estimateMs }
        watcher.onBusy(position, estimateMs)
      },
      onReady: status => {
        this.#rate = undefined
        this.#record.activity = { doing: 'comparing' }
        watcher.onReady(status)
      },
      onProgress: progress => {
        const { carriedBytes, files, filesWanted, bytes, bytesWanted, bytesPerSecond, remainingMs, path, isCompressing } = progress
        const nowMs = this.#clock.monotonicMs()
        this.#rate ??= new MovingRate(nowMs)
        this.#rate.record(nowMs, carriedBytes)
        this.#record.activity = {
          doing: 'sending', files, filesWanted, bytes, bytesWanted, bytesPerSecond, remainingMs, path, isCompressing,
        }
        watcher.onProgress(progress)
      },
    }
  }
}
