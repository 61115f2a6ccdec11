import { randomBytes } from 'node:crypto'
import { isAbsolute, resolve } from 'node:path'
import { FileSyncError } from '@filesync/protocol'
import { hashBytes } from '@filesync/protocol/node'
import type { Archive } from '../archive.ts'
import { recover } from '../upkeep/recover.ts'
import { finishRenaming } from '../upkeep/rename-area.ts'
import { StoredArchive } from '../stored-archive.ts'
import { ensureArchiveId, makeArchiveId, readArchiveId } from './archive-id.ts'
import type { ArchiveInit } from './archive-init.ts'
import { Beneath, existsPath, makeRoot } from './beneath.ts'
import { openDiskCopy } from './disk-copy.ts'
import { INDEX, OWN } from './disk-places.ts'
import { isReadOnly } from './file-system.ts'
import { openLmdbIndex } from './lmdb-index.ts'
import { openLocalStore } from './local-store.ts'
import { lockArchive } from './lock.ts'
import { ensureLocalDisk } from './network-disk.ts'
import { openReadOnly } from './open-read-only.ts'
import { Presence } from './presence.ts'
import { probeTraits } from './probe.ts'
import { archiveError, storeError } from './disk-errors.ts'

/**
 * Opens an archive for this process, and recovers from a crash. Throws STATE_IN_USE if another process holds the archive,
 * ARCHIVE_UNAVAILABLE, ARCHIVE_ESCAPE and ARCHIVE_FULL. A directory that is not the expected archive is not changed.
 */
export async function openArchive (init: ArchiveInit): Promise<Archive> {
  const root = isAbsolute(init.root) ? init.root : resolve(init.root)
  const opened: (() => Promise<void>)[] = []
  try {
    if (init.mustExist === true) ensureArchiveAt(root)
    if (init.expectedId === undefined) prepareRoot(root)
    else if (!existsPath(root)) ensureArchiveId(root, undefined, init.expectedId)
    const beneath = new Beneath(root)
    opened.push(() => { beneath.close(); return Promise.resolve() })
    if (init.expectedId !== undefined) ensureArchiveId(root, readArchiveId(beneath), init.expectedId)
    if (init.mayBeReadOnly === true && isReadOnly(beneath.open(''))) return await openReadOnly({ ...init, root }, beneath, opened)
    if (init.allowNetworkDisk !== true) ensureLocalDisk(beneath)
    opened.push(await lockArchive(beneath))
    const id = readArchiveId(beneath) ?? makeArchiveId(beneath)
    const presence = new Presence({ path: root, beneath, id })
    const store = await openLocalStore({ root: beneath.root, traits: probeTraits(beneath), presence })
    opened.push(() => store.close())
    beneath.open(INDEX, 'make')
    const index = openLmdbIndex(`${beneath.root}/${INDEX}`)
    opened.push(() => index.close())
    // The index was opened by its path, where another disk may have been mounted since the root was opened.
    await presence.ensure('path')
    for (const area of index.areas()) await finishRenaming({ area, index, store, hash: hashBytes, clock: init.clock })
    for (const area of index.areas()) await recover({ area, index, store, hash: hashBytes, clock: init.clock })
    await store.discard(undefined)
    return new StoredArchive({
      ...init,
      id,
      index,
      store,
      hash: hashBytes,
      newStaging: () => randomBytes(8).toString('hex'),
      openCopy: (place, directory) => openDiskCopy(beneath.root, place, directory),
      close: () => closeAll(opened),
    })
  } catch (error) {
    await closeAll(opened)
    throw archiveError(error) ?? error
  }
}

function ensureArchiveAt (root: string): void {
  if (existsPath(`${root}/${OWN}`)) return
  throw new FileSyncError('ARCHIVE_UNAVAILABLE', `There is no archive at ${root}: it has no folder ${OWN}. ` +
    'Check that its disk is mounted, and that --archive names the same directory as for "filesync-server start".')
}

function prepareRoot (root: string): void {
  try {
    makeRoot(root)
  } catch (cause) {
    throw storeError(cause) ?? new FileSyncError('ARCHIVE_UNAVAILABLE', `The archive ${root} cannot be created or is not a directory. ` +
      'Choose another directory with --archive.', { cause })
  }
}

async function closeAll (opened: (() => Promise<void>)[]): Promise<void> {
  for (let close = opened.pop(); close !== undefined; close = opened.pop()) await close()
}
