import { ROOT_PATH } from '@filesync/protocol'
import type { Clock, RelativePath } from '@filesync/protocol'
import type { DirtyDirectories } from './dirty-directories.ts'
import { QuietPaths } from './quiet-paths.ts'
import type { ChangeBatch, WatchStatus } from './scanner.ts'
import type { TreeWatcher } from './tree-watcher.ts'

/** Paths in motion that are told apart; one more costs nothing but a better guess of when they are quiet. */
const MAX_QUIET_PATHS = 20_000

export interface ChangeWatchInit {
  readonly watcher: TreeWatcher
  readonly clock: Clock
  readonly settleMs: number
  /** Between full walks while the watch is held. */
  readonly fullWalkMs: number
  /** Between walks while it is not. */
  readonly fallbackWalkMs: number
  /** The set that changes are marked in; it is asked for anew each time, because every scan takes it away. */
  readonly dirty: () => DirtyDirectories
}

const WATCHING: WatchStatus = { mode: 'watching', why: undefined }

/** Turns what a watch tells into batches, and a watch that fails into walks. */
export class ChangeWatch {
  readonly #init: ChangeWatchInit
  readonly #quiet: QuietPaths
  #status: WatchStatus = { mode: 'idle', why: undefined }
  #unsubscribe: (() => Promise<void>) | undefined
  #lostWhy: string | undefined
  #walkDueMs = 0
  #wake: () => void = () => { /* nobody waits yet */ }

  constructor (init: ChangeWatchInit) {
    this.#init = init
    this.#quiet = new QuietPaths(init.settleMs)
  }

  get status (): WatchStatus {
    return this.#status
  }

  async * run (signal: AbortSignal): AsyncGenerator<ChangeBatch, void, undefined> {
    if (this.#status.mode !== 'idle') throw new Error('a tree is watched once at a time')
    try {
      await this.#subscribe()
      yield this.#walkNow('start')
      for (;;) yield await this.#next(signal)
    } finally {
      await this.#end()
      this.#quiet.clear()
      this.#status = { mode: 'idle', why: undefined }
    }
  }

  /** A scan ended well: what was missed has been found, unless more was missed meanwhile. */
  scanEnds (): void {
    if (this.#status.mode === 'watching' && !this.#init.dirty().everything) this.#status = WATCHING
  }

  /** The scan found these files in motion; wakes when they may have come to rest, even if nothing more is told. */
  expect (paths: readonly RelativePath[]): void {
    if (this.#status.mode === 'idle') return
    for (const path of paths) if (!this.#quiet.has(path)) this.#quiet.note(path, this.#init.clock.monotonicMs())
    this.#wake()
  }

  /** The watch is held on something that is not the tree any more. */
  lose (why: string): void {
    this.#lostWhy ??= why
    this.#wake()
  }

  async #next (signal: AbortSignal): Promise<ChangeBatch> {
    const { clock } = this.#init
    for (;;) {
      signal.throwIfAborted()
      const nowMs = clock.monotonicMs()
      if (this.#lostWhy !== undefined && this.#status.mode === 'watching') {
        await this.#fallBack(this.#lostWhy)
        return this.#walkNow('lost')
      }
      if (nowMs >= this.#walkDueMs) {
        if (this.#status.mode === 'walking') await this.#subscribe()
        return this.#walkNow('interval')
      }
      const dueMs = this.#quiet.dueMs()
      if (dueMs !== undefined && nowMs >= dueMs) return { reason: 'changes', paths: this.#quiet.take(nowMs) }
      await this.#sleep(Math.min(dueMs ?? Infinity, this.#walkDueMs) - nowMs, signal)
    }
  }

  #walkNow (reason: ChangeBatch['reason']): ChangeBatch {
    const { clock, fullWalkMs, fallbackWalkMs, dirty } = this.#init
    this.#walkDueMs = clock.monotonicMs() + (this.#status.mode === 'watching' ? fullWalkMs : fallbackWalkMs)
    dirty().markEverything()
    return { reason, paths: 0 }
  }

  async #subscribe (): Promise<void> {
    this.#lostWhy = undefined
    try {
      this.#unsubscribe = await this.#init.watcher.subscribe({
        changed: paths => { this.#changed(paths) },
        missed: why => { this.#missed(why) },
        lost: why => { this.lose(why) },
      })
      this.#status = WATCHING
    } catch (error) {
      this.#status = { mode: 'walking', why: `The directory cannot be watched: ${error instanceof Error ? error.message : String(error)}.` }
    }
  }

  async #fallBack (why: string): Promise<void> {
    await this.#end()
    this.#status = { mode: 'walking', why }
  }

  async #end (): Promise<void> {
    const unsubscribe = this.#unsubscribe
    this.#unsubscribe = undefined
    await unsubscribe?.()
  }

  #changed (paths: readonly RelativePath[]): void {
    const { clock, dirty } = this.#init
    const nowMs = clock.monotonicMs()
    for (const path of paths) {
      dirty().markEvent(path)
      this.#quiet.note(this.#quiet.size < MAX_QUIET_PATHS ? path : ROOT_PATH, nowMs)
    }
    this.#wake()
  }

  #missed (why: string): void {
    const { clock, dirty } = this.#init
    dirty().markEverything()
    if (this.#status.mode === 'watching') this.#status = { mode: 'watching', why }
    this.#quiet.note(ROOT_PATH, clock.monotonicMs())
    this.#wake()
  }

  async #sleep (delayMs: number, signal: AbortSignal): Promise<void> {
    const woken = Promise.withResolvers<void>()
    const wake = (): void => { woken.resolve() }
    const cancel = this.#init.clock.schedule(delayMs, wake)
    this.#wake = wake
    signal.addEventListener('abort', wake, { once: true })
    try {
      await woken.promise
    } finally {
      cancel()
      signal.removeEventListener('abort', wake)
    }
  }
}
