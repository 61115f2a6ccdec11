import { decodeOffer, encodeOffer } from '@filesync/protocol'
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { symbolOf } from '../src/crockford.ts'
import {
  formatDeviceId,
  formatPairingCode,
  idPrefix,
  isDeviceId,
  parseDeviceId,
  parseEnrollmentToken,
  parsePairingCode,
  toDeviceId,
} from '../src/index.ts'
import { deviceIdBytes, tryParseDeviceId } from '../src/device-id.ts'
import { formatEnrollmentToken } from '../src/enrollment-token.ts'
import { makeEnrollmentToken } from '../src/enrollment-token.ts'
import { makePairingCode } from '../src/pairing-code.ts'
import { nodeCrypto } from '../src/node/index.ts'

const COUNTING = Uint8Array.from({ length: 32 }, (_, at) => at)
const keyDigest = fc.uint8Array({ minLength: 32, maxLength: 32 })

describe('a device id', () => {
  test('has the form of the specification', () => {
    const id = toDeviceId(COUNTING)
    expect(id).toBe('000G40R40M30E209185GR38E1W8124GK2GAHC5RR34D1P70X3RFG')
    expect(formatDeviceId(id)).toBe('000G40R-40M30E2-09185GR-38E1W81-24GK2GA-HC5RR34-D1P70X3-RFG9')
    expect(idPrefix(id)).toBe('000G40R40M30E209')
  })

  test('says the same bytes in every spelling', () => {
    fc.assert(fc.property(keyDigest, digest => {
      const id = toDeviceId(digest)
      expect(deviceIdBytes(id)).toEqual(Uint8Array.from(digest))
      const sloppy = ` ${formatDeviceId(id).toLowerCase().replaceAll('-', ' ').replaceAll('0', 'o').replaceAll('1', 'l')}\n`
      expect(parseDeviceId(sloppy)).toBe(id)
      expect(tryParseDeviceId(formatDeviceId(id).replaceAll('1', 'I'))).toBe(id)
    }))
  })

  test('shows every wrong symbol and every swap of neighbors', () => {
    const right = formatDeviceId(toDeviceId(COUNTING)).replaceAll('-', '')
    for (let at = 0; at < right.length; at++) {
      for (let value = 0; value < 32; value++) {
        const wrong = right.slice(0, at) + symbolOf(value) + right.slice(at + 1)
        if (wrong !== right) expect(tryParseDeviceId(wrong), wrong).toBeUndefined()
      }
      const swapped = right.slice(0, at) + right.slice(at, at + 2).split('').reverse().join('') + right.slice(at + 2)
      if (swapped !== right) expect(tryParseDeviceId(swapped), swapped).toBeUndefined()
    }
  })

  test.each(['', 'laptop', '000G40R40M30E209', toDeviceId(COUNTING), `${toDeviceId(COUNTING)}90`, `${toDeviceId(COUNTING)}Z`])(
    'is not read from %j',
    text => {
      expect(() => parseDeviceId(text)).toThrow(/device id/u)
      expect(tryParseDeviceId(text)).toBeUndefined()
    }
  )

  test('is stored in one form only', () => {
    const id = toDeviceId(COUNTING)
    expect(isDeviceId(id)).toBe(true)
    expect([formatDeviceId(id), id.toLowerCase(), id.slice(0, -1), id.slice(0, -1) + 'H', 42, undefined].filter(isDeviceId)).toEqual([])
  })

  test('has a prefix that an OFFER carries', () => {
    fc.assert(fc.property(keyDigest, digest => {
      const offer = {
        v: 2,
        legacyPort: 0,
        tlsPort: 9,
        idPrefix: idPrefix(toDeviceId(digest)),
        nonce: 'AAAAAAAAAAAAAAAA',
        pairing: false,
      } as const
      expect(decodeOffer(encodeOffer(offer)).idPrefix).toBe(offer.idPrefix)
    }))
  })
})

describe('a pairing code', () => {
  test('is understood however it is spelt', () => {
    const code = parsePairingCode('K7QF-2M9X-40R1')
    for (const spelling of ['k7qf2m9x40r1', ' K7QF 2M9X 40R1 ', 'K7QF-2M9X-4ORI', 'k7-qf2m-9x4oRl\n'])
      expect(parsePairingCode(spelling)).toBe(code)
    expect(formatPairingCode(code)).toBe('K7QF-2M9X-40R1')
  })

  test.each(['', 'K7QF-2M9X', 'K7QF-2M9X-4TRB-0', 'K7QF-2M9X-4TRU', 'K7QF-2M9X-4TR!'])('is not read from %j', text => {
    expect(() => parsePairingCode(text)).toThrow(/Invalid pairing code/u)
  })

  test('uses all of its 60 bits', () => {
    const seen = Array.from({ length: 12 }, () => new Set<string>())
    for (let round = 0; round < 2000; round++) {
      const code = makePairingCode(nodeCrypto)
      expect(parsePairingCode(formatPairingCode(code))).toBe(code)
      seen.forEach((symbols, at) => { symbols.add(code.charAt(at)) })
    }
    expect(seen.map(symbols => symbols.size)).toEqual(Array.from({ length: 12 }, () => 32))
  })
})

describe('an enrollment token', () => {
  test('survives being written to a file', () => {
    const token = makeEnrollmentToken(nodeCrypto, toDeviceId(COUNTING))
    const text = formatEnrollmentToken(token)
    expect(text).toMatch(/^fsj1\.[0-9A-Z]{52}\.[0-9A-Z]{26}$/u)
    expect(parseEnrollmentToken(`${text}\n`)).toEqual(token)
  })

  test('is refused when damaged, without repeating it', () => {
    const text = formatEnrollmentToken(makeEnrollmentToken(nodeCrypto, toDeviceId(COUNTING)))
    const damaged = ['', 'fsj2' + text.slice(4), text.slice(0, -1), `${text}0`, `${text}.x`, text.replace('.', '..'), text.toLowerCase()]
    for (const wrong of damaged) {
      expect(() => parseEnrollmentToken(wrong)).toThrow(/token file/u)
      expect(() => parseEnrollmentToken(wrong)).not.toThrow(new RegExp(text.slice(-20), 'iu'))
    }
  })
})
