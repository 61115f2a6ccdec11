import { LIMITS } from '../limits.ts'
import type { ProblemCode } from '../problem.ts'

declare const nameBrand: unique symbol

/** One component of a path that passed {@link checkName}. Only parsers create it. */
export type Name = string & { readonly [nameBrand]: true }

/** Why a name is rejected: a problem if it is found on disk, an error that ends the session if a peer sends it. */
export type NameFault = ProblemCode | 'NAME_EMPTY' | 'NAME_DOTS' | 'NAME_SEPARATOR' | 'NAME_NOT_TEXT'

// Terminals interpret C0, DEL and C1 as commands; the bidirectional controls make a name look like another one.
// eslint-disable-next-line no-control-regex -- control characters are what it looks for
const CONTROL = /[\u0000-\u001f\u007f-\u009f\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069]/u
const PLAIN = /^[\u0020-\u002e\u0030-\u007e]+$/u
const WINDOWS_CHARACTERS = /[\\:*?"<>|]/u
const WINDOWS_DEVICE = /^(?:con|prn|aux|nul|conin\$|conout\$|(?:com|lpt)[0-9¹²³])[ ]*(?:\.|$)/iu
const WINDOWS_SHORT = /~[0-9]/u
const RESERVED = '.FILESYNC'
const DOT = 0x2e
const SLASH = 0x2f
// HFS+ drops these from names, so there `.file\u200csync` is the reserved name.
const IGNORED = /\p{Default_Ignorable_Code_Point}/gu

const encoder = new TextEncoder()

/** Length of a string in UTF-8, in bytes. */
export function utf8Length (text: string): number {
  return PLAIN.test(text) ? text.length : encoder.encode(text).length
}

/**
 * The key of a name on a file system that folds case and normalizes Unicode. Two names with the same key are one file there.
 * Lower case first, then upper, so that `ß`, `ẞ` and `SS`, the ligature `ﬁ` and `FI`, or the Kelvin sign and `k` have the
 * same key; lower case alone misses them.
 */
export function foldKey (name: string): string {
  if (PLAIN.test(name)) return name.toUpperCase()
  return name.normalize('NFD').toLowerCase().toUpperCase().normalize('NFC')
}

/** The reason to reject one component of a path, or undefined if it is valid on every POSIX file system. */
export function checkName (name: unknown): NameFault | undefined {
  if (typeof name !== 'string') return 'NAME_NOT_TEXT'
  if (name === '') return 'NAME_EMPTY'
  if (name === '.' || name === '..') return 'NAME_DOTS'
  // There are never more UTF-16 units than bytes; checked first because it is the cheapest.
  if (name.length > LIMITS.nameBytes) return 'NAME_TOO_LONG'
  if (PLAIN.test(name)) {
    return name.length === RESERVED.length && foldKey(name) === RESERVED ? 'NAME_RESERVED' : undefined
  }
  if (name.includes('/')) return 'NAME_SEPARATOR'
  if (!name.isWellFormed() || name.includes('\ufffd')) return 'NAME_NOT_UNICODE'
  if (CONTROL.test(name)) return 'NAME_CONTROL'
  if (utf8Length(name) > LIMITS.nameBytes) return 'NAME_TOO_LONG'
  return foldKey(name.replace(IGNORED, '')) === RESERVED ? 'NAME_RESERVED' : undefined
}

/**
 * The reason why Windows cannot store a POSIX name unchanged, or undefined. Applies if the archive's file system requires it.
 * Source: "Naming Files, Paths, and Namespaces" in the Windows documentation.
 */
export function checkWindowsName (name: Name): 'NAME_WINDOWS' | undefined {
  const refused = WINDOWS_CHARACTERS.test(name) || name.endsWith('.') || name.endsWith(' ') ||
    WINDOWS_DEVICE.test(name) || WINDOWS_SHORT.test(name)
  return refused ? 'NAME_WINDOWS' : undefined
}

/**
 * Whether encoded text is a valid name of printable ASCII characters, as most are; needs no decoding. If false, the name may
 * still be valid: `checkName` decides.
 */
export function isPlainName (bytes: Uint8Array, start: number, end: number): boolean {
  const length = end - start
  if (length === 0 || length > LIMITS.nameBytes) return false
  // It could be `.`, `..`, or the reserved name.
  if (bytes[start] === DOT && (length <= 2 || length === RESERVED.length)) return false
  for (let i = start; i < end; i++) {
    const letter = bytes[i] ?? 0
    if (letter < 0x20 || letter > 0x7e || letter === SLASH) return false
  }
  return true
}

/** Whether a value is a name. */
export function isName (name: unknown): name is Name {
  return checkName(name) === undefined
}

/**
 * The canonical order of names: by their UTF-8 bytes. JavaScript compares UTF-16 units, which differs where surrogates
 * are compared with U+E000 and above; shifting the units restores code point order.
 */
export function compareNames (left: string, right: string): number {
  if (left === right) return 0
  const length = Math.min(left.length, right.length)
  for (let i = 0; i < length; i++) {
    const a = left.charCodeAt(i)
    const b = right.charCodeAt(i)
    if (a !== b) return codePointOrder(a) - codePointOrder(b)
  }
  return left.length - right.length
}

function codePointOrder (unit: number): number {
  if (unit < 0xd800) return unit
  return unit < 0xe000 ? unit + 0x2000 : unit - 0x800
}
