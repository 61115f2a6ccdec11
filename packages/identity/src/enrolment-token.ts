import { FileSyncError } from '@filesync/protocol'
import { decodeSymbols, encodeSymbols } from './crockford.ts'
import type { PairingCrypto } from './crypto-port.ts'
import { isDeviceId } from './device-id.ts'
import type { DeviceId } from './device-id.ts'

/** What a token file holds: which server it is for, and the secret that admits a client there. */
export interface EnrolmentToken {
  readonly serverId: DeviceId
  /** 130 bits in 17 bytes; the last 6 are zero. */
  readonly secret: Uint8Array
}

const SECRET_BYTES = 17
const SECRET_SYMBOLS = 26
const SCHEME = 'fsj1'

/** A new token for a server. */
export function makeEnrolmentToken (crypto: PairingCrypto, serverId: DeviceId): EnrolmentToken {
  const secret = decodeSecret(encodeSymbols(crypto.randomBytes(SECRET_BYTES)).slice(0, SECRET_SYMBOLS))
  if (secret === undefined) throw new RangeError('The random source did not give as many bytes as it was asked for.')
  return { serverId, secret }
}

/** The text of a token: `fsj1.<52 symbols of the server's id>.<26 symbols of the secret>`. Whoever reads it can enrol. */
export function formatEnrolmentToken (token: EnrolmentToken): string {
  return `${SCHEME}.${token.serverId}.${encodeSymbols(token.secret).slice(0, SECRET_SYMBOLS)}`
}

/** The token in the text of a token file; white space around it is dropped. Throws USAGE, and never repeats the text. */
export function parseEnrolmentToken (text: string): EnrolmentToken {
  const [scheme, serverId, symbols, ...rest] = text.trim().split('.')
  const secret = decodeSecret(symbols ?? '')
  if (scheme !== SCHEME || !isDeviceId(serverId) || secret === undefined || rest.length > 0) {
    throw new FileSyncError('USAGE', 'The token file does not hold an enrolment token. ' +
      '"filesync-server token create > FILE" on the server makes one; copy the file unchanged.')
  }
  return { serverId, secret }
}

function decodeSecret (symbols: string): Uint8Array | undefined {
  // 26 symbols are 130 bits; a 27th and 28th of zeros fill 17 bytes and 4 bits, which the decoder wants to see empty.
  return symbols.length === SECRET_SYMBOLS ? decodeSymbols(symbols + '00', SECRET_BYTES) : undefined
}
