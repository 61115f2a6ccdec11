import { FileSyncError } from '@filesync/protocol'
import { decodeSymbols, encodeSymbols } from './crockford.ts'
import type { PairingCrypto } from './crypto-port.ts'
import { isDeviceId } from './device-id.ts'
import type { DeviceId } from './device-id.ts'

/** The content of a token file: the server that it is for, and the secret that admits a client there. */
export interface EnrollmentToken {
  readonly serverId: DeviceId
  /** 130 bits in 17 bytes; the last 6 are zero. */
  readonly secret: Uint8Array
}

const SECRET_BYTES = 17
const SECRET_SYMBOLS = 26
const SCHEME = 'fsj1'

/** A new token for a server. */
export function makeEnrollmentToken (crypto: PairingCrypto, serverId: DeviceId): EnrollmentToken {
  const secret = decodeSecret(encodeSymbols(crypto.randomBytes(SECRET_BYTES)).slice(0, SECRET_SYMBOLS))
  if (secret === undefined) throw new RangeError('The random source returned fewer bytes than requested.')
  return { serverId, secret }
}

/** The text of a token: `fsj1.<52 symbols of the server's id>.<26 symbols of the secret>`. Anyone who reads it can enrol. */
export function formatEnrollmentToken (token: EnrollmentToken): string {
  return `${SCHEME}.${token.serverId}.${encodeSymbols(token.secret).slice(0, SECRET_SYMBOLS)}`
}

/** Parses the text of a token file; white space around it is ignored. Throws USAGE, without repeating the text. */
export function parseEnrollmentToken (text: string): EnrollmentToken {
  const [scheme, serverId, symbols, ...rest] = text.trim().split('.')
  const secret = decodeSecret(symbols ?? '')
  if (scheme !== SCHEME || !isDeviceId(serverId) || secret === undefined || rest.length > 0) {
    throw new FileSyncError('USAGE', 'The token file does not contain an enrollment token. ' +
      'Create one on the server with "filesync-server token create > FILE", and copy the file unchanged.')
  }
  return { serverId, secret }
}

function decodeSecret (symbols: string): Uint8Array | undefined {
  // 26 symbols are 130 bits; two more zero symbols make 17 bytes and 4 bits, and the decoder requires those to be zero.
  return symbols.length === SECRET_SYMBOLS ? decodeSymbols(symbols + '00', SECRET_BYTES) : undefined
}
