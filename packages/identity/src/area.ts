import { checkWindowsName, FileSyncError, foldKey, isName, utf8Length } from '@filesync/protocol'
import type { Name } from '@filesync/protocol'

/** Room for a number behind it, and short enough to read in a list. */
const AREA_BYTES = 64
const FALLBACK = 'client'
/** Folders of the archive's root that are not a client's. */
const RESERVED_AREAS = ['legacy']

/**
 * What a machine calls itself, as a name that is harmless in a terminal, in a log, and as a folder on every file system.
 * Never empty.
 */
export function tameName (wish: string): Name {
  const plain = wish.toWellFormed().normalize('NFC')
    // Controls, format characters (text direction among them), separators, unassigned and private ones; what Windows refuses.
    .replace(/[\p{C}\p{Zl}\p{Zp}\ufffd\\/:*?"<>|~]/gu, '-')
    .replace(/\s+/gu, ' ')
    .replace(/-{2,}/gu, '-')
  const cut = cutTo(plain, AREA_BYTES).replace(/^[\s.-]+|[\s.-]+$/gu, '')
  const named = cut === '' ? FALLBACK : cut
  const safe = isTame(named) ? named : `${FALLBACK}-${named}`
  return isTame(safe) ? safe : FALLBACK as Name
}

/**
 * The folder of a new client in the archive: what it wished for, tamed, and unlike any that is taken on a file system
 * that folds case.
 *
 * @param taken names of other clients' areas, and of folders that are in the way
 */
export function chooseArea (wish: string, taken: Iterable<string>): Name {
  const keys = new Set([...taken, ...RESERVED_AREAS].map(foldKey))
  const base = tameName(wish)
  if (!keys.has(foldKey(base))) return base
  for (let number = 2; number <= keys.size + 2; number++) {
    const candidate = `${base}-${String(number)}`
    if (isTame(candidate) && !keys.has(foldKey(candidate))) return candidate
  }
  throw new FileSyncError('INTERNAL', `No free name could be made of "${base}".`)
}

/** Whether a name could have been chosen here: what is read back from a file has to be as harmless. */
export function isTame (name: string): name is Name {
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
