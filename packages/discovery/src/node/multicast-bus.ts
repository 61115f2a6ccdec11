import type { Socket } from 'node:dgram'
import { errnoOf, FileSyncError } from '@filesync/protocol'
import type { Clock } from '@filesync/protocol'
import { isOnLink } from '../address.ts'
import type { BusEvent, DatagramBus, Endpoint } from '../datagram-bus.ts'
import { EventQueue } from '../event-queue.ts'
import { chooseLinks, linkKey } from '../link.ts'
import type { Link, LinkChoice } from '../link.ts'
import { groupAddress, openLinkSocket } from './link-socket.ts'
import type { Group } from './link-socket.ts'
import { networkLinks } from './network-links.ts'
import { socketFault } from './socket-fault.ts'

/** How often the interfaces are checked. Node does not report changes. */
const FOLLOW_MS = 2_000
/** Datagrams that may be queued; more are dropped unread. */
const WAITING_DATAGRAMS = 512

export interface MulticastBusInit {
  readonly group: Group
  /** `listen`: receives from the group, on its port. `ask`: receives only what is sent to it, on its own ports. */
  readonly role: 'listen' | 'ask'
  readonly choice: LinkChoice
  readonly clock: Clock
  /** Lists the addresses of this machine; those of the system by default. */
  readonly listLinks?: () => readonly Link[]
}

/**
 * A bus over the real interfaces of this machine: one socket per address, opened and closed as interfaces come and go. Resolves
 * after each current link was tried; those that failed are reported as faults and tried again.
 */
export async function openMulticastBus (init: MulticastBusInit): Promise<DatagramBus> {
  const bus = new MulticastBus(init)
  await bus.follow()
  return bus
}

class MulticastBus implements DatagramBus {
  readonly #init: MulticastBusInit
  readonly #events = new EventQueue<BusEvent>(WAITING_DATAGRAMS)
  readonly #open = new Map<string, { readonly link: Link, readonly socket: Socket }>()
  /** The faults that were reported, by link or interface. */
  readonly #reported = new Map<string, string>()
  #following: Promise<void> | undefined
  #cancelFollow: () => void = () => { /* nothing is scheduled yet */ }

  constructor (init: MulticastBusInit) {
    this.#init = init
  }

  get links (): readonly Link[] {
    return [...this.#open.values()].map(({ link }) => link)
  }

  async next (): Promise<BusEvent | undefined> {
    return await this.#events.next()
  }

  async send (bytes: Uint8Array, link: Link, to?: Endpoint): Promise<void> {
    const socket = this.#open.get(linkKey(link))?.socket
    const { group } = this.#init
    if (socket === undefined) throw socketFault({ group, doing: 'send over', link }, new Error('the link is down'))
    const target = to ?? { address: groupAddress(group, link), port: group.port }
    try {
      await new Promise<void>((resolve, reject) => {
        socket.send(bytes, target.port, target.address, error => {
          if (error === null) resolve()
          else reject(error)
        })
      })
    } catch (cause) {
      throw socketFault({ group, doing: 'send over', link }, cause)
    }
  }

  async close (): Promise<void> {
    this.#events.close()
    this.#cancelFollow()
    await this.#following
    await Promise.all([...this.#open.values()].map(({ link }) => this.#drop(link)))
  }

  /** Opens new links, closes those that have gone, and schedules the next check. */
  async follow (): Promise<void> {
    this.#following = this.#followOnce()
    await this.#following
    if (this.#events.closed) return
    this.#cancelFollow = this.#init.clock.schedule(FOLLOW_MS, () => { void this.follow() })
  }

  async #followOnce (): Promise<void> {
    const wanted = this.#wanted()
    const keys = new Set(wanted.map(linkKey))
    for (const { link } of this.#open.values()) {
      if (!keys.has(linkKey(link))) await this.#drop(link)
    }
    this.#checkNames(wanted)
    for (const key of this.#reported.keys()) {
      if (key.includes('/') && !keys.has(key)) this.#reported.delete(key)
    }
    await Promise.all(wanted.filter(link => !this.#open.has(linkKey(link))).map(link => this.#use(link)))
  }

  #wanted (): Link[] {
    const { choice, listLinks = networkLinks } = this.#init
    try {
      return chooseLinks(listLinks(), choice)
    } catch (cause) {
      const message = `${this.#init.group.name} cannot list the network interfaces of this machine. Name the server by its address.`
      this.#report('interfaces', 'unlistable', new FileSyncError('DISCOVERY_UNAVAILABLE', message, { cause }))
      return []
    }
  }

  #checkNames (wanted: readonly Link[]): void {
    const { choice: { interfaces, bind }, group } = this.#init
    const missing = interfaces?.filter(name => !wanted.some(link => link.interfaceName === name)) ?? []
    const none = interfaces === undefined && wanted.length === 0
    const where = bind === undefined ? '' : ` with the address ${bind}`
    const faults = new Map(missing.map(name => [name, `${group.name} cannot use the interface ${name}: ` +
      'it does not exist, is down, has no address, or does not support multicast. It is used as soon as that changes.']))
    if (none) {
      faults.set('any', `${group.name} cannot be used: no interface${where} is up and supports multicast. It starts as soon as one does.`)
    }
    for (const name of ['any', ...interfaces ?? []]) {
      const message = faults.get(name)
      if (message === undefined) this.#reported.delete(name)
      else this.#report(name, 'missing', new FileSyncError('DISCOVERY_UNAVAILABLE', message))
    }
  }

  async #use (link: Link): Promise<void> {
    const { group, role } = this.#init
    const key = linkKey(link)
    try {
      const socket = await openLinkSocket({
        group,
        role,
        link,
        onMessage: (bytes, { address, port }) => {
          // A socket receives from the group on every interface on which any socket of this machine has joined it.
          if (isOnLink(address, link)) this.#events.offer({ kind: 'datagram', bytes, link, source: { address, port } })
        },
      })
      socket.on('error', error => { this.#fail(link, error) })
      this.#open.set(key, { link, socket })
      this.#reported.delete(key)
      this.#events.push({ kind: 'up', link })
    } catch (cause) {
      this.#report(key, errnoOf(cause), socketFault({ group, doing: role === 'listen' ? 'listen on' : 'ask over', link }, cause))
    }
  }

  #fail (link: Link, error: Error): void {
    this.#report(linkKey(link), errnoOf(error), socketFault({ group: this.#init.group, doing: 'go on over', link }, error))
    void this.#drop(link)
  }

  async #drop (link: Link): Promise<void> {
    const key = linkKey(link)
    const found = this.#open.get(key)
    if (found === undefined) return
    this.#open.delete(key)
    this.#events.push({ kind: 'down', link })
    await new Promise<void>(resolve => { found.socket.close(resolve) })
  }

  #report (key: string, what: string, error: FileSyncError): void {
    if (this.#reported.get(key) === what) return
    this.#reported.set(key, what)
    this.#events.push({ kind: 'fault', error })
  }
}
