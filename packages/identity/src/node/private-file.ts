import { randomBytes } from 'node:crypto'
import { link, mkdir, open, readdir, chmod, rename, stat, unlink } from 'node:fs/promises'
import { basename, dirname, join } from 'node:path'
import { errnoOf, FileSyncError, isFileSyncError } from '@filesync/protocol'

/** Bits of the mode that other users must not have. */
const OTHERS_ANY = 0o077
const OTHERS_WRITE = 0o022

/** Windows keeps a profile's files private by its own lists, and tells nothing of them in the mode. */
const HAS_MODES = process.platform !== 'win32'

/**
 * Makes the directory for state, 0700. Throws KEY_EXPOSED where other users can change it, and STATE_INVALID where it
 * cannot be used.
 */
export async function ensureStateDir (path: string): Promise<void> {
  try {
    await mkdir(path, { recursive: true, mode: 0o700 })
    const { mode } = await stat(path)
    if (!HAS_MODES || (mode & OTHERS_ANY) === 0) return
    if ((await readdir(path)).length === 0) await chmod(path, 0o700)
    else if ((mode & OTHERS_WRITE) !== 0) throw exposed(path, mode)
  } catch (error) {
    if (isFileSyncError(error)) throw error
    const why = error instanceof Error ? error.message : String(error)
    throw new FileSyncError('STATE_INVALID', `The directory ${path} cannot be used for keys and pairings: ${why}. ` +
      'Choose another one with --state-dir.', { cause: error })
  }
}

/** The text of a private file, or undefined where there is none. Throws KEY_EXPOSED where other users can read or change it. */
export async function readPrivateFile (path: string): Promise<string | undefined> {
  return await reading(path, async () => {
    const file = await open(path, 'r')
    try {
      // Of the open file, so that it cannot be exchanged between the look and the read.
      const { mode } = await file.stat()
      if (HAS_MODES && (mode & OTHERS_ANY) !== 0) throw exposed(path, mode)
      return await file.readFile('utf8')
    } finally {
      await file.close()
    }
  })
}

/** Does work that reads a file of the state; undefined where there is none. Throws STATE_INVALID where it cannot be read. */
export async function reading <R>(path: string, work: () => Promise<R>): Promise<R | undefined> {
  try {
    return await work()
  } catch (error) {
    if (isFileSyncError(error)) throw error
    if (errnoOf(error) === 'ENOENT') return undefined
    throw new FileSyncError('STATE_INVALID', `${path} cannot be read: ${error instanceof Error ? error.message : String(error)}`, { cause: error })
  }
}

/**
 * Puts a file of mode 0600 in the place of an old one, wholly or not at all; on stable storage when it resolves. Throws
 * STATE_INVALID where it cannot be written.
 */
export async function writePrivateFile (path: string, text: string): Promise<void> {
  await writing(path, async () => {
    const temporary = await writeBeside(path, text)
    try {
      await rename(temporary, path)
    } catch (error) {
      await unlink(temporary)
      throw error
    }
    await syncDirectory(dirname(path))
  })
}

/** As {@link writePrivateFile}, but leaves a file that is there and returns false. */
export async function createPrivateFile (path: string, text: string): Promise<boolean> {
  return await writing(path, async () => {
    const temporary = await writeBeside(path, text)
    try {
      await link(temporary, path)
    } catch (error) {
      if (errnoOf(error) === 'EEXIST') return false
      throw error
    } finally {
      await unlink(temporary)
    }
    await syncDirectory(dirname(path))
    return true
  })
}

/** Does work that writes a file of the state, so that what the system refuses says which file, and what to do. */
export async function writing <R>(path: string, work: () => Promise<R>): Promise<R> {
  try {
    return await work()
  } catch (cause) {
    const why = cause instanceof Error ? cause.message : String(cause)
    throw new FileSyncError('STATE_INVALID', `${path} cannot be written: ${why}. ` +
      'See that its disk has room and that this user may write there, and try again.', { cause })
  }
}

async function writeBeside (path: string, text: string): Promise<string> {
  const temporary = join(dirname(path), `.${basename(path)}.${randomBytes(6).toString('hex')}`)
  const file = await open(temporary, 'wx', 0o600)
  try {
    await file.writeFile(text)
    await file.sync()
    return temporary
  } catch (error) {
    await unlink(temporary)
    throw error
  } finally {
    await file.close()
  }
}

async function syncDirectory (path: string): Promise<void> {
  // Windows has no handle of a directory to sync; NTFS keeps renames in its own journal.
  if (!HAS_MODES) return
  const directory = await open(path, 'r')
  try {
    await directory.sync()
  } finally {
    await directory.close()
  }
}

function exposed (path: string, mode: number): FileSyncError {
  const octal = (mode & 0o777).toString(8).padStart(4, '0')
  return new FileSyncError('KEY_EXPOSED', `Other users of this machine can read or change ${path} (its mode is ${octal}), so it is not used. ` +
    `If nobody did, run: chmod go-rwx "${path}". If somebody may have, remove it and pair again.`)
}
