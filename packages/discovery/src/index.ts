/**
 * Find servers on the local network, and be found. What is found is a hint: who a server is, its TLS connection proves.
 * docs/protocol.md specifies the datagrams.
 *
 * @packageDocumentation
 */
export { isLoopback, isOnLink, parseAddress, sameAddress } from './address.ts'
export type { Subnet } from './address.ts'
export { announce } from './announce.ts'
export type { Advertised, AnnounceInit } from './announce.ts'
export type { BusEvent, DatagramBus, Endpoint } from './datagram-bus.ts'
export { diagnose } from './diagnose.ts'
export type { DiagnoseInit, Reach } from './diagnose.ts'
export { announceDnsSd } from './dns-sd.ts'
export type { AnnounceDnsSdInit, DnsCodec, DnsMessage, DnsQuestion, DnsRecord } from './dns-sd.ts'
export { inspectLinks, inspectSubnet } from './finding.ts'
export type { ExpectedServer, Finding, Surroundings } from './finding.ts'
export { findServers } from './find-servers.ts'
export type { DnsSdInit, FindInit } from './find-servers.ts'
export { chooseLinks, describeLink } from './link.ts'
export type { Link, LinkChoice } from './link.ts'
export { CANDIDATES_PER_ROUND, OfferTable } from './offer-table.ts'
export type { FoundServer } from './offer-table.ts'
export { REPLIES_OVERALL, REPLIES_PER_SOURCE, ReplyPolicy } from './reply-policy.ts'
export type { Heard, Judgement, Refusal } from './reply-policy.ts'
