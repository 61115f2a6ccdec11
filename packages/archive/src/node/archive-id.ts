import { randomBytes } from 'node:crypto'
import { ARCHIVE_ID_FILE, archiveIdOf, errnoOf, FileSyncError } from '@filesync/protocol'
import type { Beneath } from './beneath.ts'
import { OWN } from './disk-places.ts'
import { flushDirectory } from './disk-directories.ts'
import * as disk from './disk.ts'

/** A whole block, so that reading it past the page cache reaches the disk and is not answered from the inode. */
export const ID_FILE_BYTES = 4096
const EXPLANATION = 'By this id a FileSync server knows its archive again. Leave the file here; a copy of the whole archive may keep it.\n'

/** The id of an archive, 32 hexadecimal digits; undefined if it has none. Throws errors of the system. */
export function readArchiveId (beneath: Beneath): string | undefined {
  try {
    const fd = disk.readAt(beneath.open(OWN), ARCHIVE_ID_FILE)
    try {
      const bytes = new Uint8Array(ID_FILE_BYTES)
      return parseArchiveId(bytes.subarray(0, disk.readInto(fd, bytes, 0)))
    } finally {
      disk.close(fd)
    }
  } catch (error) {
    if (errnoOf(error) === 'ENOENT') return undefined
    throw error
  }
}

/** The id in the content of the id file; undefined if there is none. */
export function parseArchiveId (content: Uint8Array): string | undefined {
  return archiveIdOf(new TextDecoder('latin1').decode(content))
}

/** Gives an archive an id, which is on stable storage when this returns. To be called while the archive is locked. */
export function makeArchiveId (beneath: Beneath): string {
  const id = randomBytes(16).toString('hex')
  const prefix = beneath.open(OWN, 'make')
  const temporary = `${ARCHIVE_ID_FILE}.${id}`
  const fd = disk.createAt(prefix, temporary, 0o644)
  try {
    disk.writeAll(fd, new TextEncoder().encode(`${id}\n${EXPLANATION}`.padEnd(ID_FILE_BYTES, '\n')))
    disk.syncFile(fd)
  } finally {
    disk.close(fd)
  }
  disk.renameAt(prefix, temporary, [prefix, ARCHIVE_ID_FILE])
  flushDirectory(beneath, OWN)
  return id
}

/** Throws ARCHIVE_UNAVAILABLE unless the id that was found, undefined for none, is the expected one. */
export function ensureArchiveId (root: string, found: string | undefined, expected: string): void {
  if (found === expected) return
  const what = found === undefined
    ? `${root} does not exist or has no archive id; this server expects its archive there (id ${expected.slice(0, 8)}).`
    : `${root} holds a different archive (id ${found.slice(0, 8)}) from the one that this server uses (id ${expected.slice(0, 8)}).`
  throw new FileSyncError('ARCHIVE_UNAVAILABLE', `${what} Its disk is probably not mounted, or another disk is mounted in its place. ` +
    'Mount the disk of the archive. To use this directory as the archive from now on, start the server once with --accept-archive.')
}
