import process from 'node:process'
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest'
import { hasNft, Segment, whyNoNamespaces } from './support/network-namespace.ts'
import type { Line } from './support/network-namespace.ts'

const idA = 'AAAAAAAAAAAAAAAA'
const idB = 'BBBBBBBBBBBBBBBB'
const found = (id: string) => (line: Line): boolean => line.event === 'found' && line.idPrefix === id
const serving = (line: Line): boolean => line.event === 'serving'
const looking = (line: Line): boolean => line.event === 'looking'

const reason = whyNoNamespaces()
if (reason !== undefined) console.warn(`Skipped: tests with real networks, because ${reason}`)

const noFirewall = reason === undefined && !hasNft()
if (noFirewall) console.warn('Skipped: tests with a real firewall, because the command nft is not here (Debian: apt install nftables)')

describe.skipIf(reason !== undefined)('real sockets on machines of their own', { timeout: 60_000 }, () => {
  let segment: Segment
  beforeAll(() => { segment = new Segment() })
  afterEach(async () => { await segment.reset() }, 60_000)
  afterAll(async () => { await segment.remove() }, 60_000)

  test('a server on the segment is found in under a second', async () => {
    await segment.host('10.0.0.1/24').start({ do: 'serve', id: idA }).line(serving)
    const line = await segment.host('10.0.0.2/24').start({ do: 'find' }).line(found(idA))
    expect(line).toMatchObject({ address: '10.0.0.1', port: 4433, interfaceName: 'fst0' })
    expect(line.afterMs).toBeLessThan(1_000)
  })

  test('two servers on two machines, and a third on the second, are all found', async () => {
    const second = segment.host('10.0.0.3/24')
    await Promise.all([
      segment.host('10.0.0.1/24').start({ do: 'serve', id: idA }).line(serving),
      second.start({ do: 'serve', id: idB }).line(serving),
      second.start({ do: 'serve', id: 'CCCCCCCCCCCCCCCC' }).line(serving),
    ])
    const client = segment.host('10.0.0.2/24').start({ do: 'find' })
    const lines = await Promise.all([idA, idB, 'CCCCCCCCCCCCCCCC'].map(id => client.line(found(id))))
    expect(lines.map(({ address }) => address)).toEqual(['10.0.0.1', '10.0.0.3', '10.0.0.3'])
  })

  test('without a route for multicast, and with one that leads astray', async () => {
    const server = segment.host('10.0.0.1/24')
    const client = segment.host('10.0.0.2/24')
    expect(client.ip('route').trim().split('\n')).toHaveLength(1)
    await server.start({ do: 'serve', id: idA }).line(serving)
    await client.start({ do: 'find' }).line(found(idA))
    for (const route of ['unreachable', 'blackhole', 'prohibit']) {
      client.ip('route', 'replace', route, '224.0.0.0/4')
      await client.start({ do: 'find' }).line(found(idA))
    }
    client.ip('route', 'flush', '224.0.0.0/4')
    client.ip('route', 'add', '224.0.0.0/4', 'dev', 'lo')
    await client.start({ do: 'find' }).line(found(idA))
  })

  test('10,000 forged questions get the answers that are allowed, and a real client is served meanwhile', async () => {
    await segment.host('10.0.0.1/24').start({ do: 'serve', id: idA }).line(serving)
    const forger = segment.host('10.0.0.100/24')
    const addresses = Array.from({ length: 40 }, (_, index) => `10.0.0.${101 + index}`)
    for (const address of addresses) forger.ip('address', 'add', `${address}/24`, 'dev', 'fst0')
    const flood = forger.start({ do: 'flood', addresses, count: 10_000 })
    const client = segment.host('10.0.0.2/24').start({ do: 'find' })
    await client.line(found(idA))
    const { answers, tookMs } = await flood.line(line => line.event === 'flooded')
    expect(answers).toBeGreaterThan(0)
    expect(answers).toBeLessThanOrEqual(50 * Math.ceil(Number(tookMs) / 1_000 + 1))
  })

  test('the guard of the test run frees a process in a namespace only for the interfaces that the test names', () => {
    const host = segment.host('10.0.0.1/24')
    const code =
      "try { require('node:net').connect(9, '10.0.0.2').on('error', () => {}).destroy(); console.log('free') } " +
        'catch (error) { console.log(error.code) }'
    const attempt = (FILESYNC_TEST_INTERFACES: string): string =>
      host.run([process.execPath, '--eval', code], { env: { FILESYNC_TEST_INTERFACES } }).trim()
    expect(attempt('fst0')).toBe('free')
    expect(attempt('fst1,eth0')).toBe('EOFFLOOPBACK')
    expect(attempt('')).toBe('EOFFLOOPBACK')
  })
})

/** Segments that no test uses at the moment. */
const idle: Segment[] = []

/** A test on a segment that it has for itself, so that several can wait at the same time. */
function on (act: (segment: Segment) => Promise<void>): () => Promise<void> {
  return async () => {
    const segment = idle.pop() ?? new Segment()
    try {
      await act(segment)
    } finally {
      await segment.reset()
      idle.push(segment)
    }
  }
}

describe.skipIf(reason !== undefined).concurrent('real sockets on machines of their own, several at a time', { timeout: 60_000 }, () => {
  afterAll(async () => { await Promise.all(idle.map(async segment => { await segment.remove() })) }, 60_000)

  test('by IPv6 alone', on(async segment => {
    const hosts = [segment.host(), segment.host()]
    await hosts[0]?.start({ do: 'serve', id: idA }).line(line => line.event === 'serving')
    const line = await hosts[1]?.start({ do: 'find' }).line(line => found(idA)(line) && String(line.address).startsWith('fe80:'))
    expect(line?.address).toMatch(/^fe80:.*%fst0$/u)
  }))

  test('by DNS-SD, where DISCOVER is heard by nobody', on(async segment => {
    const server = segment.host('10.0.0.1/24')
    // Answers to DISCOVER go to this address alone; those of DNS-SD go to the group.
    server.ip('route', 'add', 'blackhole', '10.0.0.2/32')
    await server.start({ do: 'serve', id: idA }).line(serving)
    const line = await segment.host('10.0.0.2/24').start({ do: 'find', dnsSd: true }).line(found(idA))
    expect(line).toMatchObject({ address: '10.0.0.1', port: 4433 })
  }))

  test('over a line that loses three datagrams of ten, each way', on(async segment => {
    await segment.host('10.0.0.1/24').start({ do: 'serve', id: idA }).line(serving)
    const client = segment.host('10.0.0.2/24')
    const lines = await Promise.all([1, 2, 3].map(seed => client.start({ do: 'find over a bad line', seed }).line(found(idA))))
    for (const { afterMs } of lines) expect(afterMs).toBeLessThan(15_000)
  }))

  test('a server of another subnet is not found, and the diagnosis says so', on(async segment => {
    await segment.host('10.0.9.1/24').start({ do: 'serve', id: idA }).line(serving)
    const client = segment.host('10.0.0.2/24')
    const findings = await client.start({ do: 'diagnose', expected: { address: '10.0.9.1', port: 4433 } }).end()
    expect(findings.filter(({ check, level }) => check === 'offer' && level === 'ok')).toEqual([])
    expect(findings).toContainEqual(
      expect.objectContaining({ check: 'subnet', level: 'fault', fix: expect.stringContaining('by its address, 10.0.9.1:4433') as string })
    )
    expect(findings).toContainEqual(
      expect.objectContaining({ check: 'discover', level: 'ok', what: expect.stringContaining('fst0 (10.0.0.2/24)') as string })
    )
  }))

  test('a diagnosis reports the server that is found in both ways', on(async segment => {
    await segment.host('10.0.0.1/24').start({ do: 'serve', id: idA }).line(serving)
    const findings = await segment.host('10.0.0.2/24').start({ do: 'diagnose' }).end()
    expect(findings.filter(({ level }) => level !== 'ok')).toEqual([])
    expect(findings.map(({ check }) => check)).toEqual(expect.arrayContaining(['interface', 'group', 'discover', 'offer', 'dns-sd']))
  }))

  test('an interface that goes down and up, and changes its address, while the client runs', on(async segment => {
    await segment.host('10.0.0.1/24').start({ do: 'serve', id: idA }).line(serving)
    const host = segment.host('10.0.0.2/24')
    const client = host.start({ do: 'find' })
    await client.line(found(idA))
    host.ip('link', 'set', 'fst0', 'down')
    await segment.host('10.0.0.3/24').start({ do: 'serve', id: idB, dnsSd: false }).line(serving)
    host.ip('link', 'set', 'fst0', 'up')
    await client.line(found(idB))
    host.ip('address', 'add', '10.0.7.2/24', 'dev', 'fst0')
    host.ip('address', 'delete', '10.0.0.2/24', 'dev', 'fst0')
    await segment.host('10.0.7.1/24').start({ do: 'serve', id: 'CCCCCCCCCCCCCCCC', dnsSd: false }).line(serving)
    expect(await client.line(found('CCCCCCCCCCCCCCCC'))).toMatchObject({ address: '10.0.7.1' })
  }))

  test("a server's interface that comes up late is listened on", on(async segment => {
    const server = segment.host('10.0.0.1/24')
    server.ip('link', 'set', 'fst0', 'down')
    const { links } = await server.start({ do: 'serve', id: idA }).line(serving)
    expect(links).toMatchObject([{ interfaceName: 'lo' }])
    const client = segment.host('10.0.0.2/24').start({ do: 'find' })
    await client.line(looking)
    server.ip('link', 'set', 'fst0', 'up')
    await client.line(found(idA))
  }))

  test('reports a named interface that does not exist, and uses it when it appears', on(async segment => {
    const server = segment.host('10.0.0.1/24')
    server.ip('link', 'set', 'fst0', 'down')
    const running = server.start({ do: 'serve', id: idA, interfaces: ['fst0'] })
    expect(await running.line(serving)).toMatchObject({ listening: false })
    expect((await running.line(line => line.event === 'problem')).message).toContain('interface fst0')
    const client = segment.host('10.0.0.2/24').start({ do: 'find' })
    server.ip('link', 'set', 'fst0', 'up')
    await client.line(found(idA))
  }))

  test('an interface that cannot do multicast is left alone, until it can', on(async segment => {
    const server = segment.host('10.0.0.1/24')
    server.ip('link', 'set', 'fst0', 'multicast', 'off')
    expect(await server.start({ do: 'serve', id: idA }).line(serving)).toMatchObject({ links: [{ interfaceName: 'lo' }] })
    const client = segment.host('10.0.0.2/24').start({ do: 'find' })
    server.ip('link', 'set', 'fst0', 'multicast', 'on')
    await client.line(found(idA))
  }))

  const dropping = (hook: string, what: string): string =>
    `add table ip t; add chain ip t c { type filter hook ${hook} priority 0; }; add rule ip t c ${what} drop\n`

  test.skipIf(noFirewall)('a firewall that lets no question out: the diagnosis says so', on(async segment => {
    const client = segment.host('10.0.0.2/24')
    client.run(['nft', '-f', '-'], { input: dropping('output', 'oifname "fst0" udp dport 9999') })
    const findings = await client.start({ do: 'diagnose' }).end()
    expect(findings).toContainEqual(
      expect.objectContaining({
        check: 'discover',
        level: 'fault',
        what: expect.stringContaining('a firewall on this machine forbids it') as string,
      })
    )
  }))

  test.skipIf(noFirewall)(
    'a firewall of the server that lets no question in: found by DNS-SD, and the diagnosis says so',
    on(async segment => {
      const server = segment.host('10.0.0.1/24')
      server.run(['nft', '-f', '-'], { input: dropping('input', 'udp dport 9999') })
      await server.start({ do: 'serve', id: idA }).line(serving)
      const client = segment.host('10.0.0.2/24')
      await client.start({ do: 'find', dnsSd: true }).line(found(idA))
      const [findings, own] = await Promise.all([client, server].map(host => host.start({ do: 'diagnose' }).end()))
      expect(findings).toContainEqual(
        expect.objectContaining({ check: 'offer', level: 'warning', what: expect.stringContaining('found by DNS-SD') as string })
      )
      expect(own).toContainEqual(
        expect.objectContaining({
          check: 'discover',
          level: 'warning',
          what: expect.stringContaining('not even this machine hears it') as string,
        })
      )
    })
  )
})
