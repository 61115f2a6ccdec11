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
  /** A link is in use, or no longer in use. */
  | { readonly kind: 'up', readonly link: Link }
  | { readonly kind: 'down', readonly link: Link }
  /** A link cannot be used; reported once until its state changes. */
  | { readonly kind: 'fault', readonly error: FileSyncError }

/**
 * Datagrams to and from one multicast group over every link of this machine, as a port. Like any datagrams, they may be lost,
 * duplicated or delayed. A bus that is not read drops datagrams beyond its capacity, but no other events.
 */
export interface DatagramBus {
  /** The links in use. Each is also reported as `up`, including those in use from the start. */
  readonly links: readonly Link[]
  /** The next event; undefined once the bus is closed. One reader at a time. */
  next (): Promise<BusEvent | undefined>
  /**
   * Sends over one link, to the group or to one endpoint. Resolves when the system has accepted the datagram, which may still be
   * lost. Rejects with DISCOVERY_UNAVAILABLE.
   */
  send (bytes: Uint8Array, link: Link, to?: Endpoint): Promise<void>
  /** Resolves when nothing is received any longer. May be called again. */
  close (): Promise<void>
}
