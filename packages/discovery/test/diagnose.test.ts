import { randomBytes } from 'node:crypto'
import { FileSyncError } from '@filesync/protocol'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { diagnose } from '../src/diagnose.ts'
import type { DiagnoseInit } from '../src/diagnose.ts'
import { allowDiscover, inspectLinks, inspectSubnet } from '../src/finding.ts'
import type { DiscoveryFinding } from '../src/finding.ts'
import type { Link } from '../src/link.ts'
import { memoryLink } from '../src/testing/memory-network.ts'
import type { MemoryBus } from '../src/testing/memory-network.ts'
import { idA, MemoryHosts, onWire } from './support/memory-hosts.ts'
import { turns } from './support/turns.ts'

let hosts: MemoryHosts
beforeEach(() => { hosts = new MemoryHosts() })
afterEach(async () => { await hosts.end() })

interface Machine { readonly ask: MemoryBus, readonly listen: MemoryBus, readonly dns: MemoryBus }

/** Runs a diagnosis on 10.0.0.2; `spoil` breaks something before. */
async function examine (
  more: Partial<DiagnoseInit> = {},
  spoil: (machine: Machine) => void = () => {
    /* all is well */
  }
): Promise<DiscoveryFinding[]> {
  const links = onWire('10.0.0.2')
  const machine = { ask: hosts.network.bus({ role: 'ask', links }), listen: hosts.network.bus({ role: 'listen', links }) }
  const dns = hosts.network.bus({ role: 'listen', links, port: 5353 })
  spoil({ ...machine, dns })
  const findings: DiscoveryFinding[] = []
  let over = false
  const running = (async () => {
    const surroundings = { all: links, choice: {}, inContainer: false, platform: 'linux' }
    for await (const finding of diagnose({
      role: 'client',
      surroundings,
      ...machine,
      dnsBus: dns,
      randomBytes,
      clock: hosts.clock,
      signal: hosts.signal,
      ...more,
    }))
      findings.push(finding)
    over = true
  })()
  await hosts.pass(2_000, 100)
  await turns()
  expect(over).toBe(true)
  await running
  return findings
}

const of = (findings: readonly DiscoveryFinding[], check: DiscoveryFinding['check']): DiscoveryFinding[] =>
  findings.filter(finding => finding.check === check)
const levels = (findings: readonly DiscoveryFinding[]): string[] => findings.map(({ check, level }) => `${check} ${level}`)

test('all is well', async () => {
  hosts.server(idA, onWire('10.0.0.1'))
  hosts.service(idA, onWire('10.0.0.1'))
  const findings = await examine({ reach: async () => ({ reached: true }) })
  expect(levels(findings)).toEqual(['interface ok', 'group ok', 'discover ok', 'offer ok', 'dns-sd ok', 'reach ok'])
})

test('every finding that is not well says what to do, in one line', async () => {
  const findings = await examine(
    { expected: { address: '10.9.9.9', port: 4433 }, reach: async () => ({ reached: false, why: 'it does not answer' }) },
    ({ listen }) => {
      listen.fail(new FileSyncError('DISCOVERY_UNAVAILABLE', 'a link is broken'))
    }
  )
  const bad = findings.filter(({ level }) => level !== 'ok')
  expect(levels(bad)).toEqual(['group fault', 'subnet fault', 'reach fault'])
  for (const { fix } of bad) expect(fix).toMatch(/^[^\n]{10,}$/u)
})

test('no server', async () => {
  expect(of(await examine(), 'offer')).toMatchObject([{ level: 'fault', what: expect.stringContaining('eth0 (10.0.0.2/24)') as string }])
})

test('a firewall of this machine that lets nothing out', async () => {
  const findings = await examine({}, ({ ask }) => {
    ask.send = () => Promise.reject(new FileSyncError('DISCOVERY_UNAVAILABLE', 'a firewall on this machine forbids it'))
  })
  expect(of(findings, 'discover')).toMatchObject([{ level: 'fault', what: 'a firewall on this machine forbids it' }])
})

test.each([
  ['client', 'warning'],
  ['server', 'fault'],
] as const)('a firewall of this machine that lets nothing in, for a %s', async (role, level) => {
  const findings = await examine({ role }, ({ listen }) => {
    listen.arrive = () => {
      /* dropped */
    }
  })
  expect(of(findings, 'discover')).toMatchObject([{ level, what: expect.stringContaining('not even this machine hears it') as string }])
})

test('a network that filters DISCOVER, but not DNS-SD', async () => {
  hosts.service(idA, onWire('10.0.0.1'))
  expect(of(await examine(), 'offer')).toMatchObject([{ level: 'warning', what: expect.stringContaining('found by DNS-SD') as string }])
})

test('DNS-SD that cannot be used, where DISCOVER works', async () => {
  hosts.server(idA, onWire('10.0.0.1'))
  const findings = await examine({}, ({ dns }) => {
    dns.fail(new FileSyncError('DISCOVERY_UNAVAILABLE', 'another program holds the port'))
  })
  expect(levels(findings)).toEqual(['interface ok', 'group ok', 'discover ok', 'offer ok', 'dns-sd warning'])
})

test('a server that offers, and takes no connections', async () => {
  hosts.server(idA, onWire('10.0.0.1'))
  const asked: string[] = []
  const findings = await examine({
    reach: async ({ address, port }) => {
      asked.push(`${address} ${port}`)
      return { reached: false, why: 'it refuses the connection' }
    },
  })
  expect(asked).toEqual(['10.0.0.1 4433'])
  expect(of(findings, 'reach')).toMatchObject([{ level: 'fault', fix: expect.stringContaining('TCP port 4433') as string }])
})

test('stops when the signal is aborted', async () => {
  const stop = new AbortController()
  const links = onWire('10.0.0.2')
  const bus = (port?: number): MemoryBus => hosts.network.bus({ role: 'listen', links, ...port !== undefined && { port } })
  const running = (async () => {
    const surroundings = { all: links, choice: {}, inContainer: false, platform: 'linux' }
    for await (const finding of diagnose({
      role: 'client',
      surroundings,
      ask: bus(),
      listen: bus(),
      dnsBus: bus(5353),
      randomBytes,
      clock: hosts.clock,
      signal: stop.signal,
    }))
      expect(finding.check).toBe('interface')
  })()
  await turns()
  stop.abort(new Error('enough'))
  await expect(running).rejects.toThrow('enough')
  expect(hosts.clock.scheduled).toBe(0)
})

describe('the interfaces', () => {
  const lo = memoryLink('127.0.0.1/8', 'lo')
  const eth = memoryLink('192.168.1.5/24', 'eth0')
  const inspect = (used: Link[], more: { inContainer?: boolean, interfaces?: string[], bind?: string } = {}): string[] =>
    inspectLinks({
      all: used,
      used,
      choice: { interfaces: more.interfaces, bind: more.bind },
      inContainer: more.inContainer ?? false,
      platform: 'linux',
    })
      .filter(({ level }) => level !== 'ok')
      .map(({ check, level, what }) => `${check} ${level} ${what}`)

  test.each<[string, Link[], Parameters<typeof inspect>[1], RegExp[]]>([
    ['one network', [lo, eth], {}, []],
    ['no network', [lo], {}, [/interface fault No interface to a network/u]],
    ['loopback on purpose', [lo], { interfaces: ['lo'] }, []],
    ['loopback by its address', [lo], { bind: '127.0.0.1' }, []],
    ['an address that is not there', [], { bind: '10.7.7.7' }, [/interface fault No interface with the address 10\.7\.7\.7/u]],
    ['a name that is not there', [eth], { interfaces: ['eth0', 'eth9'] }, [/interface fault The interface eth9/u]],
    ['a bridge beside a network', [lo, eth, memoryLink('172.17.0.1/16', 'docker0')], {}, []],
    [
      'bridges only',
      [lo, memoryLink('172.17.0.1/16', 'docker0'), memoryLink('172.18.0.1/16', 'br-0123456789ab')],
      {},
      [/container warning/u],
    ],
    ['in a container with a bridged network', [lo, memoryLink('172.17.0.2/16', 'eth0')], { inContainer: true }, [/container fault/u]],
    ["in a container on the host's network", [lo, eth, memoryLink('172.17.0.1/16', 'docker0')], { inContainer: true }, []],
    ['two in one subnet', [eth, memoryLink('192.168.1.6/24', 'wlan0')], {}, [/interface warning eth0 .* and wlan0/u]],
  ])('%s', (_, used, more, expected) => {
    const findings = inspect(used, more)
    expect(findings).toHaveLength(expected.length)
    for (const [index, pattern] of expected.entries()) expect(findings[index]).toMatch(pattern)
  })

  test('an expected server of another subnet, and of this one', () => {
    const flags = { server: '--at' }
    expect(inspectSubnet({ address: '192.168.2.9', port: 4433 }, [lo, eth], flags)?.fix).toContain('--at 192.168.2.9:4433')
    expect(inspectSubnet({ address: '2001:db8::1', port: 4433 }, [lo, eth], flags)?.fix).toContain('--at [2001:db8::1]:4433')
    expect(inspectSubnet({ address: '192.168.2.9', port: 4433 }, [lo, eth])?.fix).not.toContain('--')
    expect(inspectSubnet({ address: '192.168.1.9', port: 4433 }, [lo, eth])).toBeUndefined()
  })
})

test.each([
  ['linux', /ufw/u, /ip link set eth9/u],
  ['darwin', /System Settings/u, /ifconfig eth9 up/u],
  ['win32', /New-NetFirewallRule/u, /Enable-NetAdapter -Name "eth9"/u],
])('advice on %s names the commands of that system', (platform, firewall, interfaceUp) => {
  expect(allowDiscover(platform)).toMatch(firewall)
  const [finding] = inspectLinks({ all: [], used: [], choice: { interfaces: ['eth9'] }, inContainer: false, platform })
  expect(finding?.fix).toMatch(interfaceUp)
})
