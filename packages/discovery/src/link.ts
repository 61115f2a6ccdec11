import { isLoopback, sameAddress } from './address.ts'

/** One address of one network interface: what a datagram is heard on, or leaves from. */
export interface Link {
  readonly interfaceName: string
  readonly family: 'IPv4' | 'IPv6'
  /** Without a zone. */
  readonly address: string
  /** Bits of the address that name the subnet. */
  readonly prefixLength: number
  /** The part after `%` in a link-local IPv6 address of this interface. */
  readonly zone: string
}

/** Which links may be used; all by default. */
export interface LinkChoice {
  /** Names of interfaces. */
  readonly interfaces?: readonly string[] | undefined
  /** The address that the server listens on; `0.0.0.0` means all of IPv4, `::` all. */
  readonly bind?: string | undefined
}

/** Two links of the same key are the same link. */
export function linkKey (link: Link): string {
  return `${link.interfaceName} ${link.address}/${link.prefixLength}`
}

/**
 * The links that discovery works over: all of IPv4, and of IPv6 the link-local ones, because the group is link-local.
 * IPv6 is left out on loopback, where IPv4 does the same and no route for multicast exists.
 */
export function chooseLinks (links: readonly Link[], choice: LinkChoice): Link[] {
  const { interfaces, bind } = choice
  return links.filter(link => {
    if (interfaces !== undefined && !interfaces.includes(link.interfaceName)) return false
    if (link.family === 'IPv6' && !/^fe[89ab]/iu.test(link.address)) return false
    if (bind === undefined || sameAddress(bind, '::')) return true
    if (sameAddress(bind, '0.0.0.0')) return link.family === 'IPv4'
    return sameAddress(bind, link.address)
  })
}

/** For people: `eth0 (192.168.1.5/24)`. */
export function describeLink (link: Link): string {
  return `${link.interfaceName} (${link.address}/${link.prefixLength})`
}

export function isLoopbackLink (link: Link): boolean {
  return isLoopback(link.address)
}
