import { readFileSync } from 'node:fs'
import { networkInterfaces } from 'node:os'
import process from 'node:process'
import type { Link } from '../link.ts'

/** IFF_MULTICAST of linux/if.h. */
const MULTICAST_FLAG = 0x1000

/** Every address of every interface that is up and supports multicast, and those of loopback. */
export function networkLinks (): Link[] {
  return Object.entries(networkInterfaces()).flatMap(([interfaceName, addresses = []]) => addresses
    .filter(({ internal }) => internal || canMulticast(interfaceName))
    .map(found => ({
      interfaceName,
      family: found.family,
      address: found.address,
      prefixLength: Number(found.cidr?.split('/')[1] ?? (found.family === 'IPv4' ? 32 : 128)),
      zone: found.family === 'IPv6' && process.platform === 'win32' ? String(found.scopeid) : interfaceName,
    })))
}

/** A WireGuard tunnel does not support multicast, and each question into it would be reported as a fault. Only Linux shows it. */
function canMulticast (interfaceName: string): boolean {
  if (process.platform !== 'linux') return true
  let flags: string
  try {
    flags = readFileSync(`/sys/class/net/${interfaceName}/flags`, 'utf8')
  } catch {
    // Sandboxes hide /sys; then the first question shows it.
    return true
  }
  return (Number(flags) & MULTICAST_FLAG) !== 0
}
