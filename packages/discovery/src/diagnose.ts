import { wait } from '@filesync/protocol'
import type { Clock, FileSyncError } from '@filesync/protocol'
import type { DatagramBus } from './datagram-bus.ts'
import { allowDiscover, inspectLinks, inspectSubnet, nameTheServer } from './finding.ts'
import type { DiagnoseFlags, DiscoveryFinding, ExpectedServer, Surroundings } from './finding.ts'
import { describeLink, isLoopbackLink, linkKey } from './link.ts'
import type { Link } from './link.ts'
import type { FoundServer } from './offer-table.ts'
import { Probe } from './probe.ts'

/** Checks whether a TCP connection to a server can be established; `why` follows "cannot be connected to:". */
export type Reach = (
  server: ExpectedServer, signal: AbortSignal,
) => Promise<{ readonly reached: true } | { readonly reached: false, readonly why: string }>

/** How long to wait for answers. DISCOVER is sent four times meanwhile. */
const LISTEN_MS = 2_000

export interface DiagnoseInit {
  /** Whose problems to look for: a client must receive OFFER, a server DISCOVER. */
  readonly role: 'client' | 'server'
  readonly surroundings: Omit<Surroundings, 'used'>
  /** Asks like a client. Owned and closed by `diagnose`, like the other buses. */
  readonly ask: DatagramBus
  /** Listens like a server. */
  readonly listen: DatagramBus
  /** On the group of RFC 6762. */
  readonly dnsBus: DatagramBus
  readonly randomBytes: (count: number) => Uint8Array
  /** The server that should be found, if it is known. */
  readonly expected?: ExpectedServer | undefined
  /** Called for each server that is found or expected; if undefined, connections are not checked. */
  readonly reach?: Reach | undefined
  readonly clock: Clock
  readonly signal: AbortSignal
}

/**
 * Looks for reasons why servers are not found, and yields findings in order: the interfaces, the group on each, whether DISCOVER
 * leaves and OFFER comes back, then each server. Takes about two seconds. Throws the signal's reason when it is aborted.
 */
export async function * diagnose (init: DiagnoseInit): AsyncGenerator<DiscoveryFinding, void, undefined> {
  const probe = new Probe(init)
  const stopped = new AbortController()
  const running = probe.run(AbortSignal.any([init.signal, stopped.signal]))
  // Its rejection is handled where it is awaited below.
  running.catch(() => { stopped.abort() })
  try {
    yield * inspectLinks({ ...init.surroundings, used: probe.links })
    for (const part of [0.1, 0.2, 0.3, 0.4]) {
      probe.ask()
      await wait(init.clock, part * LISTEN_MS, init.signal)
    }
    yield * groupFindings(probe, init.surroundings.flags)
    yield * discoverFindings(probe, init)
    yield * offerFindings(probe, init)
    yield * reachFindings(probe, init)
  } finally {
    stopped.abort()
    await running
  }
}

function * groupFindings (probe: Probe, flags: DiagnoseFlags | undefined): Generator<DiscoveryFinding> {
  for (const link of probe.links) yield { check: 'group', level: 'ok', what: `The group is joined on ${describeLink(link)}.` }
  for (const error of probe.faults) yield faultFinding('group', error, flags)
}

function * discoverFindings (probe: Probe, { role, surroundings }: DiagnoseInit): Generator<DiscoveryFinding> {
  for (const error of probe.sendFaults) yield faultFinding('discover', error, surroundings.flags)
  for (const link of probe.links) {
    if (probe.failing.has(linkKey(link))) continue
    if (probe.heardOn.has(linkKey(link))) {
      yield { check: 'discover', level: 'ok', what: `DISCOVER is sent over ${describeLink(link)} and is heard.` }
    } else {
      yield { ...unheard(link, role), fix: allowDiscover(surroundings.platform) }
    }
  }
}

function faultFinding (check: DiscoveryFinding['check'], { message }: FileSyncError, flags: DiagnoseFlags | undefined): DiscoveryFinding {
  return { check, level: 'fault', what: message, fix: `do what the message says, or ${nameTheServer(flags)}` }
}

function unheard (link: Link, role: 'client' | 'server'): DiscoveryFinding {
  return {
    check: 'discover',
    level: role === 'server' ? 'fault' : 'warning',
    what: `DISCOVER is sent over ${describeLink(link)}, but not even this machine hears it: a firewall drops incoming UDP for port 9999` +
      (role === 'server' ? '.' : ', which matters if a server runs here.'),
  }
}

function * offerFindings (probe: Probe, { role, expected, surroundings: { flags } }: DiagnoseInit): Generator<DiscoveryFinding> {
  for (const server of probe.offers) {
    const what = `${describeServer(server)} answers DISCOVER over ${server.interfaceName}.`
    yield { check: 'offer', level: 'ok', what, server: placeOf(server) }
  }
  for (const server of probe.services) {
    const what = `${describeServer(server)} is announced by DNS-SD on ${server.interfaceName}.`
    yield { check: 'dns-sd', level: 'ok', what, server: placeOf(server) }
  }
  for (const { message } of probe.dnsFaults) {
    yield { check: 'dns-sd', level: 'warning', what: message, fix: 'nothing if DISCOVER works; otherwise do what the message says' }
  }
  const subnet = expected === undefined ? undefined : inspectSubnet(expected, probe.links, flags)
  if (subnet !== undefined) yield subnet
  if (probe.offers.length > 0) return
  const hidden = probe.services[0]
  if (hidden !== undefined) {
    yield {
      check: 'offer',
      level: 'warning',
      what: `${describeServer(hidden)} is found by DNS-SD, but no OFFER of it comes back: a firewall or the network filters UDP port 9999.`,
      fix: 'allow UDP from and to port 9999 on both machines; until then, DNS-SD works',
    }
  } else if (subnet === undefined) {
    const level = role === 'client' ? 'fault' : 'warning'
    yield { check: 'offer', level, what: `No server answers${whereOf(probe.links)}.`, fix: noServerFix(role, flags) }
  }
}

function whereOf (links: readonly Link[]): string {
  const outer = links.filter(link => !isLoopbackLink(link))
  return outer.length === 0 ? ' on this machine' : ` on this machine or over ${outer.map(describeLink).join(', ')}`
}

function noServerFix (role: 'client' | 'server', flags: DiagnoseFlags | undefined): string {
  return role === 'server'
    ? 'start the server and run this command again'
    : 'start a server on a machine in this subnet and allow UDP port 9999 there; ' +
      `on guest Wi-Fi or in another subnet, ${nameTheServer(flags)}`
}

async function * reachFindings (probe: Probe, { reach, expected, signal }: DiagnoseInit): AsyncGenerator<DiscoveryFinding> {
  if (reach === undefined) return
  const servers = new Map<string, ExpectedServer>()
  for (const server of [...probe.offers, ...probe.services, ...expected === undefined ? [] : [expected]]) {
    servers.set(`${server.address} ${server.port}`, server)
  }
  for (const server of servers.values()) {
    const outcome = await reach(server, signal)
    const name = `${server.address} port ${server.port}`
    const about = { check: 'reach', server: placeOf(server) } as const
    if (outcome.reached) {
      yield { ...about, level: 'ok', what: `${name} accepts TCP connections.` }
    } else {
      const fix = `start the server, or allow TCP port ${server.port} in its firewall`
      yield { ...about, level: 'fault', what: `${name} cannot be connected to: ${outcome.why}.`, fix }
    }
  }
}

function placeOf ({ address, port, idPrefix }: ExpectedServer & { readonly idPrefix?: string }): NonNullable<DiscoveryFinding['server']> {
  return { address, port, ...(idPrefix !== undefined && { idPrefix }) }
}

function describeServer (server: FoundServer): string {
  return `Server ${server.idPrefix} at ${server.address} port ${server.port}`
}
