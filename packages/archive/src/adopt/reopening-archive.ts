import { asFileSyncError, FileSyncError } from '@filesync/protocol'
import type { Clock } from '@filesync/protocol'
import type { AdoptOptions, AdoptOutcome, Archive, Area, DiskRoom } from '../archive.ts'

/** How long an archive that went away is closed, whose disk may never answer. */
const CLOSE_WITHIN_MS = 5_000
const REOPEN_EVERY_MS = 3_000

export interface ReopeningArchiveInit {
  /** Opens the same archive once more. Rejects as long as it is away, and changes nothing then. */
  readonly reopen: () => Promise<Archive>
  readonly clock: Clock
  readonly onUnavailable: (why: FileSyncError) => void
  readonly onAvailable: () => void
}

/**
 * An archive on a disk that may be pulled out and plugged in again. When its path no longer leads to it, or its disk does not
 * answer, it is closed, which cuts off whatever is under way, and opened again as soon as it is back. Meanwhile everything that asks
 * for content ends with ARCHIVE_UNAVAILABLE.
 */
export class ReopeningArchive implements Archive {
  readonly id: string
  readonly #init: ReopeningArchiveInit
  #held: Archive | undefined
  #away: FileSyncError | undefined
  #names: readonly string[]
  #leaving: Promise<void> | undefined
  #reopening: Promise<void> | undefined
  #cancelRetry: (() => void) | undefined
  #isClosed = false

  constructor (first: Archive, init: ReopeningArchiveInit) {
    this.id = first.id
    this.#held = first
    this.#names = first.areas()
    this.#init = init
  }

  // What can only be read is not served.
  get isReadOnly (): boolean {
    return false
  }

  /** Why it is away; undefined while it is here. */
  get unavailable (): FileSyncError | undefined {
    return this.#away
  }

  /** As that of any archive; one that turns out to be away, or to be back, is closed and opened again first. */
  async ensurePresent (check: 'path' | 'disk'): Promise<void> {
    await this.#leaving
    const held = this.#held
    if (held === undefined) await this.#tryAgain()
    else {
      try {
        await held.ensurePresent(check)
      } catch (error) {
        if (this.#held === held) await (this.#leaving ??= this.#leave(held, asFileSyncError(error)).finally(() => { this.#leaving = undefined }))
      }
    }
    this.#present()
  }

  async area (name: string): Promise<Area> {
    return await this.#present().area(name)
  }

  /** While the archive is away, those that it had when they were asked for last: its index is not read any more. */
  areas (): readonly string[] {
    if (this.#held !== undefined) this.#names = this.#held.areas()
    return this.#names
  }

  async takenNames (): Promise<readonly string[]> {
    return await this.#present().takenNames()
  }

  async room (): Promise<DiskRoom> {
    await this.ensurePresent('path')
    return await this.#present().room()
  }

  async adopt (area: string, directory: string, options?: AdoptOptions): Promise<AdoptOutcome> {
    await this.ensurePresent('path')
    return await this.#present().adopt(area, directory, options)
  }

  async close (): Promise<void> {
    this.#isClosed = true
    this.#cancelRetry?.()
    await this.#leaving
    await this.#reopening
    await this.#held?.close()
  }

  #present (): Archive {
    if (this.#held !== undefined) return this.#held
    throw this.#away ?? new FileSyncError('ABORTED', 'The archive is closed.')
  }

  async #leave (held: Archive, why: FileSyncError): Promise<void> {
    this.#held = undefined
    this.#away = why
    this.#init.onUnavailable(why)
    await this.#closeInTime(held)
    await this.#tryAgain()
  }

  async #closeInTime (held: Archive): Promise<void> {
    let cancel: (() => void) | undefined
    const late = new Promise<void>(resolve => { cancel = this.#init.clock.schedule(CLOSE_WITHIN_MS, resolve) })
    // A disk that is gone refuses what closing would still write; the next opening puts in order what that leaves.
    await Promise.race([held.close().catch(() => undefined), late])
    cancel?.()
  }

  async #tryAgain (): Promise<void> {
    if (this.#isClosed || this.#held !== undefined) return
    await (this.#reopening ??= this.#reopen().finally(() => { this.#reopening = undefined }))
  }

  async #reopen (): Promise<void> {
    this.#cancelRetry?.()
    this.#cancelRetry = undefined
    try {
      const held = await this.#init.reopen()
      this.#held = held
      this.#away = undefined
      this.#init.onAvailable()
    } catch (error) {
      this.#away = asFileSyncError(error, 'ARCHIVE_UNAVAILABLE')
      if (!this.#isClosed) this.#cancelRetry = this.#init.clock.schedule(REOPEN_EVERY_MS, () => { void this.#tryAgain() })
    }
  }
}
