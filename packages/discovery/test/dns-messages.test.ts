import { Buffer } from 'node:buffer'
import { seededRandom } from '@filesync/protocol/testing'
import * as oracle from 'dns-packet'
import { describe, expect, test } from 'vitest'
import { formatAddress, parseAddress } from '../src/address.ts'
import { decodeMessage, encodeMessage } from '../src/dns-sd/dns-message.ts'
import type { DnsMessage } from '../src/dns-sd/dns-message.ts'
import { escapeLabel, labelBytes, nameKey, readLabel, splitName } from '../src/dns-sd/domain-name.ts'
import { serviceRecords } from '../src/dns-sd/service-records.ts'
import { checkPort, checkServiceName, instanceName, nextHost, nextName, readInstance, typeName } from '../src/dns-sd/service-type.ts'
import { readTxt, txtItems } from '../src/dns-sd/txt.ts'
import { memoryLink } from '../src/testing/memory-network.ts'

const links = [memoryLink('10.0.0.1/24'), memoryLink('fe80::1/64')]
const texts = txtItems({ rp: 'ipp/print', color: true }, 'txt')
const service = { type: '_ipp._tcp.local', name: 'Printer 3.5', host: 'desk', port: 631, texts }
const { listing, own, addresses } = serviceRecords(service, memoryLink('10.0.0.1/24'), links)
const response: DnsMessage = {
  kind: 'response', questions: [], answers: [listing, ...own], authorities: [], additionals: addresses, isTruncated: false,
}

describe('messages', () => {
  test('are read back as they were written', () => {
    expect(decodeMessage(encodeMessage(response))).toEqual(response)
  })

  test('are byte by byte what RFC 1035 and RFC 6762 say', () => {
    const query = encodeMessage({ kind: 'query', questions: [{ name: '_filesync._tcp.local', type: 'PTR' }], answers: [] })
    const expected = '0000 0000 0001 0000 0000 0000 09 5f66696c6573796e63 04 5f746370 05 6c6f63616c 00 000c 0001'
    expect(Buffer.from(query).toString('hex')).toBe(expected.replaceAll(' ', ''))
  })

  test('are what dns-packet reads', () => {
    const read = oracle.decode(Buffer.from(encodeMessage(response)))
    const instance = 'Printer 3.5._ipp._tcp.local'
    expect(read).toMatchObject({ type: 'response', flag_aa: true })
    expect(read.answers).toMatchObject([
      { type: 'PTR', name: '_ipp._tcp.local', data: instance, ttl: 4_500, flush: false },
      { type: 'SRV', name: instance, ttl: 120, flush: true, data: { port: 631, target: 'desk.local' } },
      { type: 'TXT', name: instance, flush: true, data: [Buffer.from('rp=ipp/print'), Buffer.from('color')] },
    ])
    expect(read.additionals).toMatchObject([{ type: 'A', name: 'desk.local', data: '10.0.0.1' }, { type: 'AAAA', data: 'fe80::1' }])
  })

  test('of dns-packet are read, with its names', () => {
    const bytes = oracle.encode({
      type: 'response', flags: oracle.AUTHORITATIVE_ANSWER,
      answers: [
        { type: 'PTR', name: '_ipp._tcp.local', data: 'Copier._ipp._tcp.local', ttl: 10 },
        {
          type: 'SRV', name: 'Copier._ipp._tcp.local', flush: true, class: 'IN', ttl: 10,
          data: { port: 1, target: 'a.local', priority: 1, weight: 2 },
        },
        { type: 'NSEC', name: 'a.local', ttl: 10, data: { nextDomain: 'a.local', rrtypes: ['A'] } },
        { type: 'AAAA', name: 'a.local', ttl: 10, data: '2001:db8::7:0:0:1' },
      ],
    })
    expect(decodeMessage(bytes)?.answers).toEqual([
      { type: 'PTR', name: '_ipp._tcp.local', ttlSeconds: 10, flush: false, target: 'Copier._ipp._tcp.local' },
      { type: 'SRV', name: 'Copier._ipp._tcp.local', ttlSeconds: 10, flush: true, target: 'a.local', port: 1 },
      { type: 'AAAA', name: 'a.local', ttlSeconds: 10, flush: false, address: '2001:db8::7:0:0:1' },
    ])
  })

  test('that are damaged are refused or read, but never throw', () => {
    const seed = 3
    const random = seededRandom(seed)
    const valid = encodeMessage(response)
    for (let index = 0; index < 20_000; index++) {
      const bytes = valid.slice(0, Math.ceil(random() * valid.length))
      for (let change = 0; change < 4; change++) bytes[Math.floor(random() * bytes.length)] = Math.floor(random() * 256)
      expect(() => decodeMessage(bytes), `seed ${seed}, message ${index}`).not.toThrow()
    }
  })

  test.each([
    ['too short', new Uint8Array(11)],
    ['too long', new Uint8Array(9_001)],
    ['with a name that points to itself', Uint8Array.from([0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0xc0, 12, 0, 12, 0, 1])],
    ['with a name that goes round', Uint8Array.from([0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 1, 97, 0xc0, 12, 0, 12, 0, 1])],
    ['that claims 262,140 records', Uint8Array.from([0, 0, 0x84, 0, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff])],
    ['with an error code', Uint8Array.from([0, 0, 0x84, 3, 0, 0, 0, 0, 0, 0, 0, 0])],
  ])('%s are refused', (_, bytes) => {
    expect(decodeMessage(bytes)).toBeUndefined()
  })
})

describe('names', () => {
  test.each(['Printer, 2nd floor', 'v1.2.3', 'back\\slash', 'Küche ☕', 'a\\.b', '1\\065'])('the label %s survives', label => {
    const instance = instanceName(label, '_ipp._tcp.local')
    expect(splitName(instance)).toHaveLength(4)
    const read = decodeMessage(encodeMessage({ ...response, answers: [{ ...listing, ...{ target: instance } }] }))
    expect(read?.answers[0]).toMatchObject({ target: instance })
    expect(readInstance(instance, '_IPP._tcp.local')).toBe(label)
  })

  test('bytes that are not UTF-8 survive', () => {
    const bytes = Uint8Array.from([0x50, 0xff, 0x2e, 0x5c])
    expect(readLabel(bytes)).toBe('P\\255\\.\\\\')
    expect(labelBytes(readLabel(bytes))).toEqual(bytes)
  })

  test('are compared without the case of ASCII letters alone', () => {
    expect(nameKey('Äpfel.LOCAL')).toBe('Äpfel.local')
    expect(escapeLabel('a.b')).toBe('a\\.b')
  })

  test('an instance of another type, or of no type, is none', () => {
    expect(readInstance('x._http._tcp.local', '_ipp._tcp.local')).toBeUndefined()
    expect(readInstance('_ipp._tcp.local', '_ipp._tcp.local')).toBeUndefined()
  })

  test('the next name after a conflict counts, and stays within 63 bytes', () => {
    expect([nextName('Printer'), nextName('Printer (2)'), nextName('Printer (9)')]).toEqual(['Printer (2)', 'Printer (3)', 'Printer (10)'])
    expect(new TextEncoder().encode(nextName('ü'.repeat(31))).length).toBeLessThanOrEqual(63)
    expect([nextHost('desk'), nextHost('desk-2')]).toEqual(['desk-2', 'desk-3'])
  })
})

describe('properties', () => {
  test('are read back: text, bytes, and keys without a value', () => {
    const bytes = Uint8Array.from([0, 255, 61])
    const { txt, txtBytes } = readTxt(txtItems({ rp: 'ipp/print', Color: true, off: false, none: undefined, empty: '', raw: bytes }, 'txt'))
    expect(txt).toMatchObject({ rp: 'ipp/print', color: true, empty: '' })
    expect(Object.keys(txt)).toEqual(['rp', 'color', 'empty', 'raw'])
    expect(txtBytes['raw']).toEqual(bytes)
  })

  test('without a key are ignored, and the first of two counts; a peer cannot choose a prototype', () => {
    const items = ['=x', '', 'a=1', 'A=2', '__proto__=3'].map(text => new TextEncoder().encode(text))
    const { txt } = readTxt(items)
    expect(Object.entries(txt)).toEqual([['a', '1'], ['__proto__', '3']])
  })

  test.each<[string, Record<string, unknown>, RegExp]>([
    ['a key with =', { 'a=b': 'c' }, /txt: the key "a=b" must be printable ASCII/u],
    ['an empty key', { '': 'c' }, /printable ASCII/u],
    ['a key that is not ASCII', { 'ü': 'c' }, /printable ASCII/u],
    ['two keys that differ in case', { a: '1', A: '2' }, /occurs twice/u],
    ['256 bytes', { a: 'x'.repeat(254) }, /a has 256 bytes with its value; at most 255/u],
    ['a number', { a: 1 }, /must be a string, a Uint8Array or a boolean/u],
    ['too much in all', Object.fromEntries(Array.from({ length: 6 }, (_, at) => [`k${at}`, 'x'.repeat(250)])), /at most 1300 fit/u],
  ])('%s is refused', (_, txt, message) => {
    expect(() => txtItems(txt as Record<string, string>, 'txt')).toThrow(TypeError)
    expect(() => txtItems(txt as Record<string, string>, 'txt')).toThrow(message)
  })

  test('255 bytes fit', () => {
    expect(txtItems({ a: 'x'.repeat(253) }, 'txt')[0]).toHaveLength(255)
  })
})

const WRONG_TYPES = ['ipp', '_ipp', '_ipp._sctp', '_ipp._tcp.local', '_a-very-long-service._tcp', '_1._tcp', '_a--b._tcp', '', 7]
test.each(WRONG_TYPES)('the type %s is refused', type => {
  expect(() => typeName(type, 'type')).toThrow(/type must be a service type such as "_ipp._tcp"/u)
})

test.each(['', 'x'.repeat(64), 'a\nb', 5])('the name %j is refused', name => {
  expect(() => checkServiceName(name, 'name')).toThrow(/name must be 1 to 63 bytes/u)
})

test.each([0, -1, 65_536, 1.5, NaN, '80', undefined, null])('the port %s is refused', port => {
  expect(() => checkPort(port, 'port')).toThrow(/port must be an integer from 1 to 65535/u)
})

test.each(['::', '::1', '1::', '2001:db8::1', '2001:db8:0:1:1:1:1:1', '2001:0:0:1::1', '1:2:3:4:5:6:7:8', 'fe80::1:0:0:2', '10.0.0.1'])(
  'the address %s is written as RFC 5952 says', address => {
    expect(formatAddress(parseAddress(address) ?? new Uint8Array())).toBe(address)
  },
)
