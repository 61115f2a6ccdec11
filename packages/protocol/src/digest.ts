/** The digest of file content and of listings: BLAKE3 with 32 bytes of output. Its name in HELLO is `blake3`. */
export const DIGEST_BYTES = 32

declare const digestBrand: unique symbol

/** 32 bytes of BLAKE3. */
export type Digest = Uint8Array & { readonly [digestBrand]: true }

/** The digest of one buffer. The algorithm is native code, so pure code takes it as an argument. */
export type HashBytes = (bytes: Uint8Array) => Digest

/** Incremental hashing. */
export interface Hasher {
  update (bytes: Uint8Array): void
  /** May be called once. */
  digest (): Digest
}

/** The bytes as a digest, or undefined if they are not {@link DIGEST_BYTES} long. */
export function toDigest (bytes: Uint8Array): Digest | undefined {
  return bytes.length === DIGEST_BYTES ? bytes as Digest : undefined
}

/** Whether two digests are equal. Not for secrets: it does not take constant time. */
export function equalDigests (left: Uint8Array, right: Uint8Array): boolean {
  if (left.length !== right.length) return false
  for (let i = 0; i < left.length; i++) if (left[i] !== right[i]) return false
  return true
}

/** Lower-case hex, for logs and file names. */
export function toHex (bytes: Uint8Array): string {
  let text = ''
  for (const byte of bytes) text += byte.toString(16).padStart(2, '0')
  return text
}
