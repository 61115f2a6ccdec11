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
  /** Id prefixes of servers that the client is paired with: half the places of a round are theirs, whatever others answer. */
  readonly pinned?: readonly string[] | undefined
  /** Whether servers are looked for by DNS-SD as well; they are unless told. */
  readonly dnsSd?: boolean | undefined
  readonly clock: Clock
  readonly signal: AbortSignal
  /** An interface that cannot be used: DISCOVERY_UNAVAILABLE. Told once for each cause; the others go on. */
  readonly onProblem?: ((error: FileSyncError) => void) | undefined
}

/**
 * Looks for servers on the interfaces of this machine: at once, and then less and less often. Yields each when it is first
 * heard, changed, or back after a silence, and ends when the signal is aborted. What it yields is a hint and proves nothing.
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
