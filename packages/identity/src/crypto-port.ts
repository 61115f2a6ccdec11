/** The cryptography that pairing needs, as a port: the algorithms are native code. */
export interface PairingCrypto {
  /** Cryptographically secure random bytes. */
  randomBytes (sizeBytes: number): Uint8Array
  sha256 (bytes: Uint8Array): Uint8Array
  hmacSha256 (key: Uint8Array, bytes: Uint8Array): Uint8Array
  /** scrypt (RFC 7914) with N = 2^15, r = 8, p = 1 and 32 bytes of output. Not negotiated, so nobody can weaken it. */
  scrypt (password: Uint8Array, salt: Uint8Array): Promise<Uint8Array>
  /** Whether two byte strings are equal, in a time that does not reveal where they differ. */
  equal (left: Uint8Array, right: Uint8Array): boolean
}
