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
