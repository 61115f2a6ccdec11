import { randomBytes } from 'node:crypto'
import type { Clock, DiscoverPurpose, FileSyncError } from '@filesync/protocol'
import { findServers as findOverBus } from '../find-servers.ts'
import type { LinkChoice } from '../link.ts'
import type { FoundServer } from '../offer-table.ts'
import { dnsCodec } from './dns-codec.ts'
import { DISCOVERY, MULTICAST_DNS } from './groups.ts'
import { openMulticastBus } from './multicast-bus.ts'

export interface FindServersInit extends LinkChoice {
  readonly want: DiscoverPurpose
  /** Id prefixes of paired servers: all but four places of a round are reserved for them. */
  readonly pinned?: readonly string[] | undefined
  /** Whether to look for servers by DNS-SD too; true by default. */
  readonly dnsSd?: boolean | undefined
  readonly clock: Clock
  readonly signal: AbortSignal
  /** Called with DISCOVERY_UNAVAILABLE for an interface that cannot be used, once per cause; the others keep working. */
  readonly onProblem?: ((error: FileSyncError) => void) | undefined
}

/**
 * Looks for servers on the interfaces of this machine, at once and then at increasing intervals. Yields a server when it is first
 * heard, has changed, or is back after a silence; ends when the signal is aborted. A result is a hint and proves nothing.
 */
export async function * findServers (init: FindServersInit): AsyncGenerator<FoundServer, void, undefined> {
  const { clock, interfaces, bind } = init
  if (init.signal.aborted) return
  const choice = { interfaces, bind }
  const bus = await openMulticastBus({ group: DISCOVERY, role: 'ask', choice, clock })
  const dnsSd = init.dnsSd === false
    ? undefined
    : { bus: await openMulticastBus({ group: MULTICAST_DNS, role: 'listen', choice, clock }), codec: dnsCodec }
  yield * findOverBus({ ...init, bus, dnsSd, randomBytes })
}
