import { ARCHIVE_ID_FILE, errnoOf, FileSyncError } from '@filesync/protocol'
import { ID_FILE_BYTES, parseArchiveId } from './archive-id.ts'
import { HOLDS_HANDLES } from './beneath.ts'
import type { Beneath } from './beneath.ts'
import { OWN } from './disk-places.ts'
import { readBeginning, readBeginningDirect, statPath } from './disk-async.ts'
import * as disk from './disk.ts'
import { isFuse } from './file-system.ts'
import { pageAlignedBuffer } from './page-aligned.ts'

/** `path`: the path of the archive leads to it. `disk`: its disk answers as well, past the page cache of the system. */
export type PresenceCheck = 'path' | 'disk'

export interface PresenceInit {
  /** As configured, so that a link in the path that now points elsewhere is detected. */
  readonly path: string
  readonly beneath: Beneath
  readonly id: string
}

/**
 * Checks whether the path of an archive still leads to the archive that is held open. If a disk is mounted over it, pulled out or
 * exchanged, the open directories remain usable, but nobody sees or ever finds what is written there.
 */
export class Presence {
  readonly #init: PresenceInit
  readonly #root: disk.Stat
  /** FUSE may give a directory another inode number; the device and the archive id still identify it. */
  readonly #comparesInode: boolean

  constructor (init: PresenceInit) {
    this.#init = init
    this.#root = disk.statOf(init.beneath.handle(''))
    this.#comparesInode = !isFuse(init.beneath.open(''))
  }

  /** Throws ARCHIVE_UNAVAILABLE if the path no longer leads to the archive, or if its disk does not answer. */
  async ensure (check: PresenceCheck): Promise<void> {
    const { path, id } = this.#init
    try {
      const now = await statPath(path)
      if (now.device !== this.#root.device || (this.#comparesInode && now.inode !== this.#root.inode)) {
        throw archiveNotAtPath(path, 'another directory is there, or another disk is mounted')
      }
      const found = parseArchiveId(await readBeginning(`${path}/${OWN}/${ARCHIVE_ID_FILE}`, new Uint8Array(ID_FILE_BYTES)))
      if (found === undefined) throw archiveNotAtPath(path, 'what is there has no archive id')
      if (found !== id) throw archiveNotAtPath(path, `what is there has the id ${found.slice(0, 8)}`)
      if (check === 'disk') await this.#askDisk()
    } catch (cause) {
      const code = errnoOf(cause)
      if (code === '' || cause instanceof FileSyncError) throw cause
      throw ['ENOENT', 'ENOTDIR', 'ELOOP'].includes(code) ? archiveNotAtPath(path, code, cause) : diskUnresponsive(path, code, cause)
    }
  }

  async #askDisk (): Promise<void> {
    // On other systems the page cache cannot be bypassed.
    if (!HOLDS_HANDLES) return
    const file = `${this.#init.beneath.open('')}${OWN}/${ARCHIVE_ID_FILE}`
    // Some file systems cannot be read past the cache.
    const direct = await readBeginningDirect(file, pageAlignedBuffer(ID_FILE_BYTES))
    const content = direct ?? await readBeginning(file, new Uint8Array(ID_FILE_BYTES))
    if (parseArchiveId(content) !== this.#init.id) throw archiveNotAtPath(this.#init.path, 'its id is damaged')
  }
}

/** The error if the path of an archive does not lead to the archive that is held open. */
export function archiveNotAtPath (path: string, why: string, cause?: unknown): FileSyncError {
  return new FileSyncError('ARCHIVE_UNAVAILABLE', `The archive that the server opened is no longer at ${path} (${why}). ` +
    'On the server, check that its disk is mounted; if the archive was moved, restart the server with its new path.', { cause })
}

function diskUnresponsive (path: string, code: string, cause: unknown): FileSyncError {
  return new FileSyncError('ARCHIVE_UNAVAILABLE', `The disk of the archive at ${path} does not answer (${code}). ` +
    'On the server, check that it is connected and mounted, and look at the system log.', { cause })
}
