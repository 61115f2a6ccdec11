import { isIdPrefix } from '@filesync/protocol'
import type { Clock, FileSyncError } from '@filesync/protocol'
import { isOnLink, sameAddress } from './address.ts'
import type { Advertised } from './announce.ts'
import type { DatagramBus } from './datagram-bus.ts'
import { FaultReport } from './fault-report.ts'
import { linkKey } from './link.ts'
import type { Link } from './link.ts'
import type { FoundServer } from './offer-table.ts'
import { RateWindow } from './rate-window.ts'
import { readBus } from './read-bus.ts'
import type { Heard } from './reply-policy.ts'

/** RFC 6762 section 3. */
export const MDNS_GROUP_IPV4 = '224.0.0.251'
export const MDNS_GROUP_IPV6 = 'ff02::fb'
export const MDNS_PORT = 5353

/** One resource record, as far as DNS-SD needs it. */
export type DnsRecord =
  | { readonly type: 'PTR', readonly name: string, readonly ttlSeconds: number, readonly target: string }
  | { readonly type: 'SRV', readonly name: string, readonly ttlSeconds: number, readonly target: string, readonly port: number }
  | { readonly type: 'TXT', readonly name: string, readonly ttlSeconds: number, readonly texts: readonly string[] }
  | { readonly type: 'A' | 'AAAA', readonly name: string, readonly ttlSeconds: number, readonly address: string }

export interface DnsQuestion {
  readonly name: string
  readonly type: string
}

export interface DnsMessage {
  readonly kind: 'query' | 'response'
  readonly questions: readonly DnsQuestion[]
  /** Answers and additional records; records of other types are left out. */
  readonly answers: readonly DnsRecord[]
}

/** DNS messages as bytes (RFC 1035), as a port. */
export interface DnsCodec {
  encode (message: DnsMessage): Uint8Array
  /** Undefined where the bytes are none. */
  decode (bytes: Uint8Array): DnsMessage | undefined
}

const SERVICE_TYPE = '_filesync._tcp.local'
export const SERVICE_QUESTION: DnsQuestion = { name: SERVICE_TYPE, type: 'PTR' }
/** RFC 6762 section 10: records that name a host live for two minutes. */
const TTL_SECONDS = 120
/** RFC 6762 section 6: no record is multicast twice within a second. */
const ANSWER_INTERVAL_MS = 1_000

/** The records of a server on one link. They name nobody: the instance and the host are called after the id prefix. */
export function serviceRecords (advertised: Advertised, link: Link, ttlSeconds: number = TTL_SECONDS): DnsRecord[] {
  const label = advertised.idPrefix.toLowerCase()
  const instance = `${label}.${SERVICE_TYPE}`
  const host = `filesync-${label}.local`
  const texts = ['v=2', `id=${advertised.idPrefix}`, ...advertised.isPairing() ? ['pair=1'] : []]
  return [
    { type: 'PTR', name: SERVICE_TYPE, ttlSeconds, target: instance },
    { type: 'SRV', name: instance, ttlSeconds, target: host, port: advertised.tlsPort },
    { type: 'TXT', name: instance, ttlSeconds, texts },
    { type: link.family === 'IPv4' ? 'A' : 'AAAA', name: host, ttlSeconds, address: link.address },
  ]
}

/** A server in a response; `gone` if it says goodbye (RFC 6762 section 10.1). */
export interface HeardService {
  readonly server: FoundServer
  readonly gone: boolean
}

/**
 * The servers in a response. Only servers that announce themselves count: the sender must be on the link and have one of the
 * addresses of the service, so nobody can direct a client to a third machine.
 */
export function readService (heard: Heard, codec: DnsCodec): HeardService[] {
  const { source, link } = heard
  if (source.port !== MDNS_PORT || !isOnLink(source.address, link)) return []
  const message = codec.decode(heard.bytes)
  if (message?.kind !== 'response') return []
  return message.answers.flatMap(record => {
    if (record.type !== 'SRV' || !record.name.toLowerCase().endsWith(`.${SERVICE_TYPE}`)) return []
    const claims = message.answers.some(other => (other.type === 'A' || other.type === 'AAAA') &&
      other.name === record.target && sameAddress(other.address, source.address))
    const texts = message.answers.flatMap(other => other.type === 'TXT' && other.name === record.name ? other.texts : [])
    const idPrefix = texts.find(text => text.startsWith('id='))?.slice(3) ?? ''
    if (!claims || !texts.includes('v=2') || !isIdPrefix(idPrefix)) return []
    const pairing = texts.includes('pair=1')
    const server = { address: source.address, port: record.port, idPrefix, pairing, interfaceName: link.interfaceName }
    return [{ server, gone: record.ttlSeconds === 0 }]
  })
}

export interface AnnounceDnsSdInit extends Advertised {
  /** On the group of RFC 6762. Taken over, and closed at the end. */
  readonly bus: DatagramBus
  readonly codec: DnsCodec
  readonly clock: Clock
  readonly signal: AbortSignal
  readonly onProblem?: ((error: FileSyncError) => void) | undefined
}

/**
 * Announces a server by DNS-SD (RFC 6763) over multicast DNS: when a link comes up, and in answers to the group, at most once a
 * second; says goodbye when the signal is aborted. Does not probe for its name, which no other server has. Questions from other
 * ports than that of multicast DNS are not answered: the answer would be unicast, and could be reflected to a third machine.
 */
export async function announceDnsSd (init: AnnounceDnsSdInit): Promise<void> {
  const { bus, clock, codec, signal } = init
  const faults = new FaultReport(init.onProblem)
  const answered = new Map<string, RateWindow>()
  const send = (link: Link, ttlSeconds?: number): Promise<void> => {
    const response = codec.encode({ kind: 'response', questions: [], answers: serviceRecords(init, link, ttlSeconds) })
    return bus.send(response, link)
  }
  const sendLimited = (link: Link): void => {
    const window = answered.get(linkKey(link)) ?? new RateWindow(1, ANSWER_INTERVAL_MS)
    answered.set(linkKey(link), window)
    if (window.room(clock.monotonicMs()) <= 0) return
    window.note(clock.monotonicMs())
    faults.watch(link, send(link))
  }
  // RFC 6762 section 8.3: two announcements, a second apart, because one may be lost.
  const repeats = new Set<() => void>()
  const sendTwice = (link: Link): void => {
    sendLimited(link)
    const cancel = clock.schedule(ANSWER_INTERVAL_MS, () => {
      repeats.delete(cancel)
      if (bus.links.some(other => linkKey(other) === linkKey(link))) sendLimited(link)
    })
    repeats.add(cancel)
  }
  const ended = new AbortController()
  const sayGoodbye = (): void => {
    void Promise.allSettled(bus.links.map(link => send(link, 0))).then(() => { ended.abort() })
  }
  if (signal.aborted) sayGoodbye()
  else signal.addEventListener('abort', sayGoodbye, { once: true })
  try {
    await readBus(bus, ended.signal, event => {
      faults.note(event)
      if (event.kind === 'up') sendTwice(event.link)
      if (event.kind === 'down') answered.delete(linkKey(event.link))
      if (event.kind === 'datagram' && asksForService(event, codec)) sendLimited(event.link)
    })
  } finally {
    signal.removeEventListener('abort', sayGoodbye)
    for (const cancel of repeats) cancel()
  }
}

function asksForService (heard: Heard, codec: DnsCodec): boolean {
  if (heard.source.port !== MDNS_PORT || !isOnLink(heard.source.address, heard.link)) return false
  const message = codec.decode(heard.bytes)
  if (message?.kind !== 'query') return false
  return message.questions.some(({ name, type }) => (type === 'PTR' || type === 'ANY') && name.toLowerCase() === SERVICE_TYPE)
}
