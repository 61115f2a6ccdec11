import type { OpenDirectory } from './open-directory.ts'

const lossy = new TextDecoder()
const strict = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true })

/**
 * Why a name is not Unicode, for messages. Names read as text have U+FFFD in the place of bytes that are not UTF-8. A name can
 * also contain that character itself, so the names are read again as bytes.
 */
export function explainName (directory: OpenDirectory, shown: string): string {
  const raw = directory.rawNames().filter(bytes => lossy.decode(bytes) === shown)
  const broken = raw.find(bytes => !isUtf8(bytes))
  if (broken === undefined) return 'it contains the character U+FFFD, which replaces text that was lost earlier; rename it'
  return `its bytes are ${escape(broken)}; rename it`
}

function isUtf8 (bytes: Uint8Array): boolean {
  try {
    strict.decode(bytes)
    return true
  } catch {
    return false
  }
}

function escape (bytes: Uint8Array): string {
  let text = ''
  for (const byte of bytes) text += byte >= 0x20 && byte < 0x7f ? String.fromCharCode(byte) : `\\x${byte.toString(16).padStart(2, '0')}`
  return `"${text}"`
}
