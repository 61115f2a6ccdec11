import type { TLSSocket } from 'node:tls'
import { FileSyncError, openConnection } from '@filesync/protocol'
import type { ALPN_PAIR, ALPN_SYNC, Clock, Connection } from '@filesync/protocol'
import { remoteAddressOf, socketStream } from '@filesync/protocol/node'
import type { DeviceId } from '../device-id.ts'
import type { PairingChannel } from '../pairing.ts'
import { keyId } from './identity.ts'
import type { Identity } from './identity.ts'

declare const proven: unique symbol

/** The purpose of a connection, negotiated by ALPN. */
export type Purpose = typeof ALPN_SYNC | typeof ALPN_PAIR

/** A socket whose peer has proven a key. Only {@link authenticatePeer} creates one, and connections are only created from one. */
export interface AuthenticatedSocket {
  readonly [proven]: true
  readonly socket: TLSSocket
  readonly peerId: DeviceId
  readonly purpose: Purpose
}

/** A connection whose peer has proven its identity. Whether the peer is paired is checked separately. */
export interface Channel extends PairingChannel {
  readonly connection: Connection
  readonly peerId: DeviceId
  readonly purpose: Purpose
  readonly remoteAddress: string
  readonly remotePort: number
}

export interface ChannelInit {
  readonly identity: Identity
  readonly end: 'client' | 'server'
  readonly clock: Clock
  readonly signal?: AbortSignal
  readonly idleTimeoutMs?: number | undefined
}

/**
 * TLS 1.3 only, and no certificate authority, because each end pins the other's key. `rejectUnauthorized` is off because the
 * certificates are self-signed; {@link authenticatePeer} replaces it. OpenSSL verifies the proof of the key in any case.
 */
export const TLS_PROFILE = {
  minVersion: 'TLSv1.3',
  maxVersion: 'TLSv1.3',
  rejectUnauthorized: false,
  ciphers: 'TLS_AES_128_GCM_SHA256:TLS_AES_256_GCM_SHA384:TLS_CHACHA20_POLY1305_SHA256',
  highWaterMark: 262_144,
} as const

const EXPORTER_LABEL = 'EXPORTER-filesync-pair-v1'
const EXPORTER_BYTES = 32

/**
 * Checks a socket after its handshake. Refuses an older TLS version, a peer without an ALPN protocol (which TLS itself
 * accepts), and a peer without a certificate. Throws PEER_UNPROVEN.
 */
export function authenticatePeer (socket: TLSSocket, purposes: readonly Purpose[]): AuthenticatedSocket {
  if (socket.getProtocol() !== 'TLSv1.3') throw unproven('it does not use TLS 1.3')
  const purpose = purposes.find(candidate => candidate === socket.alpnProtocol)
  if (purpose === undefined) throw unproven('it did not negotiate a FileSync protocol (ALPN)')
  const certificate = socket.getPeerX509Certificate()
  if (certificate === undefined) throw unproven('it sent no certificate')
  return { socket, peerId: keyId(certificate.publicKey), purpose } as AuthenticatedSocket
}

/** Opens a connection over an authenticated socket, and takes ownership of the socket. */
export function openChannel (authenticated: AuthenticatedSocket, init: ChannelInit): Channel {
  const { socket, peerId, purpose } = authenticated
  const isClient = init.end === 'client'
  const { remotePort = 0 } = socket
  const exporter = socket.exportKeyingMaterial(EXPORTER_BYTES, EXPORTER_LABEL, Buffer.alloc(0))
  socket.setNoDelay(true)
  const connection = openConnection({
    stream: socketStream(allowHalfClose(socket)),
    clock: init.clock,
    ...(init.signal !== undefined && { signal: init.signal }),
    ...(init.idleTimeoutMs !== undefined && { idleTimeoutMs: init.idleTimeoutMs }),
  })
  return {
    connection, peerId, purpose, remotePort, exporter, remoteAddress: remoteAddressOf(socket),
    clientId: isClient ? init.identity.id : peerId,
    serverId: isClient ? peerId : init.identity.id,
  }
}

/** Lets each direction end separately from now on, as a byte stream requires. During the handshake, one end closes both. */
export function allowHalfClose (socket: TLSSocket): TLSSocket {
  socket.allowHalfOpen = true
  return socket
}

function unproven (why: string): FileSyncError {
  return new FileSyncError('PEER_UNPROVEN', `The other end did not prove its identity: ${why}.`)
}
