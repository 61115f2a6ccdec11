/**
 * Domain names as text: labels joined by dots, without the final dot. Within a label a dot and a backslash are written `\.` and
 * `\\`, and a byte that is not UTF-8 is written `\DDD` (RFC 6763 section 4.3, RFC 1035 section 5.1), so any label survives.
 */

const encoder = new TextEncoder()
const strict = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true })

/** RFC 1035 section 2.3.4. */
export const LABEL_MAX_BYTES = 63
export const NAME_MAX_BYTES = 255

/** A label as it appears in a name. */
export function escapeLabel (label: string): string {
  return label.replace(/[.\\]/gu, '\\$&')
}

/** The label in the bytes of a message, escaped. */
export function readLabel (bytes: Uint8Array): string {
  try {
    return escapeLabel(strict.decode(bytes))
  } catch {
    const decimal = (byte: number): string => `\\${String(byte).padStart(3, '0')}`
    return Array.from(bytes, byte => byte < 0x80 ? escapeLabel(String.fromCharCode(byte)) : decimal(byte)).join('')
  }
}

/** The escaped labels of a name. */
export function splitName (name: string): string[] {
  return name === '' ? [] : name.match(/(?:\\\d{3}|\\.|[^.\\])+/gsu) ?? []
}

/** What an escaped label says; a byte that is not UTF-8 becomes U+FFFD. */
export function unescapeLabel (label: string): string {
  return new TextDecoder().decode(labelBytes(label))
}

/** The bytes of an escaped label. */
export function labelBytes (label: string): Uint8Array {
  const bytes: number[] = []
  for (const [part] of label.matchAll(/\\\d{3}|\\.|[^\\]+|\\$/gsu)) {
    if (/^\\\d{3}$/u.test(part)) bytes.push(Number(part.slice(1)) & 0xff)
    else bytes.push(...encoder.encode(part.startsWith('\\') ? part.slice(1) : part))
  }
  return Uint8Array.from(bytes)
}

/** Equal for names that are the same: DNS ignores the case of ASCII letters only. */
export function nameKey (name: string): string {
  return name.replace(/[A-Z]/gu, letter => letter.toLowerCase())
}

/** The bytes of a text, cut to at most `maxBytes` at a character. */
export function cutText (text: string, maxBytes: number): string {
  let cut = ''
  let sizeBytes = 0
  for (const character of text) {
    sizeBytes += encoder.encode(character).length
    if (sizeBytes > maxBytes) break
    cut += character
  }
  return cut
}
