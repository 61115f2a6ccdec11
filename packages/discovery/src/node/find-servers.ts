import { randomBytes } from 'node:crypto'
import { isIdPrefix } from '@filesync/protocol'
import type { Clock, DiscoverPurpose, FileSyncError } from '@filesync/protocol'
import { systemClock } from '@filesync/protocol/node'
import { checkChoice, checkCommon } from '../arguments.ts'
import { findServers as findOverBus } from '../find-servers.ts'
import type { LinkChoice } from '../link.ts'
import type { FoundServer } from '../offer-table.ts'
import { shown } from '../dns-sd/service-type.ts'
import { DISCOVERY, MULTICAST_DNS } from './groups.ts'
import { holdProcess } from './hold-process.ts'
import { openMulticastBus } from './multicast-bus.ts'

export interface FindServersInit extends LinkChoice {
  readonly want: DiscoverPurpose
  /** Id prefixes of paired servers: all but four places of a round are reserved for them. */
  readonly pinned?: readonly string[] | undefined
  /** Whether to look for servers by DNS-SD too; true by default. */
  readonly dnsSd?: boolean | undefined
  /** The system's clock by default. */
  readonly clock?: Clock | undefined
  /** Ends the search. */
  readonly signal?: AbortSignal | undefined
  /** Called with DISCOVERY_UNAVAILABLE for an interface that cannot be used, once per cause; the others keep working. */
  readonly onProblem?: ((error: FileSyncError) => void) | undefined
}

/**
 * Looks for FileSync servers on the interfaces of this machine, at once and then at increasing intervals. Yields a server when it
 * is first heard, has changed, or is back after a silence; ends when the signal is aborted. If no interface can be used, it waits
 * for one. Keeps the process running. A result is a hint and proves nothing. Throws TypeError.
 */
export function findServers (init: FindServersInit): AsyncGenerator<FoundServer, void, undefined> {
  checkCommon(init, 'findServers')
  checkChoice(init.want, 'findServers: want', ['sync', 'pair'])
  const { pinned } = init
  if (pinned !== undefined && !(Array.isArray(pinned) && pinned.every(prefix => typeof prefix === 'string' && isIdPrefix(prefix)))) {
    throw new TypeError(`findServers: pinned must be an array of id prefixes of 16 symbols, but is ${shown(pinned)}.`)
  }
  return search(init)
}

async function * search (init: FindServersInit): AsyncGenerator<FoundServer, void, undefined> {
  const { clock = systemClock, interfaces, bind, signal = new AbortController().signal } = init
  if (signal.aborted) return
  const choice = { interfaces, bind }
  const release = holdProcess()
  try {
    const bus = await openMulticastBus({ group: DISCOVERY, role: 'ask', choice, clock })
    const dnsBus = init.dnsSd === false ? undefined : await openMulticastBus({ group: MULTICAST_DNS, role: 'listen', choice, clock })
    yield * findOverBus({ ...init, bus, dnsBus, randomBytes, clock, signal })
  } finally {
    release()
  }
}
