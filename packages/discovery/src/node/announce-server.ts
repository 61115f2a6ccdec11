import { isIdPrefix } from '@filesync/protocol'
import type { Clock, FileSyncError } from '@filesync/protocol'
import { systemClock } from '@filesync/protocol/node'
import { announce as answerDiscover } from '../announce.ts'
import type { Advertised } from '../announce.ts'
import { checkCommon } from '../arguments.ts'
import { announceDnsSd } from '../filesync-type.ts'
import type { Link, LinkChoice } from '../link.ts'
import { SERVER_PORT_MIN } from '../offer-table.ts'
import { checkPort, shown } from '../dns-sd/service-type.ts'
import { DISCOVERY, MULTICAST_DNS } from './groups.ts'
import { holdProcess } from './hold-process.ts'
import { openMulticastBus } from './multicast-bus.ts'

export interface AnnounceServerInit extends Advertised, LinkChoice {
  /** Whether to announce the server by DNS-SD too; true by default. */
  readonly dnsSd?: boolean | undefined
  /** The system's clock by default. */
  readonly clock?: Clock | undefined
  /** Stops announcing, like `close`. */
  readonly signal?: AbortSignal | undefined
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
 * Makes a FileSync server discoverable on the interfaces of this machine, by OFFER and by DNS-SD, until it is closed or the
 * signal is aborted. Resolves after each interface that is up was tried; does not reject if none can be used, because a server
 * works without discovery, and starts as soon as one can. Keeps the process running. Throws TypeError.
 */
export async function announceServer (init: AnnounceServerInit): Promise<Announcer> {
  check(init)
  const { clock = systemClock, interfaces, bind } = init
  const closed = new AbortController()
  const signal = init.signal === undefined ? closed.signal : AbortSignal.any([init.signal, closed.signal])
  const choice = { interfaces, bind }
  const release = holdProcess()
  const bus = await openMulticastBus({ group: DISCOVERY, role: 'listen', choice, clock })
  const running = [answerDiscover({ ...init, bus, clock, signal })]
  if (init.dnsSd !== false) {
    const dnsBus = await openMulticastBus({ group: MULTICAST_DNS, role: 'listen', choice, clock })
    running.push(announceDnsSd({ ...init, bus: dnsBus, clock, random: Math.random, signal }))
  }
  const ended = Promise.all(running).finally(release)
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

function check (init: AnnounceServerInit): void {
  checkCommon(init, 'announceServer')
  const { idPrefix, tlsPort, legacyPort } = init
  // Clients never connect to a privileged port that a datagram names, so one would be announced in vain.
  checkPort(tlsPort, 'announceServer: tlsPort', SERVER_PORT_MIN)
  if (legacyPort !== undefined) checkPort(legacyPort, 'announceServer: legacyPort')
  if (typeof idPrefix !== 'string' || !isIdPrefix(idPrefix)) {
    throw new TypeError(`announceServer: idPrefix must be the first 16 symbols of a device id, but is ${shown(idPrefix)}.`)
  }
  const isPairing: unknown = Reflect.get(init, 'isPairing')
  if (typeof isPairing !== 'function') throw new TypeError(`announceServer: isPairing must be a function, but is ${shown(isPairing)}.`)
}
