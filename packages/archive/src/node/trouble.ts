import { errnoOf, FileSyncError } from '@filesync/protocol'

const FULL = new Set(['ENOSPC', 'EDQUOT'])
/** Larger than a file may be there: 4 GiB on FAT. */
const TOO_LARGE = 'EFBIG'
const UNAVAILABLE = new Set(['EIO', 'EROFS', 'EMFILE', 'ENFILE', 'ENODEV', 'ENXIO', 'ESTALE', 'ETIMEDOUT', 'ENOMEM'])
const REFUSED = new Set(['EACCES', 'EPERM'])

/** Whether a system error says that there is no more room: for what is being written now, and perhaps for less all the same. */
export function isFull (error: unknown): boolean {
  return FULL.has(errnoOf(error)) || errnoOf(error) === TOO_LARGE
}

/** What is told of a file that the system had no room for. */
export function fullTrouble (error: unknown): string {
  const code = errnoOf(error)
  if (code === TOO_LARGE) return `the file system of the archive does not allow files this large (${code})`
  const what = code === 'EDQUOT' ? 'the quota of the user that runs the server ran out' : 'the archive disk became full'
  return `${what} while it was written (${code}). Free some space on the server`
}

/** The error that ends a sync, where a system error says that the store as a whole is in trouble; undefined where one file is. */
export function storeTrouble (error: unknown): FileSyncError | undefined {
  const code = errnoOf(error)
  if (FULL.has(code)) {
    const what = code === 'EDQUOT' ? 'The quota of the user that runs the server is used up' : 'The archive disk is full'
    return new FileSyncError('ARCHIVE_FULL', `${what} (${code}). Free some space on the server, then sync again.`, { cause: error })
  }
  if (UNAVAILABLE.has(code)) {
    return new FileSyncError('ARCHIVE_UNAVAILABLE', `The archive disk reported an error (${code}). Check the server's disk and its system log.`, { cause: error })
  }
  return error instanceof FileSyncError && error.code !== 'ARCHIVE_ESCAPE' ? error : undefined
}

/** For an error that could be the trouble of one file: throws that of the whole store instead, where it is that. */
export function throwIfStoreTrouble (error: unknown): void {
  const trouble = storeTrouble(error)
  if (trouble !== undefined) throw trouble
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

/** What happened to one file, for a person; without paths of the server. */
export function fileTrouble (error: unknown): string {
  const code = errnoOf(error)
  const meaning = MEANINGS[code]
  if (meaning !== undefined) return `${meaning} (${code})`
  return code === '' && error instanceof Error ? error.message : `the file system refused it (${code})`
}

/**
 * The error that ends what is done for the archive as a whole, such as opening it or its staging, where the system refused that; undefined
 * for what is no error of the system. Its own text would name a path that only this process knows.
 */
export function ownTrouble (error: unknown): FileSyncError | undefined {
  const trouble = storeTrouble(error)
  if (trouble !== undefined || errnoOf(error) === '' || error instanceof FileSyncError) return trouble
  const fix = REFUSED.has(errnoOf(error))
    ? 'Make the user that runs the server the owner of the archive and of everything in it.'
    : 'Check the folder .filesync in the archive; only the server may change it.'
  return new FileSyncError('ARCHIVE_UNAVAILABLE', `The archive cannot be used: ${fileTrouble(error)}. ${fix}`, { cause: error })
}
