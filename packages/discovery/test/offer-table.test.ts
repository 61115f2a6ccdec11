import { encodeOffer } from '@filesync/protocol'
import { describe, expect, test } from 'vitest'
import { OfferTable } from '../src/offer-table.ts'
import type { Heard } from '../src/reply-policy.ts'
import { memoryLink } from '../src/testing/memory-network.ts'

const link = memoryLink('10.0.0.1/16')
const nonce = 'nonce-nonce-nonc'
const idPrefix = '0123456789ABCDEF'

function offer (change: object = {}, address = '10.0.0.2'): Heard {
  const message = { type: 'OFFER', port: 0, v: 2, tls: 4433, id: idPrefix, n: nonce, ...change }
  return { bytes: new TextEncoder().encode(JSON.stringify(message)), link, source: { address, port: 9999 } }
}

function table (pinned?: string[]): OfferTable {
  const fresh = new OfferTable(pinned)
  fresh.startRound(nonce)
  return fresh
}

test('an answer to our question is a server', () => {
  expect(table().hear(offer({ pair: true }))).toEqual({ address: '10.0.0.2', port: 4433, idPrefix, pairing: true, interfaceName: 'eth0' })
})

test.each<[string, Heard]>([
  ['the wrong nonce', offer({ n: 'x'.repeat(16) })],
  ['no nonce', offer({ n: undefined })],
  ['a privileged port', offer({ tls: 22 })],
  ['port 70000', offer({ tls: 70_000 })],
  ['a port that is text', offer({ tls: 'x' })],
  ['a source in another subnet', offer({}, '10.1.0.2')],
  ['no id', offer({ id: undefined })],
  ['an id of other letters', offer({ id: '\u001b[31mabcdefghij' })],
  ['the form of the original', { ...offer(), bytes: encodeOffer({ v: 1, legacyPort: 4433 }) }],
  ['64 KiB', offer({ pad: 'x'.repeat(65_000) })],
])('an answer with %s is none', (_, heard) => {
  expect(table().hear(heard)).toBeUndefined()
})

describe('news', () => {
  test('yields a server once', () => {
    const known = table()
    expect(known.hear(offer())).toBeDefined()
    expect(known.hear(offer())).toBeUndefined()
    known.startRound('second-question-')
    expect(known.hear(offer({ n: 'second-question-' }))).toBeUndefined()
  })

  test('again when it moved, or pairs now', () => {
    const known = table()
    known.hear(offer())
    expect(known.hear(offer({ tls: 4434 }))?.port).toBe(4434)
    expect(known.hear(offer({}, '10.0.0.3'))?.address).toBe('10.0.0.3')
    expect(known.hear(offer({ pair: true }))?.pairing).toBe(true)
  })

  test('again when it was silent for more than five rounds', () => {
    const known = table()
    known.hear(offer())
    for (const round of '12345') known.startRound(round.repeat(16))
    expect(known.hear(offer({ n: '5'.repeat(16) }))).toBeUndefined()
    for (const round of 'abcdef') known.startRound(round.repeat(16))
    expect(known.hear(offer({ n: 'f'.repeat(16) }))).toBeDefined()
  })

  test('again when it said goodbye, or its interface was down', () => {
    const known = table()
    known.hear(offer())
    known.forget({ address: '10.0.0.2', port: 4433, idPrefix })
    expect(known.hear(offer())).toBeDefined()
    known.forgetInterface('eth1')
    expect(known.hear(offer())).toBeUndefined()
    known.forgetInterface('eth0')
    expect(known.hear(offer())).toBeDefined()
  })

  test('an answer may come two rounds late, and no later', () => {
    const known = table()
    known.startRound('1'.repeat(16))
    known.startRound('2'.repeat(16))
    expect(known.hear(offer())).toBeDefined()
    known.startRound('3'.repeat(16))
    expect(known.hear(offer({}, '10.0.0.9'))).toBeUndefined()
  })
})

describe('forged answers', () => {
  const forged = (index: number, id = String(index).padStart(16, '0')): Heard =>
    offer({ tls: 2_000 + index, id }, `10.0.${1 + (index >> 8)}.${index & 255}`)

  test('1,000 of them lead to 256 candidates', () => {
    const known = table()
    const candidates = Array.from({ length: 1_000 }, (_, index) => known.hear(forged(index))).filter(server => server !== undefined)
    expect(candidates).toHaveLength(256)
  })

  test('1,000 of one address lead to 4', () => {
    const known = table()
    const candidates = Array.from({ length: 1_000 }, (_, index) => known.hear(offer({ tls: 2_000 + index }))).filter(
      server => server !== undefined
    )
    expect(candidates).toHaveLength(4)
  })

  test('leave room for the server that the client is paired with', () => {
    const known = table([idPrefix])
    const candidates = Array.from({ length: 1_000 }, (_, index) => known.hear(forged(index))).filter(server => server !== undefined)
    expect(candidates).toHaveLength(4)
    expect(known.hear(offer())?.idPrefix).toBe(idPrefix)
  })
})
