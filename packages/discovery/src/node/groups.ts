import { DISCOVERY_GROUP_IPV4, DISCOVERY_GROUP_IPV6, DISCOVERY_PORT } from '@filesync/protocol'
import { MDNS_GROUP_IPV4, MDNS_GROUP_IPV6, MDNS_PORT } from '../dns-sd.ts'
import type { Group } from './link-socket.ts'

/** No router may pass a question on. */
export const DISCOVERY: Group = { name: 'Discovery', IPv4: DISCOVERY_GROUP_IPV4, IPv6: DISCOVERY_GROUP_IPV6, port: DISCOVERY_PORT, ttl: 1 }
/** RFC 6762 section 11 asks for 255; no router passes this group on, whatever the TTL. */
export const MULTICAST_DNS: Group = { name: 'DNS-SD', IPv4: MDNS_GROUP_IPV4, IPv6: MDNS_GROUP_IPV6, port: MDNS_PORT, ttl: 255 }
