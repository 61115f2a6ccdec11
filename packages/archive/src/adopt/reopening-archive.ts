import { asFileSyncError, FileSyncError } from '@filesync/protocol'
import type { Clock } from '@filesync/protocol'
import type { AdoptOptions, AdoptOutcome, Archive, Area, DiskRoom } from '../archive.ts'

/** How long to wait for an unavailable archive to close, because its disk may never answer. */
const CLOSE_WITHIN_MS = 5_000
const REOPEN_EVERY_MS = 3_000

export interface ReopeningArchiveInit {
  /** Opens the same archive again. Rejects, without changing anything, while it is unavailable. */
  readonly reopen: () => Promise<Archive>
  readonly clock: Clock
  readonly onUnavailable: (why: FileSyncError) => void
  readonly onAvailable: () => void
}

/**
 * An archive on a disk that may be disconnected and connected again. If its path no longer leads to it or its disk does not answer, it
 * is closed, which aborts everything in progress, and opened again when it is back. Until then all operations on content throw
 * ARCHIVE_UNAVAILABLE.
 */
export class ReopeningArchive implements Archive {
  readonly id: string
  readonly #init: ReopeningArchiveInit
  #open: Archive | undefined
  #unavailable: FileSyncError | undefined
  #names: readonly string[]
  #closing: Promise<void> | undefined
  #reopening: Promise<void> | undefined
  #cancelRetry: (() => void) | undefined
  #isClosed = false

  constructor (first: Archive, init: ReopeningArchiveInit) {
    this.id = first.id
    this.#open = first
    this.#names = first.areas()
    this.#init = init
  }

  // A server never opens an archive read-only.
  get isReadOnly (): boolean {
    return false
  }

  /** Why it is unavailable; undefined while it is available. */
  get unavailable (): FileSyncError | undefined {
    return this.#unavailable
  }

  /** As `Archive.ensurePresent`; closes the archive if it is unavailable, and opens it again if it is back. */
  async ensurePresent (check: 'path' | 'disk'): Promise<void> {
    await this.#closing
    const open = this.#open
    if (open === undefined) await this.#tryAgain()
    else {
      try {
        await open.ensurePresent(check)
      } catch (error) {
        if (this.#open === open) await (this.#closing ??= this.#startClosing(open, asFileSyncError(error)))
      }
    }
    this.#opened()
  }

  async area (name: string): Promise<Area> {
    return await this.#opened().area(name)
  }

  /** While the archive is unavailable, the names that the last call returned. */
  areas (): readonly string[] {
    if (this.#open !== undefined) this.#names = this.#open.areas()
    return this.#names
  }

  async takenNames (): Promise<readonly string[]> {
    return await this.#opened().takenNames()
  }

  async renameArea (from: string, to: string): Promise<void> {
    await this.ensurePresent('path')
    await this.#opened().renameArea(from, to)
  }

  async retireArea (name: string): Promise<number> {
    await this.ensurePresent('path')
    return await this.#opened().retireArea(name)
  }

  async inheritArea (name: string): Promise<void> {
    await this.ensurePresent('path')
    await this.#opened().inheritArea(name)
  }

  async dropArea (name: string): Promise<boolean> {
    await this.ensurePresent('path')
    return await this.#opened().dropArea(name)
  }

  async room (): Promise<DiskRoom> {
    await this.ensurePresent('path')
    return await this.#opened().room()
  }

  async adopt (area: string, directory: string, options?: AdoptOptions): Promise<AdoptOutcome> {
    await this.ensurePresent('path')
    return await this.#opened().adopt(area, directory, options)
  }

  async close (): Promise<void> {
    this.#isClosed = true
    this.#cancelRetry?.()
    await this.#closing
    await this.#reopening
    await this.#open?.close()
  }

  #opened (): Archive {
    if (this.#open !== undefined) return this.#open
    throw this.#unavailable ?? new FileSyncError('ABORTED', 'The archive is closed.')
  }

  async #startClosing (open: Archive, why: FileSyncError): Promise<void> {
    await this.#closeAndReopen(open, why).finally(() => { this.#closing = undefined })
  }

  async #closeAndReopen (open: Archive, why: FileSyncError): Promise<void> {
    this.#open = undefined
    this.#unavailable = why
    this.#init.onUnavailable(why)
    await this.#closeWithTimeout(open)
    await this.#tryAgain()
  }

  async #closeWithTimeout (open: Archive): Promise<void> {
    let cancel: (() => void) | undefined
    const late = new Promise<void>(resolve => { cancel = this.#init.clock.schedule(CLOSE_WITHIN_MS, resolve) })
    // Writing to a disk that is gone fails. Opening the archive again completes what closing leaves unfinished.
    await Promise.race([open.close().catch(() => undefined), late])
    cancel?.()
  }

  async #tryAgain (): Promise<void> {
    if (this.#isClosed || this.#open !== undefined) return
    await (this.#reopening ??= this.#reopen().finally(() => { this.#reopening = undefined }))
  }

  async #reopen (): Promise<void> {
    this.#cancelRetry?.()
    this.#cancelRetry = undefined
    try {
      const open = await this.#init.reopen()
      this.#open = open
      this.#unavailable = undefined
      this.#init.onAvailable()
    } catch (error) {
      this.#unavailable = asFileSyncError(error, 'ARCHIVE_UNAVAILABLE')
      if (!this.#isClosed) this.#cancelRetry = this.#init.clock.schedule(REOPEN_EVERY_MS, () => { void this.#tryAgain() })
    }
  }
}
