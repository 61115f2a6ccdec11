import type { Socket } from 'node:net'

/** Where a socket leads; an IPv4 address in its own form, also on a socket for both families. Empty once it is closed. */
export function remoteAddressOf (socket: Socket): string {
  return (socket.remoteAddress ?? '').replace(/^::ffff:(?=[\d.]+$)/u, '')
}
