/**
 * Find services on the local network, and announce your own, over any carrier of datagrams: `@filesync/discovery/node` has the
 * same over sockets. A result is a hint and proves nothing. docs/protocol.md specifies the datagrams of FileSync servers.
 *
 * @packageDocumentation
 */
export { announce as answerDiscover } from './announce.ts'
export type { BusEvent, DatagramBus, Endpoint } from './datagram-bus.ts'
export { diagnose } from './diagnose.ts'
export type { DiscoveryFinding } from './finding.ts'
export { findServers } from './find-servers.ts'
export type { Link } from './link.ts'
export type { FoundServer } from './offer-table.ts'
export { ServiceAnnouncer } from './dns-sd/announcer.ts'
export type { AnnounceServiceInit } from './dns-sd/announcer.ts'
export { findServices } from './dns-sd/find-services.ts'
export type { FindServicesInit, ServiceEvent } from './dns-sd/find-services.ts'
export type { Service } from './dns-sd/found.ts'
export type { AnnouncedService } from './dns-sd/service-records.ts'
