import { DISCOVERY_GROUP_IPV4, DISCOVERY_GROUP_IPV6, DISCOVERY_PORT } from '@filesync/protocol'
import { parseAddress } from '../address.ts'
import { MDNS_GROUP_IPV4, MDNS_GROUP_IPV6, MDNS_PORT } from '../filesync-type.ts'
import { checkPort, shown } from '../dns-sd/service-type.ts'
import type { Group } from './link-socket.ts'

/** No router may pass a question on. */
export const DISCOVERY: Group = { name: 'Discovery', IPv4: DISCOVERY_GROUP_IPV4, IPv6: DISCOVERY_GROUP_IPV6, port: DISCOVERY_PORT, ttl: 1 }
/** RFC 6762 section 11 asks for 255; no router passes this group on, whatever the TTL. */
export const MULTICAST_DNS: Group = { name: 'DNS-SD', IPv4: MDNS_GROUP_IPV4, IPv6: MDNS_GROUP_IPV6, port: MDNS_PORT, ttl: 255 }

/** A multicast group of the caller's own, for networks that filter multicast DNS. */
export interface MulticastGroup {
  /** From 224.0.0.0/4. */
  readonly IPv4: string
  /** From ff02::/16, because only link-local addresses are used. */
  readonly IPv6: string
  readonly port: number
}

/** The group to use: that of multicast DNS by default. Throws TypeError. */
export function groupOf (group: MulticastGroup | undefined, caller: string): Group {
  if (group === undefined) return MULTICAST_DNS
  const { IPv4, IPv6, port } = group
  const [four, six] = [IPv4, IPv6].map(address => parseAddress(address))
  if (four?.length !== 4 || (four[0] ?? 0) >> 4 !== 14) {
    throw new TypeError(`${caller}: group.IPv4 must be in 224.0.0.0/4, but is ${shown(IPv4)}.`)
  }
  if (six?.length !== 16 || six[0] !== 0xff || six[1] !== 2) {
    throw new TypeError(`${caller}: group.IPv6 must be in ff02::/16, but is ${shown(IPv6)}.`)
  }
  return { name: 'DNS-SD', IPv4, IPv6, port: checkPort(port, `${caller}: group.port`), ttl: 1 }
}
