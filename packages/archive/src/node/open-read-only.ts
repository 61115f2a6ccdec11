import { tmpdir } from 'node:os'
import { FileSyncError, formatSize } from '@filesync/protocol'
import { hashBytes } from '@filesync/protocol/node'
import type { Archive } from '../archive.ts'
import { StoredArchive } from '../stored-archive.ts'
import { readArchiveId } from './archive-id.ts'
import type { Beneath } from './beneath.ts'
import { INDEX, OWN } from './disk-places.ts'
import * as disk from './disk.ts'
import { makeScratch, removeScratch, roomOf } from './file-system.ts'
import { LMDB_FILE } from './lmdb-file.ts'
import { openLmdbIndex } from './lmdb-index.ts'
import { openLocalStore } from './local-store.ts'
import { lockArchive } from './lock.ts'
import type { ArchiveInit } from './archive-init.ts'
import { Presence } from './presence.ts'

const COPY_BYTES = 4 << 20

/**
 * Opens an archive that cannot be written to, such as one on a failing disk that the system mounted read-only. Its index is copied:
 * LMDB reads through a memory map, where an unreadable sector ends the process instead of failing a call. Changes to the index go to
 * the copy and are lost. An unfinished sync is not recovered. `opened` collects what has to be closed.
 */
export async function openReadOnly (init: ArchiveInit, beneath: Beneath, opened: (() => Promise<void>)[]): Promise<Archive> {
  opened.push(await lockArchive(beneath, 'shared'))
  const id = readArchiveId(beneath) ?? ''
  const presence = id === '' ? undefined : new Presence({ path: init.root, beneath, id })
  const traits = { foldsNames: disk.existsAt(beneath.open(''), OWN.toUpperCase()), windowsNames: false, isReadOnly: true }
  const store = await openLocalStore({ root: beneath.root, traits, ...(presence !== undefined && { presence }) })
  opened.push(() => store.close())
  const scratch = makeScratch(tmpdir())
  opened.push(() => { removeScratch(scratch); return Promise.resolve() })
  copyIndex(beneath, scratch)
  const index = openLmdbIndex(scratch)
  opened.push(() => index.close())
  const close = async (): Promise<void> => { for (const closeOne of opened.splice(0).reverse()) await closeOne() }
  return new StoredArchive({ ...init, id, index, store, hash: hashBytes, newStaging: () => 'none', close })
}

/** Throws ARCHIVE_FULL if there is no room for the copy, and ARCHIVE_UNAVAILABLE if the index cannot be read. */
function copyIndex (beneath: Beneath, scratch: string): void {
  const from = disk.readAt(beneath.open(INDEX), LMDB_FILE)
  try {
    const { sizeBytes } = disk.statOf(from)
    if (roomOf(scratch).freeBytes < sizeBytes) {
      throw new FileSyncError('ARCHIVE_FULL', `The archive is read-only, so its index (${formatSize(sizeBytes)}) has to be copied, ` +
        `but ${tmpdir()} does not have enough room. Set TMPDIR to another directory for temporary files.`)
    }
    const to = disk.createAt(`${scratch}/`, LMDB_FILE, 0o600)
    try {
      const bytes = new Uint8Array(Math.min(COPY_BYTES, Math.max(1, sizeBytes)))
      for (let at = 0, read = 0; (read = disk.readInto(from, bytes, at)) > 0; at += read) disk.writeAll(to, bytes.subarray(0, read), at)
    } finally {
      disk.close(to)
    }
  } finally {
    disk.close(from)
  }
}
