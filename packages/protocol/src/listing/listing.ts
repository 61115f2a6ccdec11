import { DIGEST_BYTES, toDigest } from '../digest.ts'
import type { Entry } from './entry.ts'
import { FileSyncError } from '../errors.ts'
import { LIMITS } from '../limits.ts'
import { DIRECTORY, FILE, SYMLINK } from '../encoding/listing-kinds.ts'
import { MsgpackReader } from '../encoding/msgpack-reader.ts'
import { MsgpackWriter } from '../encoding/msgpack-writer.ts'
import { checkName, compareNames, utf8Length } from './name.ts'
import type { Name } from './name.ts'

export const MAX_MODE: number = 0o777
const writer = new MsgpackWriter()

/**
 * The entries of one directory in the canonical encoding that digests cover: a MessagePack array of entries in name
 * order, each an array `[name, kind, mtimeNs, …]`:
 *
 * - file: `[name, 0, mtimeNs, mode, sizeBytes, file id]`
 * - directory: `[name, 1, mtimeNs, mode, digest]`
 * - symbolic link: `[name, 2, mtimeNs, target]`
 *
 * Numbers and lengths take the fewest bytes. Throws LISTING_INVALID if names are not strictly ascending.
 */
export function encodeListing (entries: readonly Entry[]): Uint8Array {
  writer.reset()
  writer.array(entries.length)
  let previous: Name | undefined
  for (const entry of entries) {
    if (previous !== undefined && compareNames(previous, entry.name) >= 0) throw outOfOrder(entry.name)
    previous = entry.name
    writeEntry(entry)
  }
  return writer.toBytes()
}

function writeEntry (entry: Entry): void {
  writer.array(entry.kind === 'file' ? 6 : entry.kind === 'directory' ? 5 : 4)
  writer.str(entry.name)
  switch (entry.kind) {
    case 'file':
      writer.uint(FILE)
      writer.int64(entry.mtimeNs)
      writer.uint(entry.mode)
      writer.uint(entry.sizeBytes)
      writer.int64(entry.fileId)
      break
    case 'directory':
      writer.uint(DIRECTORY)
      writer.int64(entry.mtimeNs)
      writer.uint(entry.mode)
      writer.bin(entry.digest)
      break
    case 'symlink':
      writer.uint(SYMLINK)
      writer.int64(entry.mtimeNs)
      writer.str(entry.target)
      break
  }
}

/** Number of entries that a listing claims to have; the entries are not read. */
export function countListing (bytes: Uint8Array): number {
  return new MsgpackReader(bytes).array()
}

/** Reads the next entry. Throws LISTING_INVALID or NAME_INVALID. */
export function readEntry (reader: MsgpackReader): Entry {
  const fields = reader.array()
  const name = readName(reader)
  const kind = reader.uint()
  const mtimeNs = reader.int64()
  if (kind === FILE && fields === 6) {
    const mode = readMode(reader, name)
    const sizeBytes = reader.uint()
    const fileId = reader.uint64()
    if (sizeBytes > LIMITS.fileBytes) throw malformed(name)
    return { kind: 'file', name, mtimeNs, mode, sizeBytes, fileId }
  }
  if (kind === DIRECTORY && fields === 5) {
    const mode = readMode(reader, name)
    const digest = toDigest(reader.bin(DIGEST_BYTES))
    if (digest === undefined) throw malformed(name)
    return { kind: 'directory', name, mtimeNs, mode, digest }
  }
  if (kind === SYMLINK && fields === 4) {
    const target = reader.str()
    if (!isSymlinkTarget(target)) throw malformed(name)
    return { kind: 'symlink', name, mtimeNs, target }
  }
  throw malformed(name)
}

/** Whether a text can be the target of a symbolic link: not empty, without NUL, and no longer than Linux allows. */
export function isSymlinkTarget (target: string): boolean {
  return target !== '' && !target.includes('\0') && target.isWellFormed() && utf8Length(target) <= LIMITS.symlinkTargetBytes
}

function readName (reader: MsgpackReader): Name {
  const name = reader.str()
  const fault = checkName(name)
  if (fault !== undefined) throw new FileSyncError('NAME_INVALID', `A listing contains an invalid name (${fault}).`)
  return name as Name
}

function readMode (reader: MsgpackReader, name: Name): number {
  const mode = reader.uint()
  if (mode > MAX_MODE) throw malformed(name)
  return mode
}

function malformed (name: Name): FileSyncError {
  return new FileSyncError('LISTING_INVALID', `The entry ${JSON.stringify(name)} of a listing is malformed.`)
}

export function outOfOrder (name: Name): FileSyncError {
  return new FileSyncError('LISTING_INVALID', `The entry ${JSON.stringify(name)} of a listing is out of order or duplicate.`)
}
