import { backOffMs, ERRORS, asFileSyncError, wait } from '@filesync/protocol'
import type { Clock, Connection, HashBytes, RelativePath, RestoreAnswer, RestoreQuestion, FileSyncError } from '@filesync/protocol'
import { MovingRate } from '@filesync/transfer'
import { collectWhileReceiving, saveMemory } from '@filesync/program/node'
import { RestoreSession } from './restore-session.ts'
import { RestoreState } from './restore-state.ts'
import type { RestoreTarget } from './restore-target.ts'

/** What is shown while files are restored. */
export interface RestoreProgress {
  readonly files: number
  readonly bytes: number
  readonly filesTotal: number
  readonly bytesTotal: number
  readonly bytesPerSecond: number
  readonly path: RelativePath | undefined
}

export interface RunRestoreInit {
  readonly question: Omit<RestoreQuestion, 'type'>
  /** Connects to the server, and exchanges HELLO for a restore. */
  readonly connect: () => Promise<{ readonly connection: Connection, readonly holes: boolean }>
  /** Opens the directory to restore to, once it is known which state it is. */
  readonly openTarget: (answer: RestoreAnswer) => RestoreTarget
  /** Called when it is known what is restored, and where to. */
  readonly onState: (run: RestoreRun) => void
  readonly hash: HashBytes
  readonly clock: Clock
  readonly random: () => number
  readonly signal: AbortSignal
  readonly onProgress: (progress: RestoreProgress) => void
  /** Called before the wait for another attempt. */
  readonly onRetry: (error: FileSyncError, delayMs: number) => void
}

/** A restore that came to its end. */
export interface RestoreRun {
  readonly answer: RestoreAnswer
  readonly state: RestoreState
}

const RETRY = { firstMs: 1_000, maxMs: 30_000 }
/** Attempts in a row that restored nothing, after which a person has to decide. */
const ATTEMPTS = 10
const REPORT_MS = 200

/**
 * Restores a state, over as many connections as it takes. An error before the first answer, or one that another attempt cannot mend, is
 * thrown; what arrived by then is kept for the next call.
 */
export async function runRestore (init: RunRestoreInit): Promise<RestoreRun> {
  const run = new Run(init)
  try {
    const done = await run.toItsEnd()
    for (const { path, error } of done.state.target.finish()) done.state.fail(path, 'WRITE_FAILED', errnoText(error))
    done.state.target.removeWork()
    return done
  } catch (error) {
    run.state?.target.leaveWork()
    throw error
  } finally {
    run.end()
  }
}

class Run {
  readonly #init: RunRestoreInit
  state: RestoreState | undefined
  #answer: RestoreAnswer | undefined
  #restoreHeapSettings: () => void = () => { /* set by the first answer */ }
  #reportedMs = -Infinity
  readonly #rate: MovingRate
  #carriedBytes = 0

  constructor (init: RunRestoreInit) {
    this.#init = init
    this.#rate = new MovingRate(init.clock.monotonicMs())
  }

  end (): void {
    this.#restoreHeapSettings()
  }

  async toItsEnd (): Promise<RestoreRun> {
    let failures = 0
    let before = 0
    for (;;) {
      try {
        return await this.#attempt()
      } catch (caught) {
        const error = asFileSyncError(caught)
        if (this.#init.signal.aborted) throw error
        const progress = this.#carriedBytes + (this.state?.counts.files ?? 0)
        failures = progress > before ? 1 : failures + 1
        before = progress
        if (this.#answer === undefined || !canContinue(error) || failures > ATTEMPTS) throw error
        const delayMs = Math.min(error.retryInMs ?? backOffMs(failures, RETRY, this.#init.random()), RETRY.maxMs)
        this.#init.onRetry(error, delayMs)
        await wait(this.#init.clock, delayMs, this.#init.signal)
      }
    }
  }

  async #attempt (): Promise<RestoreRun> {
    const { question, connect, openTarget, hash, clock, signal } = this.#init
    const { connection, holes } = await connect()
    try {
      // All connections of one call restore the same state.
      await connection.send({ type: 'RESTORE_QUESTION', ...(this.#answer === undefined ? question : again(question, this.#answer)) })
      const answer = await connection.receive(['RESTORE_ANSWER'])
      if (this.#answer === undefined) this.#restoreHeapSettings = saveMemory(answer.files)
      this.#answer ??= answer
      const state = this.state ??= new RestoreState(openTarget(answer), hash)
      this.#init.onState({ answer: this.#answer, state })
      const receivedBefore = this.#carriedBytes
      const onProgress = (path: RelativePath | undefined, arrivingBytes: number): void => {
        this.#carriedBytes = receivedBefore + Math.max(0, arrivingBytes)
        this.#report(state, path)
      }
      const collected = collectWhileReceiving(connection)
      await new RestoreSession({ connection: collected, state, holes, clock, signal, onProgress }).run()
      await connection.close()
      this.#reportedMs = -Infinity
      this.#report(state, undefined)
      return { answer: this.#answer, state }
    } catch (error) {
      await connection.close(error)
      throw error
    }
  }

  #report (state: RestoreState, path: RelativePath | undefined): void {
    const nowMs = this.#init.clock.monotonicMs()
    if (this.#answer === undefined || nowMs - this.#reportedMs < REPORT_MS) return
    this.#reportedMs = nowMs
    this.#rate.record(nowMs, this.#carriedBytes)
    const { counts: { files, bytes } } = state
    this.#init.onProgress({
      files, bytes, filesTotal: this.#answer.files, bytesTotal: this.#answer.bytes, bytesPerSecond: this.#rate.perSecond(nowMs), path,
    })
  }
}

/** The same path at the moment that the first answer named. */
function again ({ path }: Omit<RestoreQuestion, 'type'>, { point, atMs }: RestoreAnswer): Omit<RestoreQuestion, 'type'> {
  return point === undefined ? { path, atMs } : { path, point }
}

/** Whether another connection may get further. */
function canContinue ({ code }: FileSyncError): boolean {
  // Only the operator can end a pause, and the user should learn of it at once.
  if (code === 'PAUSED') return false
  return ERRORS[code].exitCode === 75 || code === 'ARCHIVE_UNAVAILABLE' || code === 'DATA_MISMATCH' || code === 'INTERNAL'
}

function errnoText (error: unknown): string {
  return error instanceof Error && 'code' in error ? String(error.code) : String(error)
}
