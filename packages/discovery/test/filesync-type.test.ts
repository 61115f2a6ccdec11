import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { serverService } from '../src/filesync-type.ts'
import { decodeMessage, encodeMessage } from '../src/dns-sd/dns-message.ts'
import type { DnsRecord } from '../src/dns-sd/dns-message.ts'
import { serviceRecords } from '../src/dns-sd/service-records.ts'
import { memoryLink } from '../src/testing/memory-network.ts'
import { idA, idB, MemoryHosts, onWire } from './support/memory-hosts.ts'

let hosts: MemoryHosts
beforeEach(() => { hosts = new MemoryHosts() })
afterEach(async () => { await hosts.end() })

/** Finds by DNS-SD alone: nobody answers DISCOVER in these tests. */
const byDnsSd = { withDnsSd: true }

test('a server is found by DNS-SD alone, at once', async () => {
  hosts.service(idA, onWire('10.0.0.1'), { isPairing: () => true })
  await hosts.pass(2_000)
  const { found } = hosts.client(onWire('10.0.0.2'), byDnsSd)
  await hosts.pass(150)
  expect(found).toEqual([{ address: '10.0.0.1', port: 4433, idPrefix: idA, pairing: true, interfaceName: 'eth0' }])
})

test('a client that has waited for long hears of a new server at once', async () => {
  const { found } = hosts.client(onWire('10.0.0.2'), byDnsSd)
  await hosts.pass(120_000, 500)
  const sent = hosts.network.sent.length
  hosts.service(idA, onWire('10.0.0.1'))
  await hosts.pass(0)
  expect(found).toHaveLength(1)
  expect(hosts.network.sent.length - sent).toBe(1)
})

test('a new server is announced twice, because one announcement may be lost', async () => {
  hosts.service(idA, onWire('10.0.0.1'))
  await hosts.pass(60_000, 500)
  expect(hosts.network.sent).toHaveLength(2)
})

test('yields a server that answers both ways once', async () => {
  hosts.server(idA, onWire('10.0.0.1'))
  hosts.service(idA, onWire('10.0.0.1'))
  const { found } = hosts.client(onWire('10.0.0.2'), byDnsSd)
  await hosts.pass(10_000)
  expect(found).toHaveLength(1)
})

test('a server says goodbye, and is news when it is back', async () => {
  const stop = new AbortController()
  hosts.service(idA, onWire('10.0.0.1'), { signal: stop.signal })
  const { found } = hosts.client(onWire('10.0.0.2'), byDnsSd)
  await hosts.pass(5_000)
  expect(found).toHaveLength(1)
  stop.abort()
  await hosts.pass(0)
  hosts.service(idA, onWire('10.0.0.1'))
  await hosts.pass(0)
  expect(found).toHaveLength(2)
})

test('a flood of 10,000 questions is answered once a second', async () => {
  hosts.service(idA, onWire('10.0.0.1'))
  await hosts.pass(2_000)
  const before = hosts.network.sent.length
  const bytes = encodeMessage({ kind: 'query', questions: [{ name: '_FileSync._tcp.local', type: 'PTR' }], answers: [] })
  for (let index = 0; index < 10_000; index++) hosts.network.inject('wire', { address: '10.0.0.9', port: 5353 }, { to: 'group', bytes })
  await hosts.pass(900)
  expect(hosts.network.sent.length - before).toBe(10_001)
})

test.each([
  ['for another service', 5353, '10.0.0.9', { name: '_http._tcp.local', type: 'PTR' }],
  ['for another type', 5353, '10.0.0.9', { name: '_filesync._tcp.local', type: 'A' }],
  ['from another port', 50_000, '10.0.0.9', { name: '_filesync._tcp.local', type: 'PTR' }],
])('a question %s is not answered', async (_, port, address, question) => {
  hosts.service(idA, onWire('10.0.0.1'))
  await hosts.pass(2_000)
  const before = hosts.network.sent.length
  hosts.network.inject(
    'wire',
    { address, port },
    { to: 'group', bytes: encodeMessage({ kind: 'query', questions: [question], answers: [] }) }
  )
  await hosts.pass(900)
  expect(hosts.network.sent.length - before).toBe(1)
})

test('questions by DNS-SD are at least a second apart, and the interval doubles', async () => {
  hosts.client(onWire('10.0.0.2'), byDnsSd)
  const sentAtMs: number[] = []
  for (let ms = 0; ms <= 64_000; ms += 250) {
    const before = hosts.network.sent.length
    await hosts.pass(250)
    const isQuestion = ({ bytes }: { bytes: Uint8Array }): boolean => decodeMessage(bytes)?.kind === 'query'
    if (hosts.network.sent.slice(before).some(isQuestion)) sentAtMs.push(hosts.clock.monotonicMs())
  }
  const intervals = sentAtMs.slice(1).map((ms, index) => ms - (sentAtMs[index] ?? 0))
  expect(intervals.length).toBeGreaterThan(3)
  for (const [index, interval] of intervals.entries()) expect(interval).toBeGreaterThanOrEqual(1_000 * 2 ** index - 250)
})

describe('a response is believed only of its sender', () => {
  const service = serverService({ tlsPort: 4433, idPrefix: idB, isPairing: () => false })
  const { listing, own, addresses } = serviceRecords(service, memoryLink('10.0.0.9/24'), [])
  const real = [listing, ...own, ...addresses]
  const texts = (...items: string[]): Uint8Array[] => items.map(item => new TextEncoder().encode(item))
  const replaced = (type: string, change: object): DnsRecord[] =>
    real.map(record => (record.type === type ? { ...record, ...change } : record))

  test.each<[string, DnsRecord[], number, number]>([
    ['as it should be', real, 5353, 1],
    ['from another port', real, 5354, 0],
    ["with a third machine's address", replaced('A', { address: '10.0.0.50' }), 5353, 0],
    ['without an address', real.filter(({ type }) => type !== 'A'), 5353, 0],
    ['with a privileged port', replaced('SRV', { port: 22 }), 5353, 0],
    ['of another version', replaced('TXT', { texts: texts('v=3', `id=${idB}`) }), 5353, 0],
    ['without an id', replaced('TXT', { texts: texts('v=2') }), 5353, 0],
    ['with an id that is none', replaced('TXT', { texts: texts('v=2', 'id=\u001b[2J') }), 5353, 0],
    ['of another service', replaced('SRV', { name: 'x._http._tcp.local' }), 5353, 0],
  ])('%s', async (_, answers, port, expected) => {
    const { found } = hosts.client(onWire('10.0.0.2'), byDnsSd)
    await hosts.pass(0)
    hosts.network.inject(
      'wire',
      { address: '10.0.0.9', port },
      { to: 'group', bytes: encodeMessage({ kind: 'response', questions: [], answers }) }
    )
    await hosts.pass(0)
    expect(found).toHaveLength(expected)
  })
})
