import { createRequire } from 'node:module'
import { FileSyncError } from '@filesync/protocol'
import type { open } from 'lmdb'

/**
 * Loads the library of the index, which is native code without a substitute. Called when an index is opened, so that the rest of
 * this package works without a build of it. Throws ARCHIVE_UNAVAILABLE.
 */
export function loadLmdb (): { readonly open: typeof open } {
  try {
    return createRequire(import.meta.url)('lmdb') as { readonly open: typeof open }
  } catch (cause) {
    throw new FileSyncError('ARCHIVE_UNAVAILABLE', 'The archive index needs the library lmdb, and no build of it for this platform ' +
      `(${process.platform} ${process.arch}) could be loaded. Reinstall with optional dependencies ("npm install" ` +
      'without --omit=optional). If there is no prebuilt version, install a C++ compiler and Python first, so that it can be compiled.',
    { cause })
  }
}
