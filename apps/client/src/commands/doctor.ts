import { lookup } from 'node:dns/promises'
import { isIP } from 'node:net'
import { diagnose } from '@filesync/discovery/node'
import type { Finding } from '@filesync/discovery'
import { idPrefix } from '@filesync/identity'
import type { PinnedServer } from '@filesync/identity'
import { describeFinding, jsonLine } from '@filesync/program'
import type { DoctorFinding } from '@filesync/program'
import { canConnect, digestFinding } from '@filesync/program/node'
import { digestEngine, systemClock } from '@filesync/protocol/node'
import { openClientState } from '../connect/client-state.ts'
import { proveServer } from '../connect/prove-server.ts'
import type { ProveInit } from '../connect/prove-server.ts'
import { stateDirOf } from '../settings.ts'
import type { HostPort, ServerFlags } from '../settings.ts'
import type { CommandContext } from './push.ts'

/** `filesync-client doctor`: what keeps this client from its server, with the fix. Resolves with the exit code: 1 with a fault. */
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
  readonly isGiven: boolean
}

async function * examine (flags: ServerFlags, init: ProveInit): AsyncGenerator<DoctorFinding, void, undefined> {
  const { pinned } = init
  yield digestFinding(digestEngine)
  if (pinned.length === 0) {
    yield { check: 'pairing', level: 'fault', what: 'This client is not paired with a server.', fix: 'run "filesync-server pair" on the server, then "filesync-client pair" here' }
  }
  const target = yield * resolveName(targetOf(flags, pinned))
  const there = target === undefined || pinned.length === 0 ? undefined : await proveServer(target, init)
  // What is wrong with the place where the server was last matters only where it is nowhere else.
  const held: DoctorFinding[] = []
  if (there !== undefined && (there.isProven || target?.isGiven === true)) yield * there.findings
  else held.push(...there?.findings ?? [])

  const isProven = there?.isProven === true
  const places = new Map<string, HostPort>()
  let strangers = 0
  for await (const finding of network(flags, target, init.signal)) {
    if (isOffer(finding) && !noteOffer(finding, places, pinned)) strangers++
    if (isProven) yield soften(finding, 'the server is reached all the same')
    else if (target?.isGiven === false && isAbout(finding, target)) held.push(finding)
    else yield finding
  }
  if (isProven || target?.isGiven === true || pinned.length === 0) return
  const isFound = yield * proveOffers([...places.values()], init)
  for (const finding of held) yield isFound ? soften(finding, 'the server is somewhere else now') : finding
  if (places.size === 0 && strangers > 0) yield missing(pinned)
}

function targetOf ({ server }: ServerFlags, pinned: readonly PinnedServer[]): Target | undefined {
  if (server !== undefined) return { ...server, isGiven: true }
  const known = pinned.find(({ lastAddress, lastPort }) => lastAddress !== undefined && lastPort !== undefined)
  return known?.lastAddress === undefined || known.lastPort === undefined ? undefined : { host: known.lastAddress, port: known.lastPort, isGiven: false }
}

/** Subnets are told by addresses, not by names. */
async function * resolveName (target: Target | undefined): AsyncGenerator<DoctorFinding, Target | undefined, undefined> {
  if (target === undefined || isIP(target.host) !== 0) return target
  try {
    const { address } = await lookup(target.host)
    yield { check: 'name', level: 'ok', what: `${target.host} is ${address}.` }
    return { ...target, host: address }
  } catch (error) {
    yield { check: 'name', level: 'fault', what: `${target.host} is no name that this machine knows: ${(error as Error).message}.`, fix: 'check the name, or give the address: --server ADDRESS:PORT' }
    return undefined
  }
}

async function * network (flags: ServerFlags, target: Target | undefined, signal: AbortSignal): AsyncGenerator<Finding, void, undefined> {
  const expected = target === undefined ? undefined : { address: target.host, port: target.port }
  for await (const finding of diagnose({ role: 'client', clock: systemClock, signal, reach: canConnect, expected, interfaces: flags.interface })) {
    // Who has named the server already is not told to do that.
    if (finding.check === 'subnet' && target?.isGiven === true) yield { ...finding, fix: 'let a router connect the two subnets, or connect both machines to one' }
    else yield finding
  }
}

function isOffer ({ check, server }: Finding): boolean {
  return (check === 'offer' || check === 'dns-sd') && server !== undefined
}

/** Offers of paired servers are where one may be; the same server often answers over several interfaces. */
function noteOffer ({ server }: Finding, places: Map<string, HostPort>, pinned: readonly PinnedServer[]): boolean {
  if (server === undefined || pinned.every(({ id }) => idPrefix(id) !== server.idPrefix)) return false
  places.set(`${server.address} ${server.port}`, { host: server.address, port: server.port })
  return true
}

function isAbout ({ server }: Finding, target: Target): boolean {
  return server?.address === target.host && server.port === target.port
}

function soften (finding: DoctorFinding, why: string): DoctorFinding {
  return finding.level === 'fault' ? { ...finding, level: 'warning', fix: `nothing for now: ${why}; otherwise ${finding.fix ?? 'see above'}` } : finding
}

/** Goes to the places in turn until the server proves itself at one. What failed before is told only where all fail. */
async function * proveOffers (places: readonly HostPort[], init: ProveInit): AsyncGenerator<DoctorFinding, boolean, undefined> {
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

function missing (pinned: readonly PinnedServer[]): DoctorFinding {
  return {
    check: 'pairing',
    level: 'fault',
    what: `Servers answer, but none that this client is paired with (${pinned.map(({ name }) => name).join(', ')}).`,
    fix: 'start it on a machine of this subnet, or name it: --server HOST:PORT',
  }
}
