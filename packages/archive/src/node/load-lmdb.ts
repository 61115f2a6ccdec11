import { createRequire } from 'node:module'
import { FileSyncError } from '@filesync/protocol'
import type { open } from 'lmdb'

/**
 * The library of the index, which is native code without a substitute. Loaded when an index is opened, so that everything
 * else of this package works where there is no build of it. Throws ARCHIVE_UNAVAILABLE with what to do.
 */
export function loadLmdb (): { readonly open: typeof open } {
  try {
    return createRequire(import.meta.url)('lmdb') as { readonly open: typeof open }
  } catch (cause) {
    throw new FileSyncError('ARCHIVE_UNAVAILABLE', 'The archive index needs the library lmdb, and no build of it for this platform ' +
      `(${process.platform} ${process.arch}) could be loaded. Reinstall with optional dependencies ("npm install" ` +
      'without --omit=optional). If there is no prebuilt version, install a C++ compiler and Python first, so that it can be compiled.', { cause })
  }
}
