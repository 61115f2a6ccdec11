import type { OpenDirectory } from './open-directory.ts'

const lossy = new TextDecoder()
const strict = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true })

/**
 * Why a name is not Unicode, for people. Reading names as text shows bytes that are not UTF-8 as U+FFFD, which a name may
 * also hold in truth, so the names are read again as they are on disk.
 */
export function explainName (directory: OpenDirectory, shown: string): string {
  const raw = directory.rawNames().filter(bytes => lossy.decode(bytes) === shown)
  const broken = raw.find(bytes => !isUtf8(bytes))
  if (broken === undefined) return 'it has the character U+FFFD, which stands for text that was lost earlier; rename it'
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
