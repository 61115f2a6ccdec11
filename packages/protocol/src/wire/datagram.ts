import * as v from 'valibot'
import { FileSyncError } from '../errors.ts'
import { LIMITS } from '../limits.ts'

/** The group and port of the original program, shared by both generations. */
export const DISCOVERY_GROUP_IPV4 = '224.1.1.1'
/** Link-local, so a router never forwards it; from the range for experiments of RFC 4291 and RFC 3307. */
export const DISCOVERY_GROUP_IPV6 = 'ff02::f11e:5c'
export const DISCOVERY_PORT = 9999

/** What the client is looking for. */
export type DiscoverPurpose = 'sync' | 'pair'

/** The query of the original program. */
export interface DiscoverV1 {
  readonly v: 1
}

/** A query of version 2. */
export interface DiscoverV2 {
  readonly v: 2
  /** 16 characters of base64url: 12 random bytes, which the answer repeats. */
  readonly nonce: string
  readonly want: DiscoverPurpose
}

/** An answer. It is an unauthenticated hint. */
export interface Offer {
  readonly v: 1 | 2
  /** TCP port of the original protocol; 0 if it is not served. */
  readonly legacyPort: number
  /** TCP port of the TLS protocol. This and the following fields exist in version 2 only. */
  readonly tlsPort?: number
  /** First 16 symbols of the server's device id. */
  readonly idPrefix?: string
  readonly nonce?: string
  /** Whether the server currently accepts pairings. */
  readonly pairing?: boolean
}

const NONCE = /^[A-Za-z0-9_-]{16}$/u
const ID_PREFIX = /^[0-9A-HJKMNP-TV-Z]{16}$/u
const port = v.pipe(v.number(), v.integer(), v.minValue(0), v.maxValue(65535))

const discoverV2Schema = v.object({
  type: v.literal('DISCOVER'), v: v.literal(2), n: v.pipe(v.string(), v.regex(NONCE)), want: v.picklist(['sync', 'pair']),
})
const discoverSchema = v.union([discoverV2Schema, v.object({ type: v.literal('DISCOVER'), v: v.optional(v.undefined()) })])

const offerV1Schema = v.object({ type: v.literal('OFFER'), port: v.pipe(port, v.minValue(1)), v: v.optional(v.undefined()) })
const offerV2Schema = v.object({
  type: v.literal('OFFER'),
  port,
  v: v.literal(2),
  tls: v.pipe(port, v.minValue(1)),
  id: v.pipe(v.string(), v.regex(ID_PREFIX)),
  n: v.pipe(v.string(), v.regex(NONCE)),
  pair: v.optional(v.boolean()),
})
const offerSchema = v.union([offerV2Schema, offerV1Schema])

/** What the fields of the datagrams are called in the arguments of the encoders. */
const ARGUMENTS: Readonly<Record<string, string>> = { n: 'nonce', tls: 'tlsPort', id: 'idPrefix', port: 'legacyPort', pair: 'pairing' }

const decoder = new TextDecoder('utf-8', { fatal: true })
const encoder = new TextEncoder()

/** Whether a text is the first 16 symbols of a device id, as an OFFER contains them. */
export function isIdPrefix (text: string): boolean {
  return ID_PREFIX.test(text)
}

/** Refuses what the other end's decoder would refuse. Throws TypeError with the name of the argument. */
function checkEncodable (schema: v.GenericSchema, message: object, caller: string): void {
  const [issue] = v.safeParse(schema, message, { abortEarly: true }).issues ?? []
  if (issue === undefined) return
  const key = issue.path?.[0]?.key
  const field = typeof key === 'string' ? key : 'v'
  throw new TypeError(`${caller}: invalid ${ARGUMENTS[field] ?? field}: ${issue.message}.`)
}

/** DISCOVER of version 2, padded so that no answer is larger. Throws TypeError. */
export function encodeDiscover (discover: DiscoverV2): Uint8Array {
  const message = { type: 'DISCOVER', v: discover.v, n: discover.nonce, want: discover.want, pad: '' }
  checkEncodable(discoverV2Schema, message, 'encodeDiscover')
  const padBytes = Math.max(0, LIMITS.discoverBytes - JSON.stringify(message).length)
  return encoder.encode(JSON.stringify({ ...message, pad: 'x'.repeat(padBytes) }))
}

/** DISCOVER as the original program sends it. */
export function encodeDiscoverV1 (): Uint8Array {
  return encoder.encode('{"type":"DISCOVER"}')
}

/** OFFER of either version; the original program ignores the fields it does not know. Throws TypeError. */
export function encodeOffer (offer: Offer): Uint8Array {
  const { legacyPort: port, tlsPort: tls, idPrefix: id, nonce: n } = offer
  const pair = offer.v === 1 ? undefined : offer.pairing
  const message = offer.v === 1
    ? { type: 'OFFER', port }
    : { type: 'OFFER', port, v: offer.v, tls, id, n, ...(pair !== undefined && pair !== false && { pair }) }
  checkEncodable(offer.v === 1 ? offerV1Schema : offerV2Schema, message, 'encodeOffer')
  return encoder.encode(JSON.stringify(message))
}

/**
 * Decodes a DISCOVER. Throws DATAGRAM_INVALID. Checks the size limit and the fields only, not the padding of version 2: that is
 * a rule for a server that answers, and diagnostics read unpadded datagrams as well.
 */
export function decodeDiscover (datagram: Uint8Array): DiscoverV1 | DiscoverV2 {
  const result = v.safeParse(discoverSchema, decodeJson(datagram), { abortEarly: true })
  if (!result.success) throw invalid('it is not a DISCOVER')
  return result.output.v === 2 ? { v: 2, nonce: result.output.n, want: result.output.want } : { v: 1 }
}

/** Decodes an OFFER. Throws DATAGRAM_INVALID. */
export function decodeOffer (datagram: Uint8Array): Offer {
  const result = v.safeParse(offerSchema, decodeJson(datagram), { abortEarly: true })
  if (!result.success) throw invalid('it is not an OFFER')
  const offer = result.output
  if (offer.v !== 2) return { v: 1, legacyPort: offer.port }
  return { v: 2, legacyPort: offer.port, tlsPort: offer.tls, idPrefix: offer.id, nonce: offer.n, pairing: offer.pair === true }
}

function decodeJson (datagram: Uint8Array): unknown {
  if (datagram.length > LIMITS.datagramBytes) throw invalid('it is too long')
  try {
    return JSON.parse(decoder.decode(datagram)) as unknown
  } catch (cause) {
    throw new FileSyncError('DATAGRAM_INVALID', 'Invalid discovery datagram: it is not JSON.', { cause })
  }
}

function invalid (why: string): FileSyncError {
  return new FileSyncError('DATAGRAM_INVALID', `Invalid discovery datagram: ${why}.`)
}
