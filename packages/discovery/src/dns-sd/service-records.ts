import { linkKey } from '../link.ts'
import type { Link } from '../link.ts'
import { nameKey } from './domain-name.ts'
import { recordData } from './dns-message.ts'
import type { DnsRecord } from './dns-message.ts'
import { instanceName, TYPES_NAME } from './service-type.ts'

/** RFC 6762 section 10: records with the name of a host, and others. */
const HOST_TTL_SECONDS = 120
const OTHER_TTL_SECONDS = 4_500

/** What is announced. */
export interface AnnouncedService {
  /** With its domain: `_ipp._tcp.local`. */
  readonly type: string
  /** As people read it. */
  readonly name: string
  /** One label. */
  readonly host: string
  readonly port: number
  readonly texts: readonly Uint8Array[]
}

export interface ServiceRecords {
  /** Lists the service under its type; shared with others of this type. */
  readonly listing: DnsRecord
  /** Lists the type. */
  readonly types: DnsRecord
  /** The records that only this service has, under its own name. */
  readonly own: readonly [srv: DnsRecord, txt: DnsRecord]
  readonly addresses: readonly DnsRecord[]
}

/** The records of a service on the interface of one link, of whose addresses `links` has all. */
export function serviceRecords (service: AnnouncedService, link: Link, links: readonly Link[]): ServiceRecords {
  const { type, host, port, texts } = service
  const instance = instanceName(service.name, type)
  const hostName = `${host}.local`
  const own = links.filter(({ interfaceName }) => interfaceName === link.interfaceName)
  const all = own.some(other => linkKey(other) === linkKey(link)) ? own : [link, ...own]
  return {
    listing: { type: 'PTR', name: type, ttlSeconds: OTHER_TTL_SECONDS, flush: false, target: instance },
    types: { type: 'PTR', name: TYPES_NAME, ttlSeconds: OTHER_TTL_SECONDS, flush: false, target: type },
    own: [
      { type: 'SRV', name: instance, ttlSeconds: HOST_TTL_SECONDS, flush: true, target: hostName, port },
      { type: 'TXT', name: instance, ttlSeconds: OTHER_TTL_SECONDS, flush: true, texts },
    ],
    addresses: all.map(({ family, address }) => (
      { type: family === 'IPv4' ? 'A' : 'AAAA', name: hostName, ttlSeconds: HOST_TTL_SECONDS, flush: true, address }
    )),
  }
}

/** Two records of one key say the same, whatever their TTL. */
export function recordKey (record: DnsRecord): string {
  return `${nameKey(record.name)} ${record.type} ${recordData(record).join()}`
}

/** Whether two records say the same; the case of names in their data does not count. */
export function sameRecord (left: DnsRecord, right: DnsRecord): boolean {
  if (left.type !== right.type || nameKey(left.name) !== nameKey(right.name)) return false
  if (left.type === 'PTR' && right.type === 'PTR') return nameKey(left.target) === nameKey(right.target)
  if (left.type === 'SRV' && right.type === 'SRV') return left.port === right.port && nameKey(left.target) === nameKey(right.target)
  return compareData(recordData(left), recordData(right)) === 0
}

/** Which of two probes wins (RFC 6762 section 8.2.1): positive if the left one, 0 if they are the same. */
export function compareProposals (left: readonly DnsRecord[], right: readonly DnsRecord[]): number {
  const [ours, theirs] = [left, right].map(records => [...records].sort(compareRecords)) as [DnsRecord[], DnsRecord[]]
  for (const [index, record] of ours.entries()) {
    const other = theirs[index]
    const order = other === undefined ? 1 : compareRecords(record, other)
    if (order !== 0) return order
  }
  return ours.length - theirs.length
}

const ORDER = { A: 1, PTR: 12, TXT: 16, AAAA: 28, SRV: 33 } as const

function compareRecords (left: DnsRecord, right: DnsRecord): number {
  return ORDER[left.type] - ORDER[right.type] || compareData(recordData(left), recordData(right))
}

function compareData (left: Uint8Array, right: Uint8Array): number {
  const length = Math.min(left.length, right.length)
  for (let at = 0; at < length; at++) {
    const order = (left[at] ?? 0) - (right[at] ?? 0)
    if (order !== 0) return order
  }
  return left.length - right.length
}
