import * as v from 'valibot'
import { FileSyncError } from '../errors.ts'
import { LIMITS } from '../limits.ts'

/** The group and port that the original used; discovery of both generations meets there. */
export const DISCOVERY_GROUP_IPV4 = '224.1.1.1'
/** Link-local, so a router never forwards it; from the range for experiments of RFC 4291 and RFC 3307. */
export const DISCOVERY_GROUP_IPV6 = 'ff02::f11e:5c'
export const DISCOVERY_PORT = 9999

/** What the asker is looking for. */
export type DiscoverPurpose = 'sync' | 'pair'

/** The original's question: anyone there? */
export interface DiscoverV1 {
  readonly v: 1
}

/** A question of version 2. */
export interface DiscoverV2 {
  readonly v: 2
  /** 16 letters of base64url: 12 random bytes that the answer repeats. */
  readonly nonce: string
  readonly want: DiscoverPurpose
}

/** An answer. It is a hint and proves nothing. */
export interface Offer {
  readonly v: 1 | 2
  /** TCP port of the original's protocol; 0 where it is not spoken. */
  readonly legacyPort: number
  /** The rest is there in version 2. TCP port of the TLS protocol. */
  readonly tlsPort?: number
  /** First 16 symbols of the server's device id. */
  readonly idPrefix?: string
  readonly nonce?: string
  /** Whether the server pairs at the moment. */
  readonly pairing?: boolean
}

const NONCE = /^[A-Za-z0-9_-]{16}$/u
const ID_PREFIX = /^[0-9A-HJKMNP-TV-Z]{16}$/u
const port = v.pipe(v.number(), v.integer(), v.minValue(0), v.maxValue(65535))

const discoverSchema = v.union([
  v.object({ type: v.literal('DISCOVER'), v: v.literal(2), n: v.pipe(v.string(), v.regex(NONCE)), want: v.picklist(['sync', 'pair']) }),
  v.object({ type: v.literal('DISCOVER'), v: v.optional(v.undefined()) }),
])

const offerSchema = v.union([
  v.object({
    type: v.literal('OFFER'),
    port,
    v: v.literal(2),
    tls: v.pipe(port, v.minValue(1)),
    id: v.pipe(v.string(), v.regex(ID_PREFIX)),
    n: v.pipe(v.string(), v.regex(NONCE)),
    pair: v.optional(v.boolean()),
  }),
  v.object({ type: v.literal('OFFER'), port: v.pipe(port, v.minValue(1)), v: v.optional(v.undefined()) }),
])

const decoder = new TextDecoder('utf-8', { fatal: true })
const encoder = new TextEncoder()

/** Whether a text has the form in which a server tells the first 16 symbols of its device id. */
export function isIdPrefix (text: string): boolean {
  return ID_PREFIX.test(text)
}

/** DISCOVER of version 2, padded so that no answer to it is larger than it is. */
export function encodeDiscover (discover: DiscoverV2): Uint8Array {
  const message = { type: 'DISCOVER', v: 2, n: discover.nonce, want: discover.want, pad: '' }
  const padBytes = Math.max(0, LIMITS.discoverBytes - JSON.stringify(message).length)
  return encoder.encode(JSON.stringify({ ...message, pad: 'x'.repeat(padBytes) }))
}

/** DISCOVER as the original sends it. */
export function encodeDiscoverV1 (): Uint8Array {
  return encoder.encode('{"type":"DISCOVER"}')
}

/** OFFER of either version; the original ignores the fields it does not know. */
export function encodeOffer (offer: Offer): Uint8Array {
  const message = offer.v === 1
    ? { type: 'OFFER', port: offer.legacyPort }
    : { type: 'OFFER', port: offer.legacyPort, v: 2, tls: offer.tlsPort, id: offer.idPrefix, n: offer.nonce, ...(offer.pairing === true && { pair: true }) }
  return encoder.encode(JSON.stringify(message))
}

/**
 * The question in a datagram. Throws DATAGRAM_INVALID. It bounds the datagram and judges its form only: that a question of
 * version 2 has its padding is a rule for who answers, and who only wants to know what was asked reads a short one as well.
 */
export function decodeDiscover (datagram: Uint8Array): DiscoverV1 | DiscoverV2 {
  const result = v.safeParse(discoverSchema, decodeJson(datagram), { abortEarly: true })
  if (!result.success) throw invalid('it is not a DISCOVER')
  return result.output.v === 2 ? { v: 2, nonce: result.output.n, want: result.output.want } : { v: 1 }
}

/** The answer in a datagram. Throws DATAGRAM_INVALID. */
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
