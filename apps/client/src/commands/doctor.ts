import { lookup } from 'node:dns/promises'
import { isIP } from 'node:net'
import { diagnose } from '@filesync/discovery/node'
import type { DiscoveryFinding } from '@filesync/discovery'
import { idPrefix } from '@filesync/identity'
import type { PinnedServer } from '@filesync/identity'
import { describeFinding, jsonLine } from '@filesync/program'
import type { DoctorFinding } from '@filesync/program'
import { canConnect, digestFinding } from '@filesync/program/node'
import { digestEngine, systemClock } from '@filesync/protocol/node'
import { openClientState } from '../connect/client-state.ts'
import { proveServer } from '../connect/prove-server.ts'
import type { ProveServerInit } from '../connect/prove-server.ts'
import { stateDirOf } from '../settings.ts'
import type { HostPort, ServerFlags } from '../settings.ts'
import type { CommandContext } from './push.ts'

/** What findings of discovery may tell the user to use. */
const DISCOVERY_FLAGS = { server: '--server', interface: '--interface' }

/** `filesync-client doctor`: why this client cannot reach its server, and how to fix it. Resolves with the exit code, 1 for a fault. */
export async function doctor (flags: ServerFlags, { terminal, signal }: CommandContext): Promise<number> {
  const stateDir = stateDirOf(flags, terminal)
  const state = await openClientState(stateDir)
  let faults = 0
  for await (const finding of examine(flags, { state, pinned: await state.servers.list(), clock: systemClock, signal })) {
    if (finding.level === 'fault') faults++
    if (flags.quiet === true && finding.level === 'ok') continue
    terminal.stdout.write(flags.json === true ? jsonLine(finding) : `${describeFinding(finding)}\n`)
  }
  return faults > 0 ? 1 : 0
}

/** Where the server should be. */
interface Target extends HostPort {
  /** Whether the user named it, rather than the last session. */
  readonly isFromUser: boolean
}

async function * examine (flags: ServerFlags, init: ProveServerInit): AsyncGenerator<DoctorFinding, void, undefined> {
  const { pinned } = init
  yield digestFinding(digestEngine)
  if (pinned.length === 0) {
    yield {
      check: 'pairing',
      level: 'fault',
      what: 'This client is not paired with a server.',
      fix: 'run "filesync-server pair" on the server, then "filesync-client pair" here',
    }
  }
  const target = yield * resolveName(targetOf(flags, pinned))
  const proof = target === undefined || pinned.length === 0 ? undefined : await proveServer(target, init)
  // Faults at the last known address matter only if the server is not found anywhere else.
  const held: DoctorFinding[] = []
  if (proof !== undefined && (proof.isProven || target?.isFromUser === true)) yield * proof.findings
  else held.push(...proof?.findings ?? [])

  const isProven = proof?.isProven === true
  const places = new Map<string, HostPort>()
  let strangers = 0
  for await (const finding of diagnoseNetwork(flags, target, init.signal)) {
    if (isOffer(finding) && !addPairedOffer(finding, places, pinned)) strangers++
    if (isProven) yield soften(finding, 'the server is reachable anyway')
    else if (target?.isFromUser === false && isAbout(finding, target)) held.push(finding)
    else yield finding
  }
  if (isProven || target?.isFromUser === true || pinned.length === 0) return
  const isSilent = places.size === 0 && strangers > 0
  // What happened at the last known address is held already.
  if (proof !== undefined && target !== undefined) places.delete(`${target.host} ${target.port}`)
  const isFound = yield * proveOffers([...places.values()], init)
  for (const finding of held) yield isFound ? soften(finding, 'the server has moved to another address') : finding
  if (isSilent) yield noPairedServer(pinned)
}

function targetOf ({ server }: ServerFlags, pinned: readonly PinnedServer[]): Target | undefined {
  if (server !== undefined) return { ...server, isFromUser: true }
  const known = pinned.find(({ lastAddress, lastPort }) => lastAddress !== undefined && lastPort !== undefined)
  if (known?.lastAddress === undefined || known.lastPort === undefined) return undefined
  return { host: known.lastAddress, port: known.lastPort, isFromUser: false }
}

/** Resolves a host name: whether it is on this subnet can only be seen from its address. */
async function * resolveName (target: Target | undefined): AsyncGenerator<DoctorFinding, Target | undefined, undefined> {
  if (target === undefined || isIP(target.host) !== 0) return target
  try {
    const { address } = await lookup(target.host)
    yield { check: 'name', level: 'ok', what: `${target.host} resolves to ${address}.` }
    return { ...target, host: address }
  } catch (error) {
    yield {
      check: 'name',
      level: 'fault',
      what: `The host name ${target.host} cannot be resolved: ${(error as Error).message}.`,
      fix: 'check the name, or give the address: --server ADDRESS:PORT',
    }
    return undefined
  }
}

async function * diagnoseNetwork (
  flags: ServerFlags, target: Target | undefined, signal: AbortSignal,
): AsyncGenerator<DiscoveryFinding, void, undefined> {
  const expected = target === undefined ? undefined : { address: target.host, port: target.port }
  const findings = diagnose({
    role: 'client', flags: DISCOVERY_FLAGS, clock: systemClock, signal, reach: canConnect, expected, interfaces: flags.interface,
  })
  for await (const finding of findings) {
    // The usual fix is to name the server, which the user has done already.
    if (finding.check === 'subnet' && target?.isFromUser === true) {
      yield { ...finding, fix: 'connect the two subnets with a router, or move both machines to the same subnet' }
    } else {
      yield finding
    }
  }
}

function isOffer ({ check, server }: DiscoveryFinding): boolean {
  return (check === 'offer' || check === 'dns-sd') && server !== undefined
}

/** Records the address once if the offer is from a paired server, which may answer on several interfaces. False for other servers. */
function addPairedOffer ({ server }: DiscoveryFinding, places: Map<string, HostPort>, pinned: readonly PinnedServer[]): boolean {
  if (server === undefined || pinned.every(({ id }) => idPrefix(id) !== server.idPrefix)) return false
  places.set(`${server.address} ${server.port}`, { host: server.address, port: server.port })
  return true
}

function isAbout ({ server }: DiscoveryFinding, target: Target): boolean {
  return server?.address === target.host && server.port === target.port
}

function soften (finding: DoctorFinding, why: string): DoctorFinding {
  if (finding.level !== 'fault') return finding
  return { ...finding, level: 'warning', fix: `nothing for now, because ${why}; otherwise ${finding.fix ?? 'see above'}` }
}

/** Tries the addresses in turn until a paired server proves itself at one. Failures are reported only if all fail. */
async function * proveOffers (places: readonly HostPort[], init: ProveServerInit): AsyncGenerator<DoctorFinding, boolean, undefined> {
  const failures: DoctorFinding[] = []
  for (const place of places) {
    const { isProven, findings } = await proveServer(place, init)
    if (isProven) {
      yield * findings
      return true
    }
    failures.push(...findings)
  }
  yield * failures
  return false
}

function noPairedServer (pinned: readonly PinnedServer[]): DoctorFinding {
  const names = pinned.map(({ name }) => name).join(', ')
  return {
    check: 'pairing',
    level: 'fault',
    what: `Servers answer, but this client is not paired with any of them, only with ${names}.`,
    fix: 'start the paired server on this subnet, or name its address: --server HOST:PORT',
  }
}
