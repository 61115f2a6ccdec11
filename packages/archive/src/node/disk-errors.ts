import { errnoOf, FileSyncError } from '@filesync/protocol'

const FULL = new Set(['ENOSPC', 'EDQUOT'])
/** The file would be too large for the file system: 4 GiB on FAT. */
const TOO_LARGE = 'EFBIG'
const UNAVAILABLE = new Set(['EIO', 'EROFS', 'EMFILE', 'ENFILE', 'ENODEV', 'ENXIO', 'ESTALE', 'ETIMEDOUT', 'ENOMEM'])
const REFUSED = new Set(['EACCES', 'EPERM'])

/** Whether a system error means that there is no room for what is being written; there may still be room for less. */
export function isFull (error: unknown): boolean {
  return FULL.has(errnoOf(error)) || errnoOf(error) === TOO_LARGE
}

/** Describes the problem of a file that the system had no room for. */
export function describeNoRoom (error: unknown): string {
  const code = errnoOf(error)
  if (code === TOO_LARGE) return `the file system of the archive does not allow files this large (${code})`
  const what = code === 'EDQUOT' ? 'the quota of the user that runs the server ran out' : 'the archive disk became full'
  return `${what} while it was written (${code}). Free some space on the server`
}

/** The error that ends a sync, if a system error concerns the store as a whole; undefined if it concerns one file. */
export function storeError (error: unknown): FileSyncError | undefined {
  const code = errnoOf(error)
  if (FULL.has(code)) {
    const what = code === 'EDQUOT' ? 'The quota of the user that runs the server is used up' : 'The archive disk is full'
    return new FileSyncError('ARCHIVE_FULL', `${what} (${code}). Free some space on the server, then sync again.`, { cause: error })
  }
  if (UNAVAILABLE.has(code)) {
    return new FileSyncError('ARCHIVE_UNAVAILABLE', `The archive disk reported an error (${code}). ` +
      'Check the server\'s disk and its system log.', { cause: error })
  }
  return error instanceof FileSyncError && error.code !== 'ARCHIVE_ESCAPE' ? error : undefined
}

/** For an error that may concern one file only: throws if it concerns the store as a whole. */
export function throwIfStoreError (error: unknown): void {
  const ofStore = storeError(error)
  if (ofStore !== undefined) throw ofStore
}

const MEANINGS: Readonly<Record<string, string>> = {
  ELOOP: 'a symbolic link is in the archive where a directory or file should be',
  ENOTDIR: 'something else is in the archive where a directory should be',
  ENOENT: 'its directory in the archive is missing',
  EACCES: 'the server has no permission there',
  EPERM: 'the server has no permission there',
  ENAMETOOLONG: 'the name is too long for the file system of the archive',
  EXDEV: 'another file system is mounted there inside the archive',
  ENOTREG: 'something that is not a regular file is in its place',
}

/** Describes the problem of one file for a person, without paths of the server. */
export function describeFileError (error: unknown): string {
  const code = errnoOf(error)
  const meaning = MEANINGS[code]
  if (meaning !== undefined) return `${meaning} (${code})`
  return code === '' && error instanceof Error ? error.message : `the file system refused it (${code})`
}

/**
 * The error that ends an operation on the archive as a whole, such as opening it or its staging, if the system refused that; undefined
 * for other errors. The text of a system error is not used, because it names a path that is valid only in this process.
 */
export function archiveError (error: unknown): FileSyncError | undefined {
  const ofStore = storeError(error)
  if (ofStore !== undefined || errnoOf(error) === '' || error instanceof FileSyncError) return ofStore
  const fix = REFUSED.has(errnoOf(error))
    ? 'Make the user that runs the server the owner of the archive and of everything in it.'
    : 'Check the folder .filesync in the archive; only the server may change it.'
  return new FileSyncError('ARCHIVE_UNAVAILABLE', `The archive cannot be used: ${describeFileError(error)}. ${fix}`, { cause: error })
}
