import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { decodeDiscover, decodeOffer, encodeDiscover, encodeDiscoverV1, encodeOffer, LIMITS } from '../src/index.ts'
import type { Offer } from '../src/index.ts'
import { refusal } from './support/refusal.ts'

const letters = (alphabet: string): fc.Arbitrary<string> => fc.string({ unit: fc.constantFrom(...alphabet), minLength: 16, maxLength: 16 })
const nonce = letters('ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_')
const idPrefix = letters('0123456789ABCDEFGHJKMNPQRSTVWXYZ')
const port = fc.integer({ min: 1, max: 65535 })
const offerV2: fc.Arbitrary<Offer> = fc.record({
  v: fc.constant(2 as const), legacyPort: fc.nat({ max: 65535 }), tlsPort: port, idPrefix, nonce, pairing: fc.boolean(),
})
const bytes = (text: string): Uint8Array => new TextEncoder().encode(text)
const padded = (fields: object): Uint8Array => bytes(JSON.stringify({ ...fields, pad: 'x'.repeat(256) }))
const good = { type: 'DISCOVER', v: 2, n: 'AAAAAAAAAAAAAAAA', want: 'sync' }
const goodOffer = { type: 'OFFER', port: 0, v: 2, tls: 5000, id: 'AAAAAAAAAAAAAAAA', n: 'AAAAAAAAAAAAAAAA' }

describe('DISCOVER', () => {
  it('round-trips, and no answer is larger', () => {
    fc.assert(fc.property(nonce, fc.constantFrom('sync' as const, 'pair' as const), offerV2, (n, want, offer) => {
      const datagram = encodeDiscover({ v: 2, nonce: n, want })
      expect(datagram.length).toBe(LIMITS.discoverBytes)
      expect(decodeDiscover(datagram)).toEqual({ v: 2, nonce: n, want })
      expect(encodeOffer(offer).length).toBeLessThan(datagram.length)
    }))
  })

  it('of version 1 is what the original program sends', () => {
    expect(new TextDecoder().decode(encodeDiscoverV1())).toBe('{"type":"DISCOVER"}')
    expect(decodeDiscover(encodeDiscoverV1())).toEqual({ v: 1 })
    expect(decodeDiscover(bytes('{"type": "DISCOVER", "whatever": 1}'))).toEqual({ v: 1 })
  })

  it.each([
    ['of version 3', padded({ ...good, v: 3 })],
    ['of version null', padded({ ...good, v: null })],
    ['with a short nonce', padded({ ...good, n: 'A' })],
    ['with a huge nonce', padded({ ...good, n: 'A'.repeat(900) })],
    ['with a nonce of other letters', padded({ ...good, n: 'AAAAAAAAAAAAAAA"' })],
    ['with a nonce and a line break', padded({ ...good, n: 'AAAAAAAAAAAAAAAA\n' })],
    ['that wants something else', padded({ ...good, want: 'all' })],
    ['that is an OFFER', padded(goodOffer)],
    ['that is not JSON', bytes('DISCOVER')],
    ['that is no object', bytes('[]')],
    ['that is null', bytes('null')],
    ['that is empty', bytes('')],
    ['that is not UTF-8', Uint8Array.of(0x22, 0xc3, 0x28, 0x22)],
    ['that is too long', bytes(JSON.stringify({ ...good, pad: 'x'.repeat(LIMITS.datagramBytes) }))],
    ['of 64 KiB', new Uint8Array(65_507).fill(0x20)],
    ['that is nested deeply', bytes('['.repeat(1400))],
    ['in an array', bytes(JSON.stringify([good]))],
    ['with a prototype', bytes('{"__proto__":{"type":"DISCOVER"}}')],
  ])('is refused %s', (_, datagram) => { expect(refusal(() => decodeDiscover(datagram))).toBe('DATAGRAM_INVALID') })
})

describe('OFFER', () => {
  it('round-trips', () => {
    fc.assert(fc.property(offerV2, offer => { expect(decodeOffer(encodeOffer(offer))).toEqual(offer) }))
    fc.assert(fc.property(port, legacyPort => { expect(decodeOffer(encodeOffer({ v: 1, legacyPort }))).toEqual({ v: 1, legacyPort }) }))
  })

  it('of version 1 is what the original program sends', () => {
    expect(new TextDecoder().decode(encodeOffer({ v: 1, legacyPort: 5000 }))).toBe('{"type":"OFFER","port":5000}')
  })

  it.each([
    ['tls 0', { tls: 0 }], ['tls 70000', { tls: 70_000 }], ['tls x', { tls: 'x' }], ['tls 1.5', { tls: 1.5 }],
    ['no tls', { tls: undefined }],
    ['port -1', { port: -1 }], ['port 65536', { port: 65_536 }], ['no port', { port: undefined }], ['no nonce', { n: undefined }],
    ['a prefix in lower case', { id: 'aaaaaaaaaaaaaaaa' }], ['a prefix with I', { id: 'IIIIIIIIIIIIIIII' }],
    ['a prefix that is long', { id: 'A'.repeat(52) }],
    ['pair as text', { pair: 'yes' }], ['version 3', { v: 3 }], ['version text', { v: '2' }], ['another type', { type: 'DISCOVER' }],
  ])('is rejected with %s', (_, change) => {
    expect(refusal(() => decodeOffer(bytes(JSON.stringify({ ...goodOffer, ...change }))))).toBe('DATAGRAM_INVALID')
  })

  it('of version 1 requires a port', () => {
    expect(refusal(() => decodeOffer(bytes('{"type":"OFFER","port":0}')))).toBe('DATAGRAM_INVALID')
    expect(refusal(() => decodeOffer(bytes('{"type":"OFFER"}')))).toBe('DATAGRAM_INVALID')
  })
})

it.each<[string, () => Uint8Array, RegExp]>([
  ['an offer of version 2 with nothing in it', () => encodeOffer({ v: 2, legacyPort: 0 }), /encodeOffer: invalid tlsPort/u],
  ['an offer of version 1 without a port', () => encodeOffer({ v: 1, legacyPort: 0 }), /encodeOffer: invalid legacyPort/u],
  ['an offer of another version', () => encodeOffer({ v: 3, legacyPort: 1 } as never), /encodeOffer: invalid v/u],
  ['a port that is none', () => encodeOffer({ ...offerOf(), tlsPort: NaN }), /encodeOffer: invalid tlsPort/u],
  ['a prefix that is none', () => encodeOffer({ ...offerOf(), idPrefix: 'x' }), /encodeOffer: invalid idPrefix/u],
  ['pairing as text', () => encodeOffer({ ...offerOf(), pairing: 'yes' } as never), /encodeOffer: invalid pairing/u],
  ['a nonce that is none', () => encodeDiscover({ v: 2, nonce: '', want: 'sync' }), /encodeDiscover: invalid nonce/u],
  ['another purpose', () => encodeDiscover({ v: 2, nonce: 'n'.repeat(16), want: 'x' } as never), /encodeDiscover: invalid want/u],
  ['a question of version 1', () => encodeDiscover({ v: 1, nonce: 'n'.repeat(16), want: 'sync' } as never), /encodeDiscover: invalid v/u],
])('what no decoder accepts is not encoded: %s', (_, encode, message) => {
  expect(encode).toThrow(TypeError)
  expect(encode).toThrow(message)
})

function offerOf (): Offer {
  return { v: 2, legacyPort: 0, tlsPort: 4433, idPrefix: 'A'.repeat(16), nonce: 'n'.repeat(16) }
}

it('a datagram of any bytes is decoded or rejected', () => {
  fc.assert(fc.property(fc.oneof(fc.uint8Array({ maxLength: 200 }), fc.json().map(bytes)), datagram => {
    expect(refusal(() => decodeDiscover(datagram))).toMatch(/^(accepted|DATAGRAM_INVALID)$/u)
    expect(refusal(() => decodeOffer(datagram))).toMatch(/^(accepted|DATAGRAM_INVALID)$/u)
  }), { numRuns: 500 })
})
