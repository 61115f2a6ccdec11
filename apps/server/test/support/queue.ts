import type { FileSyncError } from '@filesync/protocol'
import { ManualClock } from '@filesync/protocol/testing'
import { SessionQueue } from '../../src/schedule/session-queue.ts'
import type { Arrival } from '../../src/schedule/session-queue.ts'

/** An arrival in the queue that ignores its position, and that never leaves by itself. */
export function arrivalOf (identity: string, more: Partial<Arrival> = {}): Arrival {
  return {
    identity,
    signal: new AbortController().signal,
    onPosition () { /* ignored */ },
    onReplaced () { /* ignored */ },
    ...more,
  }
}

/** A client in the queue, and what happened to it so far. */
export interface Visitor {
  readonly identity: string
  readonly reports: [position: number, estimateMs: number | undefined][]
  readonly replaced: string[]
  /** `waiting`, `active`, or the code of the error that ended the wait. */
  state: string
  leave: () => void
  readonly gone: AbortController
}

export interface QueueScene {
  readonly queue: SessionQueue
  readonly clock: ManualClock
  readonly arrive: (identity: string, remainingMs?: () => number | undefined) => Visitor
}

/** A queue, its clock, and a function that lets clients arrive. */
export function queueScene (init: { maxActive?: number, maxWaiting?: number } = {}): QueueScene {
  const clock = new ManualClock()
  const queue = new SessionQueue({ maxActive: init.maxActive ?? 1, maxWaiting: init.maxWaiting ?? 100, clock })
  return {
    queue,
    clock,
    arrive (identity, remainingMs) {
      const visitor: Visitor = {
        identity,
        reports: [],
        replaced: [],
        state: 'waiting',
        leave: () => { throw new Error(`${identity} is not active`) },
        gone: new AbortController(),
      }
      queue.enter({
        identity,
        signal: visitor.gone.signal,
        ...(remainingMs !== undefined && { remainingMs }),
        onPosition: (position, estimateMs) => { visitor.reports.push([position, estimateMs]) },
        onReplaced: error => { visitor.replaced.push(error.code) },
      }).then(
        leave => { visitor.state = 'active'; visitor.leave = leave },
        (error: FileSyncError) => { visitor.state = error.code },
      )
      return visitor
    },
  }
}
