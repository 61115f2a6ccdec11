/**
 * Find servers on the local network, and be found. A result is a hint: only the TLS connection to a server proves its identity.
 * docs/protocol.md specifies the datagrams.
 *
 * @packageDocumentation
 */
export { announce } from './announce.ts'
export type { BusEvent, DatagramBus, Endpoint } from './datagram-bus.ts'
export { diagnose } from './diagnose.ts'
export type { DnsCodec } from './dns-sd.ts'
export type { DiscoveryFinding } from './finding.ts'
export { findServers } from './find-servers.ts'
export type { Link } from './link.ts'
export type { FoundServer } from './offer-table.ts'
