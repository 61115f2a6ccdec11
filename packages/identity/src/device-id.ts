import { FileSyncError } from '@filesync/protocol'
import { decodeSymbols, encodeSymbols, groupSymbols, readSymbols, symbolOf, symbolValue } from './crockford.ts'

declare const idBrand: unique symbol

/**
 * Who a machine is: SHA-256 of the DER SubjectPublicKeyInfo of its key, as 52 symbols. It names the key and not the
 * certificate, so that a certificate can be issued anew without pairing again.
 */
export type DeviceId = string & { readonly [idBrand]: true }

const ID_BYTES = 32
const PREFIX_SYMBOLS = 16
const GROUP_SYMBOLS = 7

/** The id of a key. @param spkiDigest SHA-256 of the key's SubjectPublicKeyInfo in DER, 32 bytes */
export function toDeviceId (spkiDigest: Uint8Array): DeviceId {
  if (spkiDigest.length !== ID_BYTES) throw new RangeError('A device id is made of 32 bytes.')
  return encodeSymbols(spkiDigest) as DeviceId
}

/** The 32 bytes of an id. */
export function deviceIdBytes (id: DeviceId): Uint8Array<ArrayBuffer> {
  const bytes = decodeSymbols(id, ID_BYTES)
  if (bytes === undefined) throw new RangeError('A device id does not have its form.')
  return bytes
}

/** Whether a value is an id in the form that is stored and compared: 52 symbols without check symbol or hyphens. */
export function isDeviceId (value: unknown): value is DeviceId {
  return typeof value === 'string' && decodeSymbols(value, ID_BYTES) !== undefined
}

/** An id for people: a check symbol at the end, in groups of seven. */
export function formatDeviceId (id: DeviceId): string {
  return groupSymbols(id + checkSymbol(id), GROUP_SYMBOLS)
}

/**
 * The id in what a person typed or pasted: the full form only, in any case, with or without hyphens. Throws USAGE, also
 * when the check symbol tells of a slip.
 */
export function parseDeviceId (text: string): DeviceId {
  const symbols = readSymbols(text)
  const id = symbols.slice(0, -1)
  if (!isDeviceId(id)) {
    throw new FileSyncError('USAGE', 'This is not a full device id. It has 53 letters and digits; the command "id" on that machine prints it.')
  }
  if (symbols.slice(-1) !== checkSymbol(id)) {
    throw new FileSyncError('USAGE', 'The device id has a typing error: its last letter does not fit the others. Copy it again.')
  }
  return id
}

/** As {@link parseDeviceId}, but undefined where the text is no full id. For arguments that may be a name or an id. */
export function readDeviceId (text: string): DeviceId | undefined {
  const symbols = readSymbols(text)
  const id = symbols.slice(0, -1)
  return isDeviceId(id) && symbols.slice(-1) === checkSymbol(id) ? id : undefined
}

/** What an OFFER tells of an id: its first 16 symbols. Enough to choose whom to ask, never to decide whom to trust. */
export function idPrefix (id: DeviceId): string {
  return id.slice(0, PREFIX_SYMBOLS)
}

// A Reed-Solomon check over GF(32), x^5+x^2+1: the check makes the polynomial of all symbols zero at the generator, so
// every single wrong symbol and every swap of two neighbours shows. Crockford's own check (mod 37) needs *, ~, $ and =.
function checkSymbol (id: DeviceId): string {
  let sum = 0
  for (const symbol of id) sum = timesGenerator(sum) ^ (symbolValue(symbol) ?? 0)
  return symbolOf(timesGenerator(sum))
}

function timesGenerator (value: number): number {
  const doubled = value << 1
  return doubled > 31 ? doubled ^ 0b100101 : doubled
}
