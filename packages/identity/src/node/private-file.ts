import { randomBytes } from 'node:crypto'
import { link, mkdir, open, readdir, chmod, stat, unlink } from 'node:fs/promises'
import { basename, dirname, join } from 'node:path'
import { errnoOf, FileSyncError, isFileSyncError } from '@filesync/protocol'
import { renameOver } from '@filesync/protocol/node'

/** Mode bits that other users must not have. */
const OTHERS_ANY = 0o077
const OTHERS_WRITE = 0o022

/** Windows protects the files of a profile by access control lists, which the mode does not show. */
const HAS_MODES = process.platform !== 'win32'

/**
 * Creates a state directory with mode 0700. Throws KEY_EXPOSED if other users can change it, and STATE_INVALID if it cannot be
 * used.
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

/** The text of a private file, or undefined if there is none. Throws KEY_EXPOSED if other users can read or change it. */
export async function readPrivateFile (path: string): Promise<string | undefined> {
  return (await readChangedFile(path, undefined))?.text
}

/** A private file that was read, or that is as it was. */
export interface FileReading {
  /** Differs after every change: a file is replaced by another one, and an editor sets its times. */
  readonly version: string
  /** Undefined if the version is the known one. */
  readonly text: string | undefined
}

/** As {@link readPrivateFile}, but a file of a known version is not read again. */
export async function readChangedFile (path: string, knownVersion: string | undefined): Promise<FileReading | undefined> {
  return await withReadErrors(path, async () => {
    const file = await open(path, 'r')
    try {
      // The mode of the open file, so that it cannot be replaced between the check and the read.
      const { mode, ino, size, mtimeNs, ctimeNs } = await file.stat({ bigint: true })
      if (HAS_MODES && (Number(mode) & OTHERS_ANY) !== 0) throw exposed(path, Number(mode))
      const version = [ino, size, mtimeNs, ctimeNs].join(' ')
      return { version, text: version === knownVersion ? undefined : await file.readFile('utf8') }
    } finally {
      await file.close()
    }
  })
}

/** Runs work that reads a state file; undefined if there is none. Throws STATE_INVALID if it cannot be read. */
export async function withReadErrors <R>(path: string, work: () => Promise<R>): Promise<R | undefined> {
  try {
    return await work()
  } catch (error) {
    if (isFileSyncError(error)) throw error
    if (errnoOf(error) === 'ENOENT') return undefined
    const why = error instanceof Error ? error.message : String(error)
    throw new FileSyncError('STATE_INVALID', `${path} cannot be read: ${why}. Check its owner and mode.`, { cause: error })
  }
}

/**
 * Replaces a file atomically by one with mode 0600; on stable storage when it resolves. Throws STATE_INVALID if it cannot be
 * written.
 */
export async function writePrivateFile (path: string, text: string): Promise<void> {
  await withWriteErrors(path, async () => {
    const temporary = await writeBeside(path, text)
    try {
      await renameOver(temporary, path)
    } catch (error) {
      await unlink(temporary)
      throw error
    }
    await syncDirectory(dirname(path))
  })
}

/** Like {@link writePrivateFile}, but returns false if the file exists, and leaves it unchanged. */
export async function createPrivateFile (path: string, text: string): Promise<boolean> {
  return await withWriteErrors(path, async () => {
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

/** Runs work that writes a state file; its errors name the file and say what to do. Throws STATE_INVALID. */
export async function withWriteErrors <R>(path: string, work: () => Promise<R>): Promise<R> {
  try {
    return await work()
  } catch (cause) {
    const why = cause instanceof Error ? cause.message : String(cause)
    throw new FileSyncError('STATE_INVALID', `${path} cannot be written: ${why}. ` +
      'Make sure that its disk has room and that this user may write there, and try again.', { cause })
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
  // Windows cannot sync a directory; NTFS keeps renames in its journal.
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
  return new FileSyncError('KEY_EXPOSED', `Other users of this machine can read or change ${path} (mode ${octal}), so it is not used. ` +
    `If nobody has, run: chmod go-rwx "${path}". If somebody may have, remove it and pair again.`)
}
