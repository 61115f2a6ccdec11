const NONCE_BYTES = 12
const ALPHABET = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_'

/** A nonce for one question, in base64url (RFC 4648 section 5): only who heard the question can answer it. */
export function freshNonce (randomBytes: (count: number) => Uint8Array): string {
  const bytes = randomBytes(NONCE_BYTES)
  let text = ''
  for (let at = 0; at < bytes.length; at += 3) {
    const group = ((bytes[at] ?? 0) << 16) | ((bytes[at + 1] ?? 0) << 8) | (bytes[at + 2] ?? 0)
    for (let shift = 18; shift >= 0; shift -= 6) text += ALPHABET.charAt((group >> shift) & 63)
  }
  return text
}
