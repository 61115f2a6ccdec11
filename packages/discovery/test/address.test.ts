import { isIP } from 'node:net'
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { isLoopback, isOnLink, parseAddress, sameAddress } from '../src/address.ts'
import { chooseLinks } from '../src/link.ts'
import { memoryLink } from '../src/testing/memory-network.ts'

describe('parseAddress', () => {
  test('agrees with Node on what an address is', () => {
    const alphabet = fc.constantFrom('0', '1', '9', '25', '255', '256', '01', 'f', 'fe80', ':', '::', '.', 'g', '1.2.3.4', '')
    fc.assert(fc.property(fc.array(alphabet, { maxLength: 12 }).map(parts => parts.join('')), text => {
      expect(parseAddress(text) !== undefined, text).toBe(isIP(text) !== 0)
    }), { numRuns: 20_000 })
  })

  test('reads back what it is given', () => {
    fc.assert(fc.property(fc.ipV4(), text => { expect(parseAddress(text)?.join('.')).toBe(text) }))
    fc.assert(fc.property(fc.uint8Array({ minLength: 16, maxLength: 16 }), bytes => {
      const groups = Array.from({ length: 8 }, (_, index) => (((bytes[index * 2] ?? 0) << 8) | (bytes[index * 2 + 1] ?? 0)).toString(16))
      expect(parseAddress(groups.join(':'))).toEqual(bytes)
    }))
  })

  test.each([
    ['::', 16, 0], ['::1', 16, 1], ['fe80::1%eth0', 16, 1], ['::ffff:10.0.0.9', 16, 9], ['1::', 16, 0], ['127.0.0.1', 4, 1],
  ])('%s', (text, length, last) => {
    expect(parseAddress(text)).toHaveLength(length)
    expect(parseAddress(text)?.at(-1)).toBe(last)
  })

  test.each([
    '',
    ':',
    ':::',
    '1',
    '1.2.3',
    '1.2.3.4.5',
    '1.2.3.04',
    '1.2.3.4%eth0',
    '::1%a%b',
    '1::2::3',
    '1:2:3:4:5:6:7:8:9',
    '1:2:3:4:5:6:7::8',
    'host',
  ])('%j is none', text => {
    expect(parseAddress(text)).toBeUndefined()
  })
})

describe('isOnLink', () => {
  test.each([
    ['10.1.2.3', '10.1.2.99/24', true],
    ['10.1.3.3', '10.1.2.99/24', false],
    ['10.1.127.1', '10.1.1.1/17', true],
    ['10.1.128.1', '10.1.1.1/17', false],
    ['10.1.2.99', '10.1.2.99/32', true],
    ['10.1.2.98', '10.1.2.99/32', false],
    ['8.8.8.8', '10.0.0.1/0', true],
    ['127.8.8.8', '127.0.0.1/8', true],
    ['fe80::2%eth0', 'fe80::1/64', true],
    ['fe80::2%eth1', 'fe80::1/64', false],
    ['fe80:0:0:1::2', 'fe80::1/64', false],
    ['::ffff:10.1.2.3', '10.1.2.99/24', false],
    ['nonsense', '10.1.2.99/24', false],
  ])('%s on %s: %s', (address, cidr, expected) => {
    expect(isOnLink(address, memoryLink(cidr))).toBe(expected)
  })
})

test('sameAddress looks through spellings', () => {
  expect(sameAddress('::1', '0:0:0:0:0:0:0:1')).toBe(true)
  expect(sameAddress('FE80::1%a', 'fe80::1')).toBe(true)
  expect(sameAddress('10.0.0.1', '10.0.0.2')).toBe(false)
  expect(sameAddress('0.0.0.0', '::')).toBe(false)
  expect(isLoopback('127.1.2.3') && isLoopback('::1') && !isLoopback('128.0.0.1') && !isLoopback('::2')).toBe(true)
})

describe('chooseLinks', () => {
  const lo = memoryLink('127.0.0.1/8', 'lo')
  const lo6 = memoryLink('::1/128', 'lo')
  const eth = memoryLink('192.168.1.5/24', 'eth0')
  const eth6 = memoryLink('fe80::5/64', 'eth0')
  const global6 = memoryLink('2001:db8::5/64', 'eth0')
  const all = [lo, lo6, eth, eth6, global6]

  test.each([
    ['everything', {}, [lo, eth, eth6]],
    ['named interfaces', { interfaces: ['lo'] }, [lo]],
    ['no interface', { interfaces: [] }, []],
    ['all of IPv4', { bind: '0.0.0.0' }, [lo, eth]],
    ['all', { bind: '::' }, [lo, eth, eth6]],
    ['one address', { bind: '192.168.1.5' }, [eth]],
    ['one link-local address', { bind: 'fe80::5%eth0' }, [eth6]],
    ['an address that is not here', { bind: '192.168.1.6' }, []],
    ['both', { interfaces: ['eth0'], bind: '0.0.0.0' }, [eth]],
  ])('%s', (_, choice, expected) => {
    expect(chooseLinks(all, choice)).toEqual(expected)
  })
})
