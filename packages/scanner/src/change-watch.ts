import { ROOT_PATH } from '@filesync/protocol'
import type { Clock, RelativePath } from '@filesync/protocol'
import type { DirtyDirectories } from './dirty-directories.ts'
import { ChangeDebouncer } from './change-debouncer.ts'
import type { ChangeBatch, WatchStatus } from './scanner.ts'
import type { TreeWatcher } from './tree-watcher.ts'

/** Pending paths that are kept apart. Changes of more paths count as changes of the root, which delays the batch. */
const MAX_PENDING_PATHS = 20_000

export interface ChangeWatchInit {
  readonly watcher: TreeWatcher
  readonly clock: Clock
  readonly settleMs: number
  /** Time between full walks while the tree is watched. */
  readonly fullWalkMs: number
  /** Time between walks while it cannot be watched. */
  readonly fallbackWalkMs: number
  /** Returns the set in which changes are marked. Every scan replaces it, so it is fetched each time. */
  readonly dirty: () => DirtyDirectories
  /** Whether changes of a path do not matter. */
  readonly isIrrelevant: (path: RelativePath) => boolean
}

const WATCHING: WatchStatus = { mode: 'watching', why: undefined }

/** Turns the events of a watcher into batches, and falls back to periodic walks if watching fails. */
export class ChangeWatch {
  readonly #init: ChangeWatchInit
  readonly #debouncer: ChangeDebouncer
  #status: WatchStatus = { mode: 'idle', why: undefined }
  #unsubscribe: (() => Promise<void>) | undefined
  #lostWhy: string | undefined
  #walkDueMs = 0
  #wake: () => void = () => { /* nothing waits yet */ }

  constructor (init: ChangeWatchInit) {
    this.#init = init
    this.#debouncer = new ChangeDebouncer(init.settleMs)
  }

  get status (): WatchStatus {
    return this.#status
  }

  async * run (signal: AbortSignal): AsyncGenerator<ChangeBatch, void, undefined> {
    if (this.#status.mode !== 'idle') throw new Error('The tree is watched already.')
    try {
      await this.#subscribe()
      yield this.#requestWalk('start')
      for (;;) yield await this.#next(signal)
    } finally {
      await this.#endWatch()
      this.#debouncer.clear()
      this.#status = { mode: 'idle', why: undefined }
    }
  }

  /** A scan succeeded: it found the changes that were missed, unless more were missed meanwhile. */
  scanCompleted (): void {
    if (this.#status.mode === 'watching' && !this.#init.dirty().everything) this.#status = WATCHING
  }

  /** Schedules a batch for when these unsettled files can have settled, even if no more events arrive. */
  expectSettled (paths: readonly RelativePath[]): void {
    if (this.#status.mode === 'idle') return
    for (const path of paths) if (!this.#debouncer.has(path)) this.#debouncer.add(path, this.#init.clock.monotonicMs())
    this.#wake()
  }

  /** What is watched is no longer the tree. */
  markLost (why: string): void {
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
        return this.#requestWalk('lost')
      }
      if (nowMs >= this.#walkDueMs) {
        if (this.#status.mode === 'walking') await this.#subscribe()
        return this.#requestWalk('interval')
      }
      const dueMs = this.#debouncer.dueMs()
      if (dueMs !== undefined && nowMs >= dueMs) return { reason: 'changes', paths: this.#debouncer.take(nowMs) }
      await this.#sleep(Math.min(dueMs ?? Infinity, this.#walkDueMs) - nowMs, signal)
    }
  }

  #requestWalk (reason: ChangeBatch['reason']): ChangeBatch {
    const { clock, fullWalkMs, fallbackWalkMs, dirty } = this.#init
    this.#walkDueMs = clock.monotonicMs() + (this.#status.mode === 'watching' ? fullWalkMs : fallbackWalkMs)
    dirty().markEverything()
    return { reason, paths: 0 }
  }

  async #subscribe (): Promise<void> {
    this.#lostWhy = undefined
    try {
      this.#unsubscribe = await this.#init.watcher.subscribe({
        changed: paths => { this.#onChanged(paths) },
        missed: why => { this.#onMissed(why) },
        lost: why => { this.markLost(why) },
      })
      this.#status = WATCHING
    } catch (error) {
      const message = error instanceof Error ? error.message : String(error)
      this.#status = { mode: 'walking', why: `The folder cannot be watched: ${message}.` }
    }
  }

  async #fallBack (why: string): Promise<void> {
    await this.#endWatch()
    this.#status = { mode: 'walking', why }
  }

  async #endWatch (): Promise<void> {
    const unsubscribe = this.#unsubscribe
    this.#unsubscribe = undefined
    await unsubscribe?.()
  }

  #onChanged (paths: readonly RelativePath[]): void {
    const { clock, dirty, isIrrelevant } = this.#init
    const nowMs = clock.monotonicMs()
    for (const path of paths) {
      if (isIrrelevant(path)) continue
      dirty().markEvent(path)
      this.#debouncer.add(this.#debouncer.size < MAX_PENDING_PATHS ? path : ROOT_PATH, nowMs)
    }
    this.#wake()
  }

  #onMissed (why: string): void {
    const { clock, dirty } = this.#init
    dirty().markEverything()
    if (this.#status.mode === 'watching') this.#status = { mode: 'watching', why }
    this.#debouncer.add(ROOT_PATH, clock.monotonicMs())
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
