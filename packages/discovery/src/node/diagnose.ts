import { randomBytes } from 'node:crypto'
import { existsSync } from 'node:fs'
import type { Clock } from '@filesync/protocol'
import { diagnose as diagnoseOverBuses } from '../diagnose.ts'
import type { Reach } from '../diagnose.ts'
import type { ExpectedServer, DiscoveryFinding } from '../finding.ts'
import type { LinkChoice } from '../link.ts'
import { dnsCodec } from './dns-codec.ts'
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
  readonly clock: Clock
  readonly signal: AbortSignal
}

/**
 * Looks for what keeps servers from being found on the interfaces of this machine, and tells what it finds as it goes. Takes
 * about two seconds. Throws the signal's reason when it is aborted.
 */
export async function * diagnose (init: DiagnoseServersInit): AsyncGenerator<DiscoveryFinding, void, undefined> {
  const { clock, interfaces, bind } = init
  init.signal.throwIfAborted()
  const choice = { interfaces, bind }
  const all = networkLinks()
  const [ask, listen, dnsBus] = await Promise.all([
    openMulticastBus({ group: DISCOVERY, role: 'ask', choice, clock }),
    openMulticastBus({ group: DISCOVERY, role: 'listen', choice, clock }),
    openMulticastBus({ group: MULTICAST_DNS, role: 'listen', choice, clock }),
  ])
  yield * diagnoseOverBuses({
    ...init,
    surroundings: { all, choice, inContainer: CONTAINER_MARKS.some(path => existsSync(path)), platform: process.platform },
    ask,
    listen,
    dnsSd: { bus: dnsBus, codec: dnsCodec },
    randomBytes,
  })
}
