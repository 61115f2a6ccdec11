import { checkWindowsName, FileSyncError, foldKey, isName } from '@filesync/protocol'

/** Folder in the archive that holds the areas of all clients of the original program. No paired client can be called so. */
const ROOT = 'legacy'
const CLIENT_ID = /^[A-Za-z0-9._-]{1,64}$/u
/** Anybody can come under any name, so there are only so many. */
const MAX_AREAS = 256

/**
 * The area of a client that speaks the original protocol: by the id that it gives itself, or its address. Throws
 * NAME_INVALID for an id that is not a plain name, LIMIT_EXCEEDED where there are too many areas.
 *
 * @param taken names of all areas of the archive
 */
export function legacyArea (clientId: string | null, address: string, taken: readonly string[]): string {
  const name = `client_${clientId === null ? address.replace(/[.:%]/gu, '_') : checkId(clientId)}`
  if (!isName(name) || checkWindowsName(name) !== undefined) throw refused(name)
  const area = `${ROOT}/${name}`
  const legacy = taken.filter(other => other.startsWith(`${ROOT}/`))
  if (legacy.includes(area)) return area
  // Where the file system folds case, two spellings would be one folder.
  if (legacy.some(other => foldKey(other) === foldKey(area))) throw new FileSyncError('NAME_INVALID', `A client of the original program has the name "${name}" already, in another spelling.`)
  if (legacy.length >= MAX_AREAS) throw new FileSyncError('LIMIT_EXCEEDED', `There are ${MAX_AREAS} clients of the original program already; no other is taken in.`)
  return area
}

function checkId (clientId: string): string {
  if (!CLIENT_ID.test(clientId) || /^\.+$/u.test(clientId)) throw refused(clientId)
  return clientId
}

function refused (name: string): FileSyncError {
  return new FileSyncError('NAME_INVALID', `The client calls itself ${JSON.stringify(name)}, which is refused: an id has up to 64 letters, digits, dots, hyphens and underscores.`)
}
