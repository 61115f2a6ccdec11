import { checkWindowsName, FileSyncError, foldKey, isName, utf8Length } from '@filesync/protocol'
import type { Name } from '@filesync/protocol'

/** Short enough to read in a list, and to append a number to. */
const AREA_BYTES = 64
const FALLBACK = 'client'
/** Directories in the archive's root that do not belong to a client. */
const RESERVED_AREAS = ['legacy']

/**
 * The name of a machine, made safe for a terminal, for a log, and as the name of a directory on every file system. Never empty.
 */
export function sanitizeName (name: string): Name {
  const plain = name.toWellFormed().normalize('NFC')
    // Controls, format characters (including text direction), separators, unassigned and private ones; what Windows refuses.
    .replace(/[\p{C}\p{Zl}\p{Zp}\ufffd\\/:*?"<>|~]/gu, '-')
    .replace(/\s+/gu, ' ')
    .replace(/-{2,}/gu, '-')
  const cut = cutTo(plain, AREA_BYTES).replace(/^[\s.-]+|[\s.-]+$/gu, '')
  const named = cut === '' ? FALLBACK : cut
  const safe = isSanitized(named) ? named : `${FALLBACK}-${named}`
  return isSanitized(safe) ? safe : FALLBACK as Name
}

/**
 * The area of a new client: the sanitized name, with a number if a file system that folds case could not tell it from one
 * that is taken.
 *
 * @param taken names of other clients' areas, and of directories that exist already
 */
export function chooseArea (name: string, taken: Iterable<string>): Name {
  const keys = new Set([...taken, ...RESERVED_AREAS].map(foldKey))
  const base = sanitizeName(name)
  if (!keys.has(foldKey(base))) return base
  for (let number = 2; number <= keys.size + 2; number++) {
    const candidate = `${base}-${String(number)}`
    if (isSanitized(candidate) && !keys.has(foldKey(candidate))) return candidate
  }
  throw new FileSyncError('INTERNAL', `No unused name could be derived from "${base}".`)
}

/** Whether a name is as safe as one chosen here; names that are read from a file must be. */
export function isSanitized (name: string): name is Name {
  return isName(name) && checkWindowsName(name) === undefined
}

/**
 * Checks a name that the operator chose for an area. Throws USAGE if it is not safe as it is, or if a file system that folds case
 * could not tell it from one that is taken.
 */
export function checkChosenArea (name: string, taken: Iterable<string>): Name {
  const safe = sanitizeName(name)
  if (safe !== name) {
    throw new FileSyncError('USAGE', `"${name}" cannot be the name of a client. It must be valid as the name of a folder on every system ` +
      `and have at most ${String(AREA_BYTES)} bytes; "${safe}" would be.`)
  }
  const other = [...taken, ...RESERVED_AREAS].find(used => foldKey(used) === foldKey(name))
  if (other === undefined) return safe
  throw new FileSyncError('USAGE', `"${name}" is taken: the archive has, or keeps, a folder "${other}". Choose another name.`)
}

/**
 * Finds the area that the operator named among those that exist: by the same spelling, otherwise by one that differs in case or
 * Unicode form only. Undefined if there is none, or several that differ so.
 */
export function findArea (name: string, areas: Iterable<string>): Name | undefined {
  const folded = [...new Set(areas)].filter(isSanitized).filter(area => foldKey(area) === foldKey(name) && !isReserved(area))
  return folded.find(area => area === name) ?? (folded.length === 1 ? folded[0] : undefined)
}

function isReserved (area: string): boolean {
  return RESERVED_AREAS.some(reserved => foldKey(reserved) === foldKey(area))
}

function cutTo (text: string, maxBytes: number): string {
  let cut = ''
  let bytes = 0
  for (const character of text) {
    bytes += utf8Length(character)
    if (bytes > maxBytes) break
    cut += character
  }
  return cut
}
