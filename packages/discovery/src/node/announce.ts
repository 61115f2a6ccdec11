import { randomBytes } from 'node:crypto'
import type { Clock, FileSyncError } from '@filesync/protocol'
import { systemClock } from '@filesync/protocol/node'
import { checkCallback, checkCommon } from '../arguments.ts'
import type { Link, LinkChoice } from '../link.ts'
import { ServiceAnnouncer } from '../dns-sd/announcer.ts'
import { checkHostLabel, checkPort, checkServiceName, typeName } from '../dns-sd/service-type.ts'
import { txtItems } from '../dns-sd/txt.ts'
import type { TxtInput } from '../dns-sd/txt.ts'
import { groupOf } from './groups.ts'
import type { MulticastGroup } from './groups.ts'
import { holdProcess } from './hold-process.ts'
import { openMulticastBus } from './multicast-bus.ts'

export interface AnnounceInit extends LinkChoice {
  /** `_ipp._tcp`: the service as registered with IANA, and the transport. */
  readonly type: string
  /** What people read, up to 63 bytes of any text: `Printer, 2nd floor`. */
  readonly name: string
  /** Where the service listens on this machine, 1 to 65535. */
  readonly port: number
  /** Properties, at most 255 bytes each with the key. */
  readonly txt?: TxtInput | undefined
  /** The first label of this machine's name for others, without `.local`. A random one by default, which tells nobody anything. */
  readonly host?: string | undefined
  /** The group of multicast DNS by default. */
  readonly group?: MulticastGroup | undefined
  /** The system's clock by default. */
  readonly clock?: Clock | undefined
  /** Stops the announcement, like `close`. */
  readonly signal?: AbortSignal | undefined
  /** Called with DISCOVERY_UNAVAILABLE for an interface that cannot be used, once per cause; the others keep working. */
  readonly onProblem?: ((error: FileSyncError) => void) | undefined
  /** Called if another service of the network has the name, with the one that is announced instead: `Printer (2)`. */
  readonly onRename?: ((name: string) => void) | undefined
}

/** A service that can be found. */
export interface Announcement {
  /** As announced: it differs from the one asked for if that was taken. */
  readonly name: string
  /** Whether it is announced on any link now. */
  readonly listening: boolean
  /** The links that it is announced on now. */
  readonly links: readonly Link[]
  /** Replaces the properties; those who have found the service hear of it at once. Throws TypeError. */
  update (change: { readonly txt: TxtInput }): void
  /** Says goodbye, and resolves when nothing is heard or sent any more. Does nothing the second time. */
  close (): Promise<void>
}

/**
 * Announces a service by DNS-SD (RFC 6763, RFC 6762) on the interfaces of this machine, until it is closed or the signal is
 * aborted. Resolves when the name is known to be free, after about a second. If no interface can be used, it resolves at once,
 * `onProblem` reports why, and the announcement starts as soon as one can. Keeps the process running. Throws TypeError.
 */
export async function announce (init: AnnounceInit): Promise<Announcement> {
  checkCommon(init, 'announce')
  checkCallback(init.onRename, 'announce: onRename')
  const { clock = systemClock, interfaces, bind, onProblem, onRename, host } = init
  const service = {
    type: typeName(init.type, 'announce: type'),
    name: checkServiceName(init.name, 'announce: name'),
    host: host === undefined ? `host-${randomBytes(6).toString('hex')}` : checkHostLabel(host, 'announce: host'),
    port: checkPort(init.port, 'announce: port'),
  }
  let texts = txtItems(init.txt ?? {}, 'announce: txt')
  const group = groupOf(init.group, 'announce')
  const closed = new AbortController()
  const signal = init.signal === undefined ? closed.signal : AbortSignal.any([init.signal, closed.signal])
  const release = holdProcess()
  const bus = await openMulticastBus({ group, role: 'listen', choice: { interfaces, bind }, clock })
  const announcer = new ServiceAnnouncer({
    bus, clock, signal, onProblem, onRename, groupPort: group.port, probes: true, random: Math.random,
    service: () => ({ ...service, texts }),
  })
  const ended = announcer.run().finally(release)
  // Awaited in close; until then a rejection must not end the process.
  ended.catch(() => { closed.abort() })
  await announcer.settled()
  return {
    get name () { return announcer.name },
    get listening () { return bus.links.length > 0 },
    get links () { return bus.links },
    update ({ txt }) {
      texts = txtItems(txt, 'update: txt')
      announcer.changed()
    },
    async close () {
      closed.abort()
      await ended
    },
  }
}
