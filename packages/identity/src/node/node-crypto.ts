import { createHash, createHmac, randomBytes, scrypt, timingSafeEqual } from 'node:crypto'
import type { PairingCrypto } from '../crypto-port.ts'

const KEY_BYTES = 32
// The parameters need 32 MiB, which is just more than Node allows by default.
const SCRYPT = { N: 2 ** 15, r: 8, p: 1, maxmem: 64 << 20 }

/** The cryptography that pairing needs, from Node. */
export const nodeCrypto: PairingCrypto = {
  randomBytes: sizeBytes => randomBytes(sizeBytes),
  sha256: bytes => createHash('sha256').update(bytes).digest(),
  hmacSha256: (key, bytes) => createHmac('sha256', key).update(bytes).digest(),
  async scrypt (password, salt) {
    return await new Promise((resolve, reject) => {
      scrypt(password, salt, KEY_BYTES, SCRYPT, (error, key) => { if (error === null) resolve(key); else reject(error) })
    })
  },
  equal: (left, right) => left.length === right.length && timingSafeEqual(left, right),
}
