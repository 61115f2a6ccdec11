import { FileSyncError } from '@filesync/protocol'
import { decodeSymbols, encodeSymbols, groupSymbols, normalizeSymbols } from './crockford.ts'
import type { PairingCrypto } from './crypto-port.ts'

declare const codeBrand: unique symbol

/** A one-time code: 60 random bits as 12 symbols, without hyphens. */
export type PairingCode = string & { readonly [codeBrand]: true }

const CODE_SYMBOLS = 12
const CODE_BYTES = 8

/** A new code. */
export function makePairingCode (crypto: PairingCrypto): PairingCode {
  return encodeSymbols(crypto.randomBytes(CODE_BYTES)).slice(0, CODE_SYMBOLS) as PairingCode
}

/** A code for people: `K7QF-2M9X-4TRB`. */
export function formatPairingCode (code: PairingCode): string {
  return groupSymbols(code, 4)
}

/** The code in typed text, in any spelling. Throws USAGE. */
export function parsePairingCode (text: string): PairingCode {
  const symbols = normalizeSymbols(text)
  // The decoder takes whole bytes only: one more zero symbol completes the 60 bits.
  if (symbols.length !== CODE_SYMBOLS || decodeSymbols(symbols + '0', CODE_BYTES) === undefined) {
    throw new FileSyncError('USAGE', 'Invalid pairing code: it must have 12 letters and digits, like K7QF-2M9X-4TRB. ' +
      '"filesync-server pair" on the server prints one.')
  }
  return symbols as PairingCode
}
