import { FileSyncError } from '@filesync/protocol'
import { describeLink } from '../link.ts'
import type { Link } from '../link.ts'

/** The system's error codes in the words of somebody who has to do something about it. */
const REASONS: Readonly<Record<string, string>> = {
  EPERM: 'a firewall on this machine forbids it; allow UDP in and out on port 9999 for the group 224.1.1.1',
  EACCES: 'the system or a firewall on this machine forbids it; allow UDP in and out on port 9999 for the group 224.1.1.1',
  ENETUNREACH: 'there is no route for multicast; "ip route add 224.0.0.0/4 dev INTERFACE" adds one',
  EHOSTUNREACH: 'there is no route to the asker',
  ENETDOWN: 'the interface is down',
  EADDRINUSE: 'another program holds the port for itself; stop it, or name the server by its address',
  EADDRNOTAVAIL: 'the address is not usable yet, or no more; it is tried again',
  ENODEV: 'the interface cannot do multicast; "ip link set INTERFACE multicast on" may help',
  ENOBUFS: 'the system has no room for another group; "sysctl net.ipv4.igmp_max_memberships" is the limit',
  ENOPROTOOPT: 'the system has no room for another group; "sysctl net.ipv4.igmp_max_memberships" is the limit',
}

/** @param doing what was tried, to stand behind "Discovery cannot" */
export function socketFault (doing: string, link: Link, cause: unknown): FileSyncError {
  const code = errorCode(cause)
  const why = REASONS[code] ?? (cause instanceof Error ? cause.message : String(cause))
  return new FileSyncError('DISCOVERY_UNAVAILABLE', `Discovery cannot ${doing} ${describeLink(link)}: ${why}${code === '' ? '' : ` (${code})`}.`, { cause })
}

export function errorCode (error: unknown): string {
  return error instanceof Error && 'code' in error && typeof error.code === 'string' ? error.code : ''
}
