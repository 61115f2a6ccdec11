import type { Clock, FileSyncError } from '@filesync/protocol'
import { announce } from '../announce.ts'
import type { Advertised } from '../announce.ts'
import { announceDnsSd } from '../dns-sd.ts'
import type { Link, LinkChoice } from '../link.ts'
import { dnsCodec } from './dns-codec.ts'
import { DISCOVERY, MULTICAST_DNS } from './groups.ts'
import { openMulticastBus } from './multicast-bus.ts'

export interface AnnounceServerInit extends Advertised, LinkChoice {
  /** Whether to announce the server by DNS-SD too; true by default. */
  readonly dnsSd?: boolean | undefined
  readonly clock: Clock
  /** Stops announcing, like `close`. */
  readonly signal: AbortSignal
  /** Called with DISCOVERY_UNAVAILABLE for an interface that cannot be used, once per cause; the others keep working. */
  readonly onProblem?: ((error: FileSyncError) => void) | undefined
}

/** A server that can be found. */
export interface Announcer {
  /** Whether questions are heard on any link now. */
  readonly listening: boolean
  /** The links that questions are heard on now. */
  readonly links: readonly Link[]
  /** Stops, and resolves when nothing is heard or sent any more. Does nothing the second time. */
  close (): Promise<void>
}

/**
 * Makes a server discoverable on the interfaces of this machine, until it is closed or the signal is aborted. Resolves after each
 * interface that is up was tried; does not reject if none can be used, because a server works without discovery.
 */
export async function announceServer (init: AnnounceServerInit): Promise<Announcer> {
  const { clock, interfaces, bind } = init
  const closed = new AbortController()
  const signal = AbortSignal.any([init.signal, closed.signal])
  const choice = { interfaces, bind }
  const bus = await openMulticastBus({ group: DISCOVERY, role: 'listen', choice, clock })
  const running = [announce({ ...init, bus, signal })]
  if (init.dnsSd !== false) {
    const dnsBus = await openMulticastBus({ group: MULTICAST_DNS, role: 'listen', choice, clock })
    running.push(announceDnsSd({ ...init, bus: dnsBus, codec: dnsCodec, signal }))
  }
  const ended = Promise.all(running)
  // Awaited in close; until then a rejection must not end the process.
  ended.catch(() => { closed.abort() })
  return {
    get listening () { return bus.links.length > 0 },
    get links () { return bus.links },
    async close () {
      closed.abort()
      await ended
    },
  }
}
