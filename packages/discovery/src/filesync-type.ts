import { isIdPrefix } from '@filesync/protocol'
import type { Clock, FileSyncError } from '@filesync/protocol'
import { isOnLink, sameAddress } from './address.ts'
import type { Advertised } from './announce.ts'
import type { DatagramBus } from './datagram-bus.ts'
import type { FoundServer } from './offer-table.ts'
import type { Heard } from './reply-policy.ts'
import { ServiceAnnouncer } from './dns-sd/announcer.ts'
import { decodeMessage, encodeMessage } from './dns-sd/dns-message.ts'
import { nameKey } from './dns-sd/domain-name.ts'
import type { AnnouncedService } from './dns-sd/service-records.ts'
import { txtItems } from './dns-sd/txt.ts'

/** RFC 6762 section 3. */
export const MDNS_GROUP_IPV4 = '224.0.0.251'
export const MDNS_GROUP_IPV6 = 'ff02::fb'
export const MDNS_PORT = 5353

const SERVICE_TYPE = '_filesync._tcp.local'

/** Asks for FileSync servers. */
export function serverQuestion (): Uint8Array {
  return encodeMessage({ kind: 'query', questions: [{ name: SERVICE_TYPE, type: 'PTR' }], answers: [] })
}

/** A server as a service. It names nobody: the instance and the host are called after the id prefix. */
export function serverService (advertised: Advertised): AnnouncedService {
  const label = advertised.idPrefix.toLowerCase()
  const texts = txtItems({ v: '2', id: advertised.idPrefix, ...advertised.isPairing() && { pair: '1' } }, 'txt')
  return { type: SERVICE_TYPE, name: label, host: `filesync-${label}`, port: advertised.tlsPort, texts }
}

/** A server in a response; `gone` if it says goodbye (RFC 6762 section 10.1). */
export interface HeardServer {
  readonly server: FoundServer
  readonly gone: boolean
}

/**
 * The servers in a response. Only servers that announce themselves count: the sender must be on the link and have one of the
 * addresses of the service, so nobody can direct a client to a third machine.
 */
export function readServers (heard: Heard): HeardServer[] {
  const { source, link } = heard
  if (source.port !== MDNS_PORT || !isOnLink(source.address, link)) return []
  const message = decodeMessage(heard.bytes)
  if (message?.kind !== 'response') return []
  const records = [...message.answers, ...message.additionals ?? []]
  const decoder = new TextDecoder()
  return records.flatMap(record => {
    if (record.type !== 'SRV' || !nameKey(record.name).endsWith(`.${SERVICE_TYPE}`)) return []
    const claims = records.some(other => (other.type === 'A' || other.type === 'AAAA') &&
      other.name === record.target && sameAddress(other.address, source.address))
    const texts = records.flatMap(other => other.type === 'TXT' && other.name === record.name ? other.texts : [])
      .map(text => decoder.decode(text))
    const idPrefix = texts.find(text => text.startsWith('id='))?.slice(3) ?? ''
    if (!claims || !texts.includes('v=2') || !isIdPrefix(idPrefix)) return []
    const pairing = texts.includes('pair=1')
    const server = { address: source.address, port: record.port, idPrefix, pairing, interfaceName: link.interfaceName }
    return [{ server, gone: record.ttlSeconds === 0 }]
  })
}

export interface AnnounceDnsSdInit extends Advertised {
  /** On the group of RFC 6762. Owned, and closed at the end. */
  readonly bus: DatagramBus
  readonly clock: Clock
  /** From 0 up to 1. */
  readonly random: () => number
  readonly signal: AbortSignal
  readonly onProblem?: ((error: FileSyncError) => void) | undefined
}

/**
 * Announces a server by DNS-SD (RFC 6763) over multicast DNS until the signal is aborted. Does not probe for its name, which no
 * other server has: it contains the id prefix.
 */
export async function announceDnsSd (init: AnnounceDnsSdInit): Promise<void> {
  const { bus, clock, random, signal, onProblem } = init
  await new ServiceAnnouncer({
    bus, clock, random, signal, onProblem, groupPort: MDNS_PORT, probes: false, service: () => serverService(init),
  }).run()
}
