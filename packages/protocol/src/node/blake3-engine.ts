import type { HashBytes, Hasher } from '../digest.ts'

/** One implementation of BLAKE3. All produce the same digests. */
export interface Blake3Engine {
  readonly hashBytes: HashBytes
  readonly createHasher: () => Hasher
}
