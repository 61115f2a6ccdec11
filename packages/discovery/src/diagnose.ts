import { wait } from '@filesync/protocol'
import type { Clock } from '@filesync/protocol'
import type { DatagramBus } from './datagram-bus.ts'
import type { DnsSdInit } from './find-servers.ts'
import { allowDiscover, inspectLinks, inspectSubnet, NAME_THE_SERVER } from './finding.ts'
import type { ExpectedServer, Finding, Surroundings } from './finding.ts'
import { describeLink, isLoopbackLink, linkKey } from './link.ts'
import type { Link } from './link.ts'
import type { FoundServer } from './offer-table.ts'
import { Probe } from './probe.ts'

/** Says whether a TCP connection to a server comes about; `why` stands behind "cannot be connected to:". */
export type Reach = (server: ExpectedServer, signal: AbortSignal) => Promise<{ readonly reached: true } | { readonly reached: false, readonly why: string }>

/** How long answers are waited for: DISCOVER is sent four times in it. */
const LISTEN_MS = 2_000

export interface DiagnoseInit {
  /** Whose trouble is looked for: a client has to hear OFFER, a server DISCOVER. */
  readonly role: 'client' | 'server'
  readonly surroundings: Omit<Surroundings, 'used'>
  /** Asks as a client does. Taken over, and closed at the end, like the others. */
  readonly ask: DatagramBus
  /** Hears as a server does. */
  readonly listen: DatagramBus
  readonly dnsSd: DnsSdInit
  readonly randomBytes: (count: number) => Uint8Array
  /** The server that should be found, where one is known. */
  readonly expected?: ExpectedServer | undefined
  /** Tried for each server that is found or expected; the connection is not checked otherwise. */
  readonly reach?: Reach | undefined
  readonly clock: Clock
  readonly signal: AbortSignal
}

/**
 * Looks for what keeps servers from being found, and tells what it finds as it goes: first the interfaces, then the group on
 * each, then whether DISCOVER leaves and OFFER comes back, then each server. Takes about two seconds. Throws the signal's
 * reason when it is aborted.
 */
export async function * diagnose (init: DiagnoseInit): AsyncGenerator<Finding, void, undefined> {
  const probe = new Probe(init)
  const stopped = new AbortController()
  const running = probe.run(AbortSignal.any([init.signal, stopped.signal]))
  // Seen below, where it is awaited.
  running.catch(() => { stopped.abort() })
  try {
    yield * inspectLinks({ ...init.surroundings, used: probe.links })
    for (const part of [0.1, 0.2, 0.3, 0.4]) {
      probe.ask()
      await wait(init.clock, part * LISTEN_MS, init.signal)
    }
    yield * groupFindings(probe)
    yield * discoverFindings(probe, init)
    yield * offerFindings(probe, init)
    yield * reachFindings(probe, init)
  } finally {
    stopped.abort()
    await running
  }
}

function * groupFindings (probe: Probe): Generator<Finding> {
  for (const link of probe.links) yield { check: 'group', level: 'ok', what: `The group is joined on ${describeLink(link)}.` }
  for (const error of probe.faults) yield { check: 'group', level: 'fault', what: error.message, fix: `do what the message says, or ${NAME_THE_SERVER}` }
}

function * discoverFindings (probe: Probe, { role, surroundings }: DiagnoseInit): Generator<Finding> {
  for (const error of probe.sendFaults) yield { check: 'discover', level: 'fault', what: error.message, fix: `do what the message says, or ${NAME_THE_SERVER}` }
  for (const link of probe.links) {
    if (probe.failing.has(linkKey(link))) continue
    if (probe.heardOn.has(linkKey(link))) yield { check: 'discover', level: 'ok', what: `DISCOVER leaves over ${describeLink(link)} and is heard.` }
    else yield { ...unheard(link, role), fix: allowDiscover(surroundings.platform) }
  }
}

function unheard (link: Link, role: 'client' | 'server'): Finding {
  return {
    check: 'discover',
    level: role === 'server' ? 'fault' : 'warning',
    what: `DISCOVER is sent over ${describeLink(link)}, but not even this machine hears it: a firewall drops what comes in for UDP port 9999` +
      (role === 'server' ? '.' : ', which matters where a server runs.'),
  }
}

function * offerFindings (probe: Probe, { role, expected }: DiagnoseInit): Generator<Finding> {
  for (const server of probe.offers) yield { check: 'offer', level: 'ok', what: `${describeServer(server)} answers DISCOVER over ${server.interfaceName}.`, server: placeOf(server) }
  for (const server of probe.services) yield { check: 'dns-sd', level: 'ok', what: `${describeServer(server)} is announced by DNS-SD on ${server.interfaceName}.`, server: placeOf(server) }
  for (const error of probe.dnsFaults) yield { check: 'dns-sd', level: 'warning', what: error.message, fix: 'nothing, as long as DISCOVER works; otherwise do what the message says' }
  const subnet = expected === undefined ? undefined : inspectSubnet(expected, probe.links)
  if (subnet !== undefined) yield subnet
  if (probe.offers.length > 0) return
  const hidden = probe.services[0]
  if (hidden !== undefined) {
    yield { check: 'offer', level: 'warning', what: `${describeServer(hidden)} is found by DNS-SD, but no OFFER of it comes back: a firewall or the network filters UDP port 9999.`, fix: 'allow UDP from and to port 9999 on both machines; it works meanwhile by DNS-SD' }
  } else if (subnet === undefined) {
    yield { check: 'offer', level: role === 'client' ? 'fault' : 'warning', what: `No server answers${whereOf(probe.links)}.`, fix: noServerFix(role) }
  }
}

function whereOf (links: readonly Link[]): string {
  const outer = links.filter(link => !isLoopbackLink(link))
  return outer.length === 0 ? ' on this machine' : ` on this machine or over ${outer.map(describeLink).join(', ')}`
}

function noServerFix (role: 'client' | 'server'): string {
  return role === 'server'
    ? 'start the server, and run this again'
    : `start filesync-server on a machine of this subnet and allow UDP port 9999 there; on guest Wi-Fi or another subnet ${NAME_THE_SERVER}`
}

async function * reachFindings (probe: Probe, { reach, expected, signal }: DiagnoseInit): AsyncGenerator<Finding> {
  if (reach === undefined) return
  const servers = new Map<string, ExpectedServer>()
  for (const server of [...probe.offers, ...probe.services, ...expected === undefined ? [] : [expected]]) {
    servers.set(`${server.address} ${server.port}`, server)
  }
  for (const server of servers.values()) {
    const outcome = await reach(server, signal)
    const name = `${server.address} port ${server.port}`
    const about = { check: 'reach', server: placeOf(server) } as const
    if (outcome.reached) yield { ...about, level: 'ok', what: `${name} takes TCP connections.` }
    else yield { ...about, level: 'fault', what: `${name} cannot be connected to: ${outcome.why}.`, fix: `start the server, or allow TCP port ${server.port} in its firewall` }
  }
}

function placeOf ({ address, port, idPrefix }: ExpectedServer & { readonly idPrefix?: string }): NonNullable<Finding['server']> {
  return { address, port, ...(idPrefix !== undefined && { idPrefix }) }
}

function describeServer (server: FoundServer): string {
  return `Server ${server.idPrefix} at ${server.address} port ${server.port}`
}
