import { networkInterfaces } from 'node:os'
import process from 'node:process'
import type { Link } from '../link.ts'

/** Every address of every interface that is up now. */
export function networkLinks (): Link[] {
  return Object.entries(networkInterfaces()).flatMap(([interfaceName, addresses = []]) => addresses.map(found => ({
    interfaceName,
    family: found.family,
    address: found.address,
    prefixLength: Number(found.cidr?.split('/')[1] ?? (found.family === 'IPv4' ? 32 : 128)),
    zone: found.family === 'IPv6' && process.platform === 'win32' ? String(found.scopeid) : interfaceName,
  })))
}
