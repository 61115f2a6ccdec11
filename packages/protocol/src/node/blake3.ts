import { blake3, Blake3Hasher } from '@napi-rs/blake-hash'
import type { Digest, Hasher } from '../digest.ts'

/** BLAKE3 of one buffer. */
export function hashBytes (bytes: Uint8Array): Digest {
  return blake3(bytes) as unknown as Digest
}

/** BLAKE3 of bytes that come in pieces. */
export function createHasher (): Hasher {
  const hasher = new Blake3Hasher()
  return {
    update (bytes) { hasher.update(bytes) },
    digest: () => hasher.digestBuffer() as unknown as Digest,
  }
}
