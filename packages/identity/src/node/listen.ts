import { createServer } from 'node:net'
import type { AddressInfo, Server, Socket } from 'node:net'
import { createServer as createTlsServer } from 'node:tls'
import type { TLSSocket } from 'node:tls'
import { ALPN_PAIR, ALPN_SYNC, asFileSyncError, errnoOf, FileSyncError } from '@filesync/protocol'
import type { Clock } from '@filesync/protocol'
import { remoteAddressOf } from '@filesync/protocol/node'
import type { DeviceId } from '../device-id.ts'
import type { Peer } from '../peer-book.ts'
import { RefusalLimit } from '../refusal-limit.ts'
import type { LeftOut } from '../refusal-limit.ts'
import { authenticatePeer, openChannel, TLS_PROFILE } from './authenticated-socket.ts'
import type { Channel, Purpose } from './authenticated-socket.ts'
import type { Identity } from './identity.ts'
import { OpenSockets } from './open-sockets.ts'

export interface ListenLimits {
  /** From the first packet until the peer is known to be paired, or has named pairing as its purpose. */
  readonly handshakeTimeoutMs: number
  /** A whole pairing. */
  readonly pairingTimeoutMs: number
  /** Connections of one address that are not known to belong to a paired peer; the oldest goes for a new one. */
  readonly strangersPerAddress: number
  /** The same, in all. */
  readonly strangers: number
  /** Silence after which a connection is over; the protocol's own limit unless told. */
  readonly idleTimeoutMs?: number | undefined
}

export const LISTEN_LIMITS: ListenLimits = {
  handshakeTimeoutMs: 5_000,
  pairingTimeoutMs: 30_000,
  strangersPerAddress: 16,
  strangers: 128,
}

/** How a handshake ends that the other end left: it looked whether somebody listens, or was faster by another address. */
const LEFT: ReadonlySet<string> = new Set(['ECONNRESET', 'EPIPE', 'ECONNABORTED'])

/** A connection that came to nothing. */
export interface Refusal {
  readonly remoteAddress: string
  readonly error: FileSyncError
  /** Where it got as far as proving a key. */
  readonly peerId?: DeviceId | undefined
  readonly purpose?: Purpose | undefined
  /** How many of this address before this one were not told, because there were too many at once. */
  readonly dropped: number
}

export interface ListenInit {
  readonly identity: Identity
  /** 0 lets the system choose. */
  readonly port: number
  /** The address to listen on; all unless told. */
  readonly bind?: string | undefined
  readonly clock: Clock
  /** Stops listening and ends all connections. */
  readonly signal: AbortSignal
  readonly limits?: Partial<ListenLimits>
  /** The peer of a proven identity; rejects with NOT_PAIRED where there is none. PeerBook is one. */
  readonly peers: { judge (id: DeviceId, address: string): Promise<Peer> }
  /** Serves one session of a paired peer, and logs it. What it rejects with is told to the peer as far as that concerns it. */
  readonly onSync: (channel: Channel, peer: Peer) => Promise<void>
  /** Serves one pairing. */
  readonly onPair: (channel: Channel) => Promise<void>
  /**
   * Told of connections that came to nothing before a session, and of pairings that failed on this side; of many at once
   * from one address only of some, so that nobody can flood a log.
   */
  readonly onRefused: (refusal: Refusal) => void
  /** Told of how many were left out, where no later one of that address told it. */
  readonly onLeftOut?: (leftOut: LeftOut) => void
  /** Told of each of them, for a count. */
  readonly onEachRefused?: (error: FileSyncError) => void
}

export interface Listener {
  readonly port: number
  /** Ends every session of a peer, with the error as the reason that it hears. For a revocation. */
  endSessions (peer: DeviceId, error: FileSyncError): Promise<void>
  /** TCP connections that are open, whatever their state. */
  connectionCount (): Promise<number>
  /** Stops listening, says goodbye to all peers, and resolves when every connection is over. */
  close (): Promise<void>
}

/** Listens for peers. Each connection is proven and judged before a handler sees it. Throws PORT_UNAVAILABLE. */
export async function listenTls (init: ListenInit): Promise<Listener> {
  const listener = new TlsListener(init)
  await listener.start()
  return listener
}

class TlsListener implements Listener {
  readonly #init: ListenInit
  readonly #limits: ListenLimits
  readonly #server: Server
  readonly #refusals: RefusalLimit
  readonly #sockets: OpenSockets
  readonly #channels = new Set<Channel>()
  readonly #ended = new Set<Promise<void>>()
  port = 0
  readonly #stop = (): void => { void this.close() }

  constructor (init: ListenInit) {
    this.#init = init
    this.#limits = { ...LISTEN_LIMITS, ...init.limits }
    this.#sockets = new OpenSockets({
      ...this.#limits, clock: init.clock, onCut: (remoteAddress, error) => { this.#refuse({ remoteAddress, error }) },
    })
    this.#refusals = new RefusalLimit({ clock: init.clock, onLeftOut: leftOut => { init.onLeftOut?.(leftOut) } })
    const secure = createTlsServer({
      ...TLS_PROFILE,
      key: init.identity.privateKey,
      cert: init.identity.certificate,
      requestCert: true,
      honorCipherOrder: false,
      ALPNProtocols: [ALPN_SYNC, ALPN_PAIR],
    })
    // Node leaves the TCP connection open after a handshake that failed.
    secure.on('tlsClientError', (cause, socket) => { this.#refuseHandshake(cause, socket) })
    secure.on('secureConnection', socket => { this.#track(this.#serve(socket)) })
    this.#server = createServer({ highWaterMark: TLS_PROFILE.highWaterMark }, socket => {
      this.#sockets.receive(socket)
      if (!socket.destroyed) secure.emit('connection', socket)
    })
  }

  async start (): Promise<void> {
    const { signal, port, bind } = this.#init
    signal.throwIfAborted()
    await new Promise<void>((resolve, reject) => {
      this.#server.once('error', error => { reject(portUnavailable(port, error)) })
      this.#server.listen({ port, ...(bind !== undefined && { host: bind }) }, resolve)
    })
    this.port = (this.#server.address() as AddressInfo).port
    // Such as no more file descriptors: one connection fails, and the server has to go on.
    this.#server.on('error', error => { this.#refuse({ remoteAddress: '', error: asFileSyncError(error) }) })
    signal.addEventListener('abort', this.#stop, { once: true })
  }

  async endSessions (peer: DeviceId, error: FileSyncError): Promise<void> {
    await Promise.all([...this.#channels].filter(channel => channel.peerId === peer).map(async channel => { await channel.connection.close(error) }))
  }

  async connectionCount (): Promise<number> {
    return await new Promise((resolve, reject) => {
      this.#server.getConnections((error, count) => { if (error === null) resolve(count); else reject(error) })
    })
  }

  async close (): Promise<void> {
    this.#init.signal.removeEventListener('abort', this.#stop)
    const closed = new Promise<void>(resolve => { this.#server.close(() => { resolve() }) })
    const stopping = new FileSyncError('SERVER_STOPPING', 'The server is stopping. Try again later.')
    await Promise.all([...this.#channels].map(async ({ connection }) => { await connection.close(stopping) }))
    this.#sockets.destroyAll()
    await Promise.all(this.#ended)
    this.#refusals.sumUp()
    await closed
  }

  #refuseHandshake (cause: Error, socket: TLSSocket): void {
    const remoteAddress = remoteAddressOf(socket)
    socket.destroy()
    // What was ended on this side was told there, while its address was known.
    if (remoteAddress === '' || LEFT.has(errnoOf(cause))) return
    this.#refuse({ remoteAddress, error: new FileSyncError('PEER_UNPROVEN', `The TLS handshake failed (${cause.message}).`, { cause }) })
  }

  async #serve (socket: TLSSocket): Promise<void> {
    socket.on('error', () => { /* told by the stream, or nobody is left to be told */ })
    const channel = this.#prove(socket)
    if (channel === undefined) return
    this.#channels.add(channel)
    try {
      await this.#hand(channel)
      await channel.connection.close()
    } catch (error) {
      await channel.connection.close(error)
    } finally {
      this.#channels.delete(channel)
    }
  }

  #refuse (refusal: Omit<Refusal, 'dropped'>): void {
    this.#init.onEachRefused?.(refusal.error)
    const dropped = this.#refusals.take(refusal.remoteAddress)
    if (dropped !== undefined) this.#init.onRefused({ ...refusal, dropped })
  }

  #prove (socket: TLSSocket): Channel | undefined {
    const { identity, clock } = this.#init
    const remoteAddress = remoteAddressOf(socket)
    try {
      const authenticated = authenticatePeer(socket, [ALPN_SYNC, ALPN_PAIR])
      return openChannel(authenticated, { identity, end: 'server', clock, idleTimeoutMs: this.#limits.idleTimeoutMs })
    } catch (error) {
      // Also a peer that was gone the moment it had arrived.
      socket.destroy()
      if (remoteAddress !== '') this.#refuse({ remoteAddress, error: asFileSyncError(error, 'PEER_UNPROVEN') })
      return undefined
    }
  }

  async #hand (channel: Channel): Promise<void> {
    const socket = this.#sockets.at(channel.remoteAddress, channel.remotePort)
    // The doctor of this very server looks who answers here.
    if (channel.peerId === this.#init.identity.id) return
    if (channel.purpose === ALPN_SYNC) {
      const peer = await this.#orRefused(channel, this.#init.peers.judge(channel.peerId, channel.remoteAddress))
      this.#sockets.acquit(socket)
      await this.#init.onSync(channel, peer)
    } else {
      await this.#orRefused(channel, this.#pair(channel, socket))
    }
  }

  async #orRefused <T>({ remoteAddress, peerId, purpose }: Channel, work: Promise<T>): Promise<T> {
    try {
      return await work
    } catch (error) {
      this.#refuse({ remoteAddress, error: asFileSyncError(error), peerId, purpose })
      throw error
    }
  }

  // It stays a stranger, so a newcomer can push it out, but it gets more time: a small machine computes for a while.
  async #pair (channel: Channel, socket: Socket | undefined): Promise<void> {
    this.#sockets.lift(socket)
    const cancel = this.#init.clock.schedule(this.#limits.pairingTimeoutMs, () => {
      void channel.connection.close(new FileSyncError('PEER_TIMEOUT', 'The pairing took too long.'))
    })
    try {
      await this.#init.onPair(channel)
    } finally {
      cancel()
    }
  }

  #track (work: Promise<void>): void {
    this.#ended.add(work)
    void work.finally(() => { this.#ended.delete(work) })
  }
}

function portUnavailable (port: number, cause: Error): FileSyncError {
  return new FileSyncError('PORT_UNAVAILABLE', `Port ${String(port)} cannot be listened on: ${cause.message}. ` +
    'Choose another one with --port, or 0 for any that is free.', { cause })
}
