import { FileSyncError } from '@filesync/protocol'
import { decodeSymbols, encodeSymbols, groupSymbols, normalizeSymbols, symbolOf, symbolValue } from './crockford.ts'

declare const idBrand: unique symbol

/**
 * Identifies a machine: SHA-256 of the DER SubjectPublicKeyInfo of its key, as 52 symbols. It identifies the key and not the
 * certificate, so that a new certificate can be issued without pairing again.
 */
export type DeviceId = string & { readonly [idBrand]: true }

const ID_BYTES = 32
const PREFIX_SYMBOLS = 16
const GROUP_SYMBOLS = 7

/** The id of a key. @param spkiDigest SHA-256 of the key's SubjectPublicKeyInfo in DER, 32 bytes */
export function toDeviceId (spkiDigest: Uint8Array): DeviceId {
  if (spkiDigest.length !== ID_BYTES) throw new RangeError('A device id is made from 32 bytes.')
  return encodeSymbols(spkiDigest) as DeviceId
}

/** The 32 bytes of an id. */
export function deviceIdBytes (id: DeviceId): Uint8Array<ArrayBuffer> {
  const bytes = decodeSymbols(id, ID_BYTES)
  if (bytes === undefined) throw new RangeError('Invalid device id: it must be 52 symbols.')
  return bytes
}

/** Whether a value is a device id as it is stored and compared: 52 symbols without check character or hyphens. */
export function isDeviceId (value: unknown): value is DeviceId {
  return typeof value === 'string' && decodeSymbols(value, ID_BYTES) !== undefined
}

/** A device id for people: with a check character at the end, in groups of seven. */
export function formatDeviceId (id: DeviceId): string {
  return groupSymbols(id + checkSymbol(id), GROUP_SYMBOLS)
}

/**
 * The device id in typed or pasted text: the full form only, in any case, with or without hyphens. Throws USAGE, even if the
 * check character does not match.
 */
export function parseDeviceId (text: string): DeviceId {
  const symbols = normalizeSymbols(text)
  const id = symbols.slice(0, -1)
  if (!isDeviceId(id)) {
    throw new FileSyncError('USAGE', 'Invalid device id: it must have 53 letters and digits. The command "id" on that machine prints it.')
  }
  if (symbols.slice(-1) !== checkSymbol(id)) {
    throw new FileSyncError('USAGE', 'Invalid device id: the check character does not match. Copy the id again.')
  }
  return id
}

/** Like {@link parseDeviceId}, but undefined if the text is not a full device id. For arguments that are a name or an id. */
export function tryParseDeviceId (text: string): DeviceId | undefined {
  const symbols = normalizeSymbols(text)
  const id = symbols.slice(0, -1)
  return isDeviceId(id) && symbols.slice(-1) === checkSymbol(id) ? id : undefined
}

/** The part of a device id that an OFFER contains: its first 16 symbols. A hint where to connect, never a reason to trust. */
export function idPrefix (id: DeviceId): string {
  return id.slice(0, PREFIX_SYMBOLS)
}

// A Reed-Solomon check over GF(32), x^5+x^2+1: the check makes the polynomial of all symbols zero at the generator, so it
// detects every single wrong symbol and every swap of two neighbors. Crockford's own check (mod 37) needs *, ~, $ and =.
function checkSymbol (id: DeviceId): string {
  let sum = 0
  for (const symbol of id) sum = timesGenerator(sum) ^ (symbolValue(symbol) ?? 0)
  return symbolOf(timesGenerator(sum))
}

function timesGenerator (value: number): number {
  const doubled = value << 1
  return doubled > 31 ? doubled ^ 0b100101 : doubled
}
