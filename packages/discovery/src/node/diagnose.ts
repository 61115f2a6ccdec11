import { randomBytes } from 'node:crypto'
import { existsSync } from 'node:fs'
import type { Clock } from '@filesync/protocol'
import { systemClock } from '@filesync/protocol/node'
import { checkCallback, checkChoice, checkCommon } from '../arguments.ts'
import { diagnose as diagnoseOverBuses } from '../diagnose.ts'
import type { Reach } from '../diagnose.ts'
import type { DiagnoseFlags, DiscoveryFinding, ExpectedServer } from '../finding.ts'
import type { LinkChoice } from '../link.ts'
import { checkPort } from '../dns-sd/service-type.ts'
import { DISCOVERY, MULTICAST_DNS } from './groups.ts'
import { openMulticastBus } from './multicast-bus.ts'
import { networkLinks } from './network-links.ts'

/** What Docker and Podman put into every container. */
const CONTAINER_MARKS = ['/.dockerenv', '/run/.containerenv']

export interface DiagnoseServersInit extends LinkChoice {
  /** Whose trouble is looked for: a client has to hear OFFER, a server DISCOVER. */
  readonly role: 'client' | 'server'
  /** The server that should be found, where one is known. */
  readonly expected?: ExpectedServer | undefined
  /** Tried for each server that is found or expected. */
  readonly reach?: Reach | undefined
  /** Names of the caller's options for people, to be used in fixes. */
  readonly flags?: DiagnoseFlags | undefined
  /** The system's clock by default. */
  readonly clock?: Clock | undefined
  readonly signal?: AbortSignal | undefined
}

/**
 * Looks for what keeps servers from being found on the interfaces of this machine, and tells what it finds as it goes. Takes
 * about two seconds. Throws the signal's reason when it is aborted, and TypeError.
 */
export function diagnose (init: DiagnoseServersInit): AsyncGenerator<DiscoveryFinding, void, undefined> {
  checkCommon(init, 'diagnose')
  checkChoice(init.role, 'diagnose: role', ['client', 'server'])
  checkCallback(init.reach, 'diagnose: reach')
  if (init.expected !== undefined) checkPort(init.expected.port, 'diagnose: expected.port')
  return examine(init)
}

async function * examine (init: DiagnoseServersInit): AsyncGenerator<DiscoveryFinding, void, undefined> {
  const { clock = systemClock, interfaces, bind, flags, signal = new AbortController().signal } = init
  signal.throwIfAborted()
  const choice = { interfaces, bind }
  const all = networkLinks()
  const [ask, listen, dnsBus] = await Promise.all([
    openMulticastBus({ group: DISCOVERY, role: 'ask', choice, clock }),
    openMulticastBus({ group: DISCOVERY, role: 'listen', choice, clock }),
    openMulticastBus({ group: MULTICAST_DNS, role: 'listen', choice, clock }),
  ])
  yield * diagnoseOverBuses({
    ...init,
    surroundings: { all, choice, inContainer: CONTAINER_MARKS.some(path => existsSync(path)), platform: process.platform, flags },
    ask,
    listen,
    dnsBus,
    clock,
    signal,
    randomBytes,
  })
}
