import { errnoOf, FileSyncError } from '@filesync/protocol'
import { describeLink } from '../link.ts'
import type { Link } from '../link.ts'
import type { Group } from './link-socket.ts'

const TOO_MANY_GROUPS = 'the system cannot join another group; "sysctl net.ipv4.igmp_max_memberships" shows the limit'

/** What an error code of the system means, and what to do about it. */
const REASONS: Readonly<Record<string, (group: Group, link: Link) => string>> = {
  EPERM: forbidden,
  EACCES: forbidden,
  ENETUNREACH: (_, { family, interfaceName }) => `there is no route for multicast; "${family === 'IPv6'
    ? `ip -6 route add multicast ff00::/8 dev ${interfaceName} table local`
    : `ip route add 224.0.0.0/4 dev ${interfaceName}`}" adds one`,
  EHOSTUNREACH: () => 'there is no route to the asker',
  ENETDOWN: () => 'the interface is down',
  EADDRINUSE: ({ port }) =>
    `another program holds the port for itself; stop it ("ss -ulnp sport = ${port}" names it), or name the server by its address`,
  EADDRNOTAVAIL: () => 'the address is not usable yet, or no longer; it is tried again',
  ENODEV: (_, { interfaceName }) => `the interface does not support multicast; "ip link set ${interfaceName} multicast on" may help`,
  ENOBUFS: () => TOO_MANY_GROUPS,
  ENOPROTOOPT: () => TOO_MANY_GROUPS,
}

function forbidden ({ IPv4, port }: Group): string {
  return `a firewall on this machine forbids it; allow UDP in and out on port ${port} for the group ${IPv4}`
}

/** What failed with a group over a link; `doing` is the verb after "cannot". */
export interface Attempt {
  readonly group: Group
  readonly doing: string
  readonly link: Link
}

/** Explains an error of the system. */
export function socketFault ({ group, doing, link }: Attempt, cause: unknown): FileSyncError {
  const code = errnoOf(cause)
  const why = REASONS[code]?.(group, link) ?? (cause instanceof Error ? cause.message : String(cause))
  const message = `${group.name} cannot ${doing} ${describeLink(link)}: ${why}${code === '' ? '' : ` (${code})`}.`
  return new FileSyncError('DISCOVERY_UNAVAILABLE', message, { cause })
}
