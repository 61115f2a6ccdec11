import type { RecordCache } from './record-cache.ts'
import { readInstance } from './service-type.ts'
import { readTxt } from './txt.ts'
import type { ServiceProperties } from './txt.ts'

/** A service of the local network. Nothing here is proven: any machine of the network can announce anything. */
export interface Service extends ServiceProperties {
  /** As its owner named it, for example `Printer, 2nd floor`. */
  readonly name: string
  /** `_ipp._tcp` */
  readonly type: string
  /** The name of its host: `printer.local`. */
  readonly host: string
  readonly port: number
  /** Where it can be reached, at least one, IPv4 first; a link-local IPv6 address carries its zone: `fe80::1%eth0`. */
  readonly addresses: readonly string[]
  /** The interface of this machine that it was heard on. A service that is heard on two is found twice. */
  readonly interfaceName: string
}

export interface Place {
  /** `_ipp._tcp` */
  readonly type: string
  readonly interfaceName: string
  /** Of the interface, in link-local addresses. */
  readonly zone: string
}

/** What is missing of a service, as questions. */
export interface Missing {
  readonly missing: readonly { readonly name: string, readonly type: string }[]
}

/**
 * The service of an instance, from the records of one interface. `isPatient` while a TXT record may still come: each service
 * has one, even if it is empty (RFC 6763 section 6.1), but not all software knows.
 */
export function readService (
  instance: string, cache: RecordCache, { place, isPatient }: { readonly place: Place, readonly isPatient: boolean },
): Service | Missing | undefined {
  const name = readInstance(instance, `${place.type}.local`)
  if (name === undefined || !cache.lists(`${place.type}.local`, instance)) return undefined
  const srv = cache.get(instance, 'SRV')[0]?.record
  const txt = cache.get(instance, 'TXT')[0]?.record
  const lacks = [...srv === undefined ? ['SRV'] : [], ...txt === undefined ? ['TXT'] : []].map(type => ({ name: instance, type }))
  if (srv?.type !== 'SRV') return { missing: lacks }
  const addresses = [...addressesOf(srv.target, 'A', { cache, place }), ...addressesOf(srv.target, 'AAAA', { cache, place })]
  if (addresses.length === 0) return { missing: [...lacks, ...['A', 'AAAA'].map(type => ({ name: srv.target, type }))] }
  if (txt === undefined && isPatient) return { missing: lacks }
  return {
    name, type: place.type, host: srv.target, port: srv.port, addresses, interfaceName: place.interfaceName,
    ...readTxt(txt?.type === 'TXT' ? txt.texts : []),
  }
}

function addressesOf (
  host: string, type: 'A' | 'AAAA', { cache, place }: { readonly cache: RecordCache, readonly place: Place },
): string[] {
  return cache.get(host, type)
    .flatMap(({ record }) => record.type === 'A' || record.type === 'AAAA' ? [record.address] : [])
    .map(address => /^fe[89ab]/iu.test(address) ? `${address}%${place.zone}` : address)
    .sort()
}

/** Equal for services that are the same in every property. */
export function serviceText ({ txtBytes, ...rest }: Service): string {
  return JSON.stringify([rest, Object.entries(txtBytes).map(([key, value]) => [key, value.join()])])
}
