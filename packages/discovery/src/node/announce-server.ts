import type { Clock, FileSyncError } from '@filesync/protocol'
import { announce } from '../announce.ts'
import type { Advertised } from '../announce.ts'
import { announceDnsSd } from '../dns-sd.ts'
import type { Link, LinkChoice } from '../link.ts'
import { dnsCodec } from './dns-codec.ts'
import { DISCOVERY, MULTICAST_DNS } from './groups.ts'
import { openMulticastBus } from './multicast-bus.ts'

export interface AnnounceServerInit extends Advertised, LinkChoice {
  /** Whether the server is announced by DNS-SD as well; it is unless told. */
  readonly dnsSd?: boolean | undefined
  readonly clock: Clock
  /** Ends the announcing, as `close` does. */
  readonly signal: AbortSignal
  /** An interface that cannot be used: DISCOVERY_UNAVAILABLE. Told once for each cause; the others go on. */
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
 * Makes a server findable on the interfaces of this machine, until it is closed or the signal is aborted. Resolves when
 * each interface that is up was tried; does not reject when none can be used, because a server works without.
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
