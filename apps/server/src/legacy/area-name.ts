import { checkWindowsName, FileSyncError, foldKey, isName } from '@filesync/protocol'

/** The folder with the areas of all legacy clients. No paired client can have this name. */
export const LEGACY_ROOT = 'legacy'
const CLIENT_ID = /^[A-Za-z0-9._-]{1,64}$/u
/** Legacy clients choose their ids and prove nothing, so the number of areas is limited. */
const MAX_AREAS = 256

/**
 * The area of a legacy client, named after the id that it sends, or after its address if it sends none. Throws NAME_INVALID for an
 * id that is not a plain name, and LIMIT_EXCEEDED if there are too many areas.
 *
 * @param taken names of all areas of the archive
 */
export function legacyArea (clientId: string | null, address: string, taken: readonly string[]): string {
  const name = `client_${clientId === null ? address.replace(/[.:%]/gu, '_') : checkId(clientId)}`
  if (!isName(name) || checkWindowsName(name) !== undefined) throw refused(name)
  const area = `${LEGACY_ROOT}/${name}`
  const legacy = taken.filter(other => other.startsWith(`${LEGACY_ROOT}/`))
  if (legacy.includes(area)) return area
  // On a file system that ignores case, both spellings would be one folder.
  if (legacy.some(other => foldKey(other) === foldKey(area))) {
    throw new FileSyncError('NAME_INVALID', `A client of the original program already has the name "${name}" in another spelling.`)
  }
  if (legacy.length >= MAX_AREAS) {
    throw new FileSyncError('LIMIT_EXCEEDED', `The archive already has ${MAX_AREAS} clients of the original program; no more are accepted.`)
  }
  return area
}

function checkId (clientId: string): string {
  if (!CLIENT_ID.test(clientId) || /^\.+$/u.test(clientId)) throw refused(clientId)
  return clientId
}

function refused (name: string): FileSyncError {
  const rule = 'An id has up to 64 letters, digits, dots, hyphens and underscores.'
  return new FileSyncError('NAME_INVALID', `The client's id ${JSON.stringify(name)} is invalid. ${rule}`)
}
