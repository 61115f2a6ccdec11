import { createSocket } from 'node:dgram'
import type { RemoteInfo, Socket } from 'node:dgram'
import process from 'node:process'
import type { Link } from '../link.ts'

/** A multicast group of both families, and how to meet there. */
export interface Group {
  /** For a person. */
  readonly name: string
  readonly IPv4: string
  readonly IPv6: string
  readonly port: number
  /** How many routers a datagram may pass, plus one. */
  readonly ttl: number
}

export interface LinkSocketInit {
  readonly group: Group
  readonly link: Link
  /** `listen`: hears the group, on its port. `ask`: hears only what is sent to it, on a port of its own. */
  readonly role: 'listen' | 'ask'
  readonly onMessage: (bytes: Uint8Array, remote: RemoteInfo) => void
}

/** A socket that sends to the group out of this link only. Rejects with the system's error. */
export async function openLinkSocket (init: LinkSocketInit): Promise<Socket> {
  const { group, link, role } = init
  const v6 = link.family === 'IPv6'
  const socket = createSocket({ type: v6 ? 'udp6' : 'udp4', reuseAddr: role === 'listen', ipv6Only: v6 })
  try {
    await new Promise<void>((resolve, reject) => {
      socket.once('error', reject)
      socket.bind(role === 'listen' ? group.port : 0, bindAddress(init), () => {
        socket.off('error', reject)
        resolve()
      })
    })
    const outgoing = v6 ? `::%${link.zone}` : link.address
    socket.setMulticastInterface(outgoing)
    socket.setMulticastTTL(group.ttl)
    socket.setTTL(group.ttl)
    // Two programs of one machine find each other by this.
    socket.setMulticastLoopback(true)
    if (role === 'listen') socket.addMembership(group[link.family], outgoing)
    socket.on('message', init.onMessage)
    return socket
  } catch (error) {
    socket.close()
    throw error
  }
}

/** Where on a link a datagram for the group goes to. */
export function groupAddress (group: Group, link: Link): string {
  return link.family === 'IPv6' ? `${group.IPv6}%${link.zone}` : group.IPv4
}

/**
 * A listener that is bound to the group hears nothing that was sent to this machine alone, so nobody can probe it from
 * another subnet. Windows does not allow that, but hears the group on the interface whose address it is bound to.
 */
function bindAddress ({ group, link, role }: LinkSocketInit): string {
  if (role === 'listen' && process.platform !== 'win32') return groupAddress(group, link)
  return link.family === 'IPv6' ? `${link.address}%${link.zone}` : link.address
}
