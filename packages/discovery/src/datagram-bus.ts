import type { FileSyncError } from '@filesync/protocol'
import type { Link } from './link.ts'

/** Where a datagram comes from or goes to. A link-local IPv6 address carries its zone: `fe80::1%eth0`. */
export interface Endpoint {
  readonly address: string
  readonly port: number
}

/** What happens on a bus. */
export type BusEvent =
  /** A datagram was heard on a link. */
  | { readonly kind: 'datagram', readonly bytes: Uint8Array, readonly link: Link, readonly source: Endpoint }
  /** A link is in use from now on, or no more. */
  | { readonly kind: 'up', readonly link: Link }
  | { readonly kind: 'down', readonly link: Link }
  /** A link cannot be used; told once, until its state changes. */
  | { readonly kind: 'fault', readonly error: FileSyncError }

/**
 * Datagrams to and from one multicast group over every link of this machine, as a port. As with any datagrams, some are
 * lost, doubled, or come late; a bus that is not read drops what it has no room for, but never another kind of event.
 */
export interface DatagramBus {
  /** The links that are in use now. Each is told as `up` too, those that are there from the start included. */
  readonly links: readonly Link[]
  /** The next event; undefined once the bus is closed. One reader at a time. */
  next (): Promise<BusEvent | undefined>
  /**
   * Sends out of one link, to the group, or to one endpoint. Resolves when the system took the datagram, which does not
   * mean that it arrives. Rejects with DISCOVERY_UNAVAILABLE.
   */
  send (bytes: Uint8Array, link: Link, to?: Endpoint): Promise<void>
  /** Resolves when nothing is heard any more. Does nothing the second time. */
  close (): Promise<void>
}
