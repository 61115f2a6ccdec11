import type { Socket } from 'node:net'

/** The remote address of a socket; IPv4 addresses are never in IPv6-mapped form. Empty after the socket is closed. */
export function remoteAddressOf (socket: Socket): string {
  return (socket.remoteAddress ?? '').replace(/^::ffff:(?=[\d.]+$)/u, '')
}
