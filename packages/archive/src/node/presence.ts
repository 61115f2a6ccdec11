import { ARCHIVE_ID_FILE, errnoOf, FileSyncError } from '@filesync/protocol'
import { ID_FILE_BYTES, parseArchiveId } from './archive-id.ts'
import { HOLDS_HANDLES } from './beneath.ts'
import type { Beneath } from './beneath.ts'
import { OWN } from './disk-places.ts'
import * as disk from './disk.ts'
import { pageAlignedBuffer } from './page-aligned.ts'

/** `path`: the path of the archive leads to it. `disk`: its disk answers as well, asked past the memory of the system. */
export type PresenceCheck = 'path' | 'disk'

export interface PresenceInit {
  /** As it was given, so that a link on the way counts that points elsewhere by now. */
  readonly path: string
  readonly beneath: Beneath
  readonly id: string
}

/**
 * Whether the path of an archive still leads to the archive that is held open. A disk that is mounted over it, pulled out, or
 * exchanged leaves the open directories as they were: what is written there, nobody sees and nobody finds again.
 */
export class Presence {
  readonly #init: PresenceInit
  readonly #root: disk.Stat
  /** FUSE may number a directory again; the device and the id still tell. */
  readonly #comparesInode: boolean

  constructor (init: PresenceInit) {
    this.#init = init
    this.#root = disk.statOf(init.beneath.handle(''))
    this.#comparesInode = !disk.isFuse(init.beneath.open(''))
  }

  /** Throws ARCHIVE_UNAVAILABLE if it does not, or if its disk does not answer. */
  async ensure (check: PresenceCheck): Promise<void> {
    const { path, id } = this.#init
    try {
      const now = await disk.lookAt(path)
      if (now.device !== this.#root.device || (this.#comparesInode && now.inode !== this.#root.inode)) {
        throw elsewhere(path, 'another directory is there, or another disk is mounted')
      }
      const found = parseArchiveId(await disk.readBeginning(`${path}/${OWN}/${ARCHIVE_ID_FILE}`, new Uint8Array(ID_FILE_BYTES)))
      if (found !== id) throw elsewhere(path, found === undefined ? 'what is there has no archive id' : `what is there has the id ${found.slice(0, 8)}`)
      if (check === 'disk') await this.#askDisk()
    } catch (cause) {
      const code = errnoOf(cause)
      if (code === '' || cause instanceof FileSyncError) throw cause
      throw ['ENOENT', 'ENOTDIR', 'ELOOP'].includes(code) ? elsewhere(path, code, cause) : silent(path, code, cause)
    }
  }

  async #askDisk (): Promise<void> {
    // Elsewhere the page cache cannot be passed by.
    if (!HOLDS_HANDLES) return
    const file = `${this.#init.beneath.open('')}${OWN}/${ARCHIVE_ID_FILE}`
    // Some file systems refuse to be read past the cache.
    const content = await disk.readBeginningDirect(file, pageAlignedBuffer(ID_FILE_BYTES)) ?? await disk.readBeginning(file, new Uint8Array(ID_FILE_BYTES))
    if (parseArchiveId(content) !== this.#init.id) throw elsewhere(this.#init.path, 'its id is damaged')
  }
}

/** The path of an archive leads to something else than the archive that is held. */
export function elsewhere (path: string, why: string, cause?: unknown): FileSyncError {
  return new FileSyncError('ARCHIVE_UNAVAILABLE', `The archive that the server opened is no longer at ${path} (${why}). ` +
    'On the server, check that its disk is mounted; if the archive was moved, restart the server with its new path.', { cause })
}

function silent (path: string, code: string, cause: unknown): FileSyncError {
  return new FileSyncError('ARCHIVE_UNAVAILABLE', `The disk of the archive at ${path} does not answer (${code}). ` +
    'On the server, check that it is connected and mounted, and look at the system log.', { cause })
}
