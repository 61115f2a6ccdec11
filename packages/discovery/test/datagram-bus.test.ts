import { createSocket } from 'node:dgram'
import { once } from 'node:events'
import { systemClock } from '@filesync/protocol/node'
import { ManualClock } from '@filesync/protocol/testing'
import { describe, expect, test } from 'vitest'
import type { DatagramBus } from '../src/datagram-bus.ts'
import type { Link } from '../src/link.ts'
import { DISCOVERY } from '../src/node/groups.ts'
import { openMulticastBus } from '../src/node/multicast-bus.ts'
import { networkLinks } from '../src/node/network-links.ts'
import { datagramBusConformance } from '../src/testing/datagram-bus-conformance.ts'
import type { BusPair } from '../src/testing/datagram-bus-conformance.ts'
import { MemoryNetwork } from '../src/testing/memory-network.ts'
import { onWire } from './support/memory-hosts.ts'
import { turns } from './support/turns.ts'

/** A group of this file's own, so that nothing else on this machine speaks into it. */
const group = { ...DISCOVERY, IPv4: '224.1.1.2', port: 20_000 + process.pid % 10_000 }

const pairs: Record<string, () => Promise<BusPair>> = {
  async memory () {
    const network = new MemoryNetwork()
    return {
      listener: network.bus({ role: 'listen', links: onWire('10.0.0.1') }),
      asker: network.bus({ role: 'ask', links: onWire('10.0.0.2') }),
    }
  },
  async sockets () {
    const open = (role: 'ask' | 'listen'): Promise<DatagramBus> =>
      openMulticastBus({ group, role, choice: { bind: '127.0.0.1' }, clock: systemClock })
    return { listener: await open('listen'), asker: await open('ask') }
  },
}

describe.each(Object.entries(pairs))('a bus of %s', (_, open) => {
  test.each(datagramBusConformance.map(each => [each.name, each] as const))('%s', async (_name, each) => {
    const pair = await open()
    try {
      await each.run(pair)
    } finally {
      await pair.listener.close()
      await pair.asker.close()
    }
  })
})

test('the links of this machine have loopback among them', () => {
  expect(networkLinks()).toContainEqual(expect.objectContaining({ family: 'IPv4', address: '127.0.0.1', prefixLength: 8 }))
})

describe('a bus of sockets follows the interfaces', () => {
  const link = (address: string): Link => ({ interfaceName: 'lo', family: 'IPv4', address, prefixLength: 8, zone: 'lo' })

  async function follow (): Promise<{ links: Link[], clock: ManualClock, bus: DatagramBus, seen: string[] }> {
    const links = [link('127.0.0.1')]
    const clock = new ManualClock()
    const bus = await openMulticastBus({ group, role: 'listen', choice: { interfaces: ['lo'] }, clock, listLinks: () => [...links] })
    const seen: string[] = []
    void (async () => {
      for (let event = await bus.next(); event !== undefined; event = await bus.next()) {
        seen.push(event.kind === 'fault' ? 'fault' : `${event.kind} ${event.link.address}`)
      }
    })()
    return { links, clock, bus, seen }
  }

  test('that come and go', async () => {
    const { links, clock, bus, seen } = await follow()
    await turns()
    links.push(link('127.0.0.2'))
    clock.advance(2_000)
    await expect.poll(() => seen.length).toBe(2)
    links.shift()
    await turns()
    clock.advance(2_000)
    await expect.poll(() => seen.length).toBe(3)
    expect(seen).toEqual(['up 127.0.0.1', 'up 127.0.0.2', 'down 127.0.0.1'])
    expect(bus.links.map(({ address }) => address)).toEqual(['127.0.0.2'])
    await bus.close()
    expect(clock.scheduled).toBe(0)
  })

  test('that vanish altogether, and tells so once', async () => {
    const { links, clock, bus, seen } = await follow()
    await turns()
    const [only] = links.splice(0)
    for (let look = 0; look < 3; look++) {
      clock.advance(2_000)
      await turns(20)
    }
    expect(seen).toEqual(['up 127.0.0.1', 'down 127.0.0.1', 'fault'])
    if (only !== undefined) links.push(only)
    clock.advance(2_000)
    await expect.poll(() => seen.at(-1)).toBe('up 127.0.0.1')
    await bus.close()
  })

  test('that cannot be used, and reports each once', async () => {
    const { links, clock, bus, seen } = await follow()
    links.push(link('198.51.100.7'))
    for (let look = 0; look < 3; look++) {
      clock.advance(2_000)
      await turns(20)
    }
    expect(seen.filter(what => what === 'fault')).toHaveLength(1)
    expect(bus.links).toHaveLength(1)
    await bus.close()
  })
})

test('a port that another program holds is reported with what to do, and used once it is free', async () => {
  const own = { ...group, IPv4: '224.1.1.3', port: group.port + 1 }
  const holder = createSocket('udp4').bind(own.port, own.IPv4)
  await once(holder, 'listening')
  const clock = new ManualClock()
  const bus = await openMulticastBus({ group: own, role: 'listen', choice: { bind: '127.0.0.1' }, clock })
  const event = await bus.next()
  expect(event).toMatchObject({
    kind: 'fault',
    error: {
      code: 'DISCOVERY_UNAVAILABLE',
      message: expect.stringContaining('another program holds the port for itself; stop it') as string,
    },
  })
  expect(bus.links).toEqual([])
  holder.close()
  await once(holder, 'close')
  clock.advance(2_000)
  expect(await bus.next()).toMatchObject({ kind: 'up' })
  await bus.close()
})
