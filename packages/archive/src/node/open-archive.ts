import { randomBytes } from 'node:crypto'
import { isAbsolute, resolve } from 'node:path'
import { FileSyncError } from '@filesync/protocol'
import { hashBytes } from '@filesync/protocol/node'
import type { Archive, ArchiveSettings } from '../archive.ts'
import { recover } from '../recover.ts'
import { StoredArchive } from '../stored-archive.ts'
import { Beneath, makeRoot } from './beneath.ts'
import { openDiskCopy } from './disk-copy.ts'
import { INDEX } from './disk-places.ts'
import { openLmdbIndex } from './lmdb-index.ts'
import { openLocalStore } from './local-store.ts'
import { lockArchive } from './lock.ts'
import { probeTraits } from './probe.ts'
import { ownTrouble, storeTrouble } from './trouble.ts'

export interface ArchiveInit extends ArchiveSettings {
  /** The directory of the archive; made where it does not exist. */
  readonly root: string
}

/**
 * Opens an archive for this process and puts in order what a crash left. Throws STATE_IN_USE where another process has
 * it, ARCHIVE_UNAVAILABLE, ARCHIVE_ESCAPE, ARCHIVE_FULL.
 */
export async function openArchive (init: ArchiveInit): Promise<Archive> {
  const root = isAbsolute(init.root) ? init.root : resolve(init.root)
  const opened: (() => Promise<void>)[] = []
  try {
    prepareRoot(root)
    const beneath = new Beneath(root)
    opened.push(() => { beneath.close(); return Promise.resolve() })
    opened.push(await lockArchive(beneath))
    const store = await openLocalStore({ root: beneath.root, traits: probeTraits(beneath) })
    opened.push(() => store.close())
    beneath.open(INDEX, 'make')
    const index = openLmdbIndex(`${beneath.root}/${INDEX}`)
    opened.push(() => index.close())
    for (const area of index.areas()) await recover({ area, index, store, hash: hashBytes })
    await store.discard(undefined)
    return new StoredArchive({ ...init, index, store, hash: hashBytes, newStaging: () => randomBytes(8).toString('hex'), openCopy: (area, directory) => openDiskCopy(beneath.root, area, directory), close: () => closeAll(opened) })
  } catch (error) {
    await closeAll(opened)
    throw ownTrouble(error) ?? error
  }
}

function prepareRoot (root: string): void {
  try {
    makeRoot(root)
  } catch (cause) {
    throw storeTrouble(cause) ?? new FileSyncError('ARCHIVE_UNAVAILABLE', `The archive ${root} cannot be made or is not a directory. Give another directory with --archive.`, { cause })
  }
}

async function closeAll (opened: (() => Promise<void>)[]): Promise<void> {
  for (let close = opened.pop(); close !== undefined; close = opened.pop()) await close()
}
