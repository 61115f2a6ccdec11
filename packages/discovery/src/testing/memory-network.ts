import { FileSyncError } from '@filesync/protocol'
import { isOnLink } from '../address.ts'
import type { BusEvent, DatagramBus, Endpoint } from '../datagram-bus.ts'
import { EventQueue } from '../event-queue.ts'
import { describeLink, linkKey } from '../link.ts'
import type { Link } from '../link.ts'

/** What becomes of a datagram on its way to one receiver; `hold` lets the next one overtake it. */
export type Fate = 'deliver' | 'lose' | 'double' | 'hold'

export interface MemoryBusInit {
  readonly role: 'listen' | 'ask'
  /** Links that are up from the start. Two links are on one wire when they have the same wire name. */
  readonly links: readonly MemoryLink[]
  /** UDP port of a listener; an asker gets one of its own. */
  readonly port?: number
}

export interface MemoryLink extends Link {
  readonly wire: string
}

/** A link for a test: an IPv4 address with its prefix, as in `10.0.0.1/24`. */
export function memoryLink (cidr: string, interfaceName = 'eth0', wire = 'wire'): MemoryLink {
  const [address = '', prefix] = cidr.split('/')
  const family = address.includes(':') ? 'IPv6' : 'IPv4'
  return { interfaceName, family, address, prefixLength: Number(prefix), zone: interfaceName, wire }
}

/** Wires in memory, with as many hosts as are attached to them. The twin of multicast sockets on real interfaces. */
export class MemoryNetwork {
  readonly #buses = new Set<MemoryBus>()
  readonly #held: (() => void)[] = []
  #nextPort = 40_000
  /** Decides for each datagram and receiver. */
  fate: () => Fate = () => 'deliver'
  /** Every datagram that was sent, as `from`, `to`, and size: what a person at the wire would see. */
  readonly sent: { readonly from: Endpoint, readonly to: Endpoint | 'group', readonly bytes: Uint8Array }[] = []

  /** Attaches a host. */
  bus (init: MemoryBusInit): MemoryBus {
    const bus = new MemoryBus(this, { ...init, port: init.port ?? (init.role === 'listen' ? 9999 : this.#nextPort++) })
    this.#buses.add(bus)
    return bus
  }

  /** Puts a datagram on a wire, from whatever source it claims. */
  inject (wire: string, from: Endpoint, datagram: { readonly to: Endpoint | 'group', readonly bytes: Uint8Array }): void {
    this.sent.push({ from, ...datagram })
    for (const bus of this.#buses) {
      const arrive = (): void => { bus.arrive(wire, from, datagram) }
      const fate = this.fate()
      if (fate === 'hold') {
        this.#held.push(arrive)
        continue
      }
      if (fate !== 'lose') arrive()
      if (fate === 'double') arrive()
      for (const late of this.#held.splice(0)) late()
    }
  }

  /** Takes a closed bus off the wires. */
  detach (bus: MemoryBus): void {
    this.#buses.delete(bus)
  }
}

export class MemoryBus implements DatagramBus {
  readonly #network: MemoryNetwork
  readonly #init: MemoryBusInit & { readonly port: number }
  readonly #events = new EventQueue<BusEvent>(20_000)
  readonly #links = new Map<string, MemoryLink>()

  constructor (network: MemoryNetwork, init: MemoryBusInit & { readonly port: number }) {
    this.#network = network
    this.#init = init
    for (const link of init.links) this.plug(link)
  }

  get port (): number {
    return this.#init.port
  }

  get links (): readonly Link[] {
    return [...this.#links.values()]
  }

  /** Brings a link up. */
  plug (link: MemoryLink): void {
    this.#links.set(linkKey(link), link)
    this.#events.push({ kind: 'up', link })
  }

  /** Takes a link down. */
  unplug (link: MemoryLink): void {
    if (this.#links.delete(linkKey(link))) this.#events.push({ kind: 'down', link })
  }

  /** Reports a fault, as a real bus does. */
  fail (error: FileSyncError): void {
    this.#events.push({ kind: 'fault', error })
  }

  async next (): Promise<BusEvent | undefined> {
    return await this.#events.next()
  }

  async send (bytes: Uint8Array, link: Link, to?: Endpoint): Promise<void> {
    const own = this.#links.get(linkKey(link))
    if (own === undefined) {
      throw new FileSyncError('DISCOVERY_UNAVAILABLE', `Discovery cannot send over ${describeLink(link)}: the link is down.`)
    }
    this.#network.inject(own.wire, { address: own.address, port: this.port }, { to: to ?? 'group', bytes: bytes.slice() })
  }

  async close (): Promise<void> {
    this.#events.close()
    this.#links.clear()
    this.#network.detach(this)
  }

  /** Hears a datagram if it is for this host. */
  arrive (wire: string, from: Endpoint, { to, bytes }: { readonly to: Endpoint | 'group', readonly bytes: Uint8Array }): void {
    for (const link of this.#links.values()) {
      const isForUs = to === 'group' ? this.#init.role === 'listen' : to.address === link.address && to.port === this.port
      // A wire carries what any host puts on it; a host takes what is on its own subnet, as the real bus does.
      if (link.wire === wire && isForUs && isOnLink(from.address, link)) this.#events.offer({ kind: 'datagram', bytes, link, source: from })
    }
  }
}
