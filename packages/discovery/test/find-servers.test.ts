import { randomBytes } from 'node:crypto'
import { decodeDiscover, encodeDiscover, encodeOffer, FileSyncError } from '@filesync/protocol'
import { seededRandom } from '@filesync/protocol/testing'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { findServers } from '../src/find-servers.ts'
import { memoryLink } from '../src/testing/memory-network.ts'
import type { Fate } from '../src/testing/memory-network.ts'
import { idA, idB, MemoryHosts, onWire } from './support/memory-hosts.ts'

let hosts: MemoryHosts
beforeEach(() => { hosts = new MemoryHosts() })
afterEach(async () => { await hosts.end() })

/** Questions that the client put on the wire. */
function questions (): number {
  return hosts.network.sent.filter(({ to }) => to === 'group').length
}

test('a server is found at once, by one question and one answer', async () => {
  hosts.server(idA, onWire('10.0.0.1'), { isPairing: () => true })
  const { found } = hosts.client(onWire('10.0.0.2'))
  await hosts.pass(0)
  expect(found).toEqual([{ address: '10.0.0.1', port: 4433, idPrefix: idA, pairing: true, interfaceName: 'eth0' }])
  expect(hosts.network.sent).toHaveLength(2)
})

test('no answer is larger than its question', async () => {
  hosts.server(idA, onWire('10.0.0.1'), { isPairing: () => true, legacyPort: 65_535, tlsPort: 65_535 })
  hosts.client(onWire('10.0.0.2'))
  await hosts.pass(0)
  const [question, answer] = hosts.network.sent
  expect(question?.bytes.length).toBe(256)
  expect(answer?.bytes.length).toBeLessThan(128)
})

test('nothing in a question or an answer names anybody', async () => {
  hosts.server(idA, onWire('10.0.0.1'))
  hosts.client(onWire('10.0.0.2'))
  await hosts.pass(0)
  const fields = hosts.network.sent.map(({ bytes }) => Object.keys(JSON.parse(new TextDecoder().decode(bytes)) as object).sort())
  expect(fields).toEqual([['n', 'pad', 'type', 'v', 'want'], ['id', 'n', 'port', 'tls', 'type', 'v']])
})

test('yields each of two servers once, however often they answer', async () => {
  hosts.server(idA, onWire('10.0.0.1'))
  hosts.server(idB, onWire('10.0.0.3'))
  const { found } = hosts.client(onWire('10.0.0.2'))
  await hosts.pass(20_000)
  expect(found.map(({ idPrefix }) => idPrefix)).toEqual([idA, idB])
  expect(questions()).toBeGreaterThan(3)
})

test('a server of another wire or subnet is not found', async () => {
  hosts.server(idA, onWire('10.0.0.1', 'elsewhere'))
  hosts.server(idB, onWire('10.0.9.1'))
  const { found } = hosts.client(onWire('10.0.0.2'))
  await hosts.pass(20_000)
  expect(found).toEqual([])
})

test('questions become seldom, and apart by chance', async () => {
  hosts.client(onWire('10.0.0.2'))
  await hosts.pass(1_000)
  expect(questions()).toBeGreaterThanOrEqual(2)
  await hosts.pass(59_000)
  const inFirstMinute = questions()
  expect(inFirstMinute).toBeLessThan(18)
  await hosts.pass(60_000)
  expect(questions() - inFirstMinute).toBeGreaterThanOrEqual(6)
  // By then they are 4 to 8 s apart.
  expect(questions() - inFirstMinute).toBeLessThanOrEqual(15)
})

test('every question has a nonce of its own', async () => {
  hosts.client(onWire('10.0.0.2'))
  await hosts.pass(60_000)
  const nonces = hosts.network.sent.map(({ bytes }) => decodeDiscover(bytes)).map(question => question.v === 2 ? question.nonce : '')
  expect(new Set(nonces).size).toBe(nonces.length)
})

test('a link that comes up is asked over at once, and what was found there before is found again', async () => {
  hosts.server(idA, onWire('10.0.0.1'))
  const [link] = onWire('10.0.0.2')
  if (link === undefined) throw new Error('no link')
  const { found, bus } = hosts.client([])
  await hosts.pass(30_000)
  expect(questions()).toBe(0)
  bus.plug(link)
  await hosts.pass(0)
  expect(found).toHaveLength(1)
  bus.unplug(link)
  await hosts.pass(500)
  bus.plug(link)
  await hosts.pass(0)
  expect(found).toHaveLength(2)
})

test('several interfaces are asked over together, and each finds its own', async () => {
  hosts.server(idA, onWire('10.0.0.1', 'left'))
  hosts.server(idB, onWire('10.0.1.1', 'right'))
  const { found } = hosts.client(
    [memoryLink('10.0.0.2/24', 'eth0', 'left'), memoryLink('10.0.1.2/24', 'eth1', 'right')].map((link, index) => ({
      ...link,
      wire: index === 0 ? 'left' : 'right',
    }))
  )
  await hosts.pass(0)
  expect(found.map(({ idPrefix, interfaceName }) => [idPrefix, interfaceName])).toEqual([[idA, 'eth0'], [idB, 'eth1']])
})

test('yields a server again if it moves to another port', async () => {
  const stop = new AbortController()
  hosts.server(idA, onWire('10.0.0.1'), { signal: stop.signal })
  const { found } = hosts.client(onWire('10.0.0.2'))
  await hosts.pass(0)
  stop.abort()
  hosts.server(idA, onWire('10.0.0.1'), { tlsPort: 5544 })
  await hosts.pass(10_000)
  expect(found.map(({ port }) => port)).toEqual([4433, 5544])
})

test('reports a fault of a link once, and again after it has worked', async () => {
  const problems: string[] = []
  const { bus } = hosts.client(onWire('10.0.0.2'), { onProblem: error => problems.push(error.message) })
  await hosts.pass(0)
  const send = bus.send.bind(bus)
  bus.send = () => Promise.reject(new FileSyncError('DISCOVERY_UNAVAILABLE', 'no way'))
  await hosts.pass(20_000)
  expect(problems).toEqual(['no way'])
  bus.send = send
  await hosts.pass(10_000)
  bus.send = () => Promise.reject(new FileSyncError('DISCOVERY_UNAVAILABLE', 'again'))
  await hosts.pass(20_000)
  expect(problems).toEqual(['no way', 'again'])
  bus.fail(new FileSyncError('DISCOVERY_UNAVAILABLE', 'a fault of the bus'))
  await hosts.pass(0)
  expect(problems.at(-1)).toBe('a fault of the bus')
})

test('ends when the signal is aborted, and holds no timer after', async () => {
  hosts.client(onWire('10.0.0.2'))
  hosts.server(idA, onWire('10.0.0.1'))
  await hosts.pass(0)
  await hosts.end()
  expect(hosts.clock.scheduled).toBe(0)
})

test('a reader that is slow misses nobody for good', async () => {
  const servers = Array.from({ length: 100 }, (_, index) => String(index).padStart(16, '0'))
  for (const [index, id] of servers.entries()) hosts.server(id, onWire(`10.0.0.${100 + index}`))
  const bus = hosts.network.bus({ role: 'ask', links: onWire('10.0.0.2') })
  const looking = findServers({ bus, want: 'sync', randomBytes, clock: hosts.clock, signal: hosts.signal })
  const seen = new Set<string>()
  const first = looking.next()
  await hosts.pass(300_000, 500)
  const one = await first
  if (one.done !== true) seen.add(one.value.idPrefix)
  const rest = (async () => { for await (const { idPrefix } of looking) seen.add(idPrefix) })()
  await hosts.pass(600_000, 500)
  expect(seen.size).toBe(100)
  await hosts.end()
  await rest
})

describe('on a bad network', () => {
  const seeds = Array.from({ length: 40 }, (_, index) => index + 1)

  test.each(seeds)('a third of the datagrams lost, others doubled or late: found, and told once (seed %i)', async seed => {
    const random = seededRandom(seed)
    hosts.network.fate = (): Fate => {
      const luck = random()
      return luck < 0.3 ? 'lose' : luck < 0.4 ? 'double' : luck < 0.5 ? 'hold' : 'deliver'
    }
    hosts.server(idA, onWire('10.0.0.1'))
    const { found } = hosts.client(onWire('10.0.0.2'))
    // Every try fails with a chance of one half; eight tries fall into the first minute.
    for (let tries = 0; tries < 30 && found.length === 0; tries++) await hosts.pass(2_000)
    expect(found.map(({ idPrefix }) => idPrefix)).toEqual([idA])
  })

  test('rubbish of every size is heard in silence', async () => {
    const server = hosts.server(idA, onWire('10.0.0.1'))
    const { found, bus } = hosts.client(onWire('10.0.0.2'))
    await hosts.pass(0)
    const random = seededRandom(7)
    const sent = hosts.network.sent.length
    for (let index = 0; index < 2_000; index++) {
      const bytes = Uint8Array.from({ length: Math.floor(random() * 1_600) }, () => Math.floor(random() * 256))
      hosts.network.inject('wire', { address: '10.0.0.77', port: 40_000 }, { to: 'group', bytes })
      hosts.network.inject('wire', { address: '10.0.0.77', port: 9999 }, { to: { address: '10.0.0.2', port: bus.port }, bytes })
    }
    await hosts.pass(0)
    expect(hosts.network.sent.length - sent).toBe(4_000)
    expect(found).toHaveLength(1)
    expect(server.links).toHaveLength(1)
  })

  test('10,000 forged questions get 50 answers, and a real client is served', async () => {
    hosts.server(idA, onWire('10.0.0.1'))
    await hosts.pass(0)
    for (let index = 0; index < 10_000; index++) {
      const bytes = encodeDiscover({ v: 2, nonce: String(index).padStart(16, '0'), want: 'sync' })
      hosts.network.inject('wire', { address: `10.0.0.${20 + index % 200}`, port: 50_000 }, { to: 'group', bytes })
    }
    await hosts.pass(0)
    const answers = hosts.network.sent.filter(({ from }) => from.address === '10.0.0.1')
    expect(answers).toHaveLength(50)
    const { found } = hosts.client(onWire('10.0.0.2'))
    await hosts.pass(1_000)
    expect(found).toHaveLength(0)
    await hosts.pass(2_500)
    expect(found).toHaveLength(1)
  })

  test('1,000 answers of other servers lead to few candidates, the paired one among them', async () => {
    const { found, bus } = hosts.client(onWire('10.0.0.2'), { pinned: [idA] })
    await hosts.pass(0)
    const question = decodeDiscover(hosts.network.sent.at(-1)?.bytes ?? new Uint8Array())
    const nonce = question.v === 2 ? question.nonce : ''
    const answer = (address: string, idPrefix: string): void => {
      const bytes = encodeOffer({ v: 2, legacyPort: 0, tlsPort: 4433, idPrefix, nonce })
      hosts.network.inject('wire', { address, port: 9999 }, { to: { address: '10.0.0.2', port: bus.port }, bytes })
    }
    for (let index = 0; index < 1_000; index++) answer(`10.0.0.${10 + index % 240}`, String(index).padStart(16, '0'))
    answer('10.0.0.1', idA)
    await hosts.pass(0)
    expect(found.length).toBeLessThanOrEqual(8)
    expect(found.map(({ idPrefix }) => idPrefix)).toContain(idA)
    for (let index = 0; index < 140; index++) answer(`10.0.0.${10 + index}`, idA)
    answer('10.0.0.2', idA)
    await hosts.pass(0)
    expect(found.map(({ address }) => address)).toContain('10.0.0.2')
  })
})
