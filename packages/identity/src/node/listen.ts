import { createServer } from 'node:net'
import type { AddressInfo, Server, Socket } from 'node:net'
import { createServer as createTlsServer } from 'node:tls'
import type { TLSSocket } from 'node:tls'
import { ALPN_PAIR, ALPN_SYNC, asFileSyncError, errnoOf, FileSyncError } from '@filesync/protocol'
import type { Clock } from '@filesync/protocol'
import { remoteAddressOf } from '@filesync/protocol/node'
import type { DeviceId } from '../device-id.ts'
import type { Peer } from '../peer.ts'
import { RefusalLimit } from '../refusal-limit.ts'
import type { SuppressedRefusals } from '../refusal-limit.ts'
import { authenticatePeer, openChannel, TLS_PROFILE } from './authenticated-socket.ts'
import type { Channel, Purpose } from './authenticated-socket.ts'
import type { Identity } from './identity.ts'
import type { HandshakeLimits } from '../handshake-slots.ts'
import { OpenSockets } from './open-sockets.ts'

/** A connection holds its slot until it is known to belong to a paired peer, or is closed. */
export interface ListenLimits extends HandshakeLimits {
  /** For the first message of a client, and from the beginning of its handshake until it is known to be paired, or to come to pair. */
  readonly handshakeTimeoutMs: number
  /** How long a connection keeps one of several slots of its address while another address waits for its first. */
  readonly contestedMs: number
  /** For a whole pairing. */
  readonly pairingTimeoutMs: number
  /** Silence after which a connection is closed; the limit of the protocol by default. */
  readonly idleTimeoutMs?: number | undefined
}

export const LISTEN_LIMITS: ListenLimits = {
  handshakeTimeoutMs: 10_000,
  contestedMs: 1_000,
  pairingTimeoutMs: 30_000,
  handshakes: 256,
  handshakesPerAddress: 128,
  handshakesOfStrangers: 192,
  waiting: 1_024,
}

/** How many connections the system may hold until this process accepts them; it limits that itself, often to 4096. */
const BACKLOG = 4_096

/** Errors of a handshake that the client gave up: it only checked the port, or connected faster by another address. */
const ABANDONED: ReadonlySet<string> = new Set(['ECONNRESET', 'EPIPE', 'ECONNABORTED'])

/** A connection that was refused before a session. */
export interface RefusedConnection {
  readonly remoteAddress: string
  readonly error: FileSyncError
  /** If it has proven a key. */
  readonly peerId?: DeviceId | undefined
  readonly purpose?: Purpose | undefined
  /** How many refusals for this address were suppressed before this one, because there were too many. */
  readonly dropped: number
}

export interface ListenInit {
  readonly identity: Identity
  /** 0 lets the system choose. */
  readonly port: number
  /** The address to listen on; all by default. */
  readonly bind?: string | undefined
  readonly clock: Clock
  /** Stops listening and ends all connections when it is aborted. */
  readonly signal: AbortSignal
  readonly limits?: Partial<ListenLimits>
  /** Returns the peer with a proven identity, or rejects with NOT_PAIRED. PeerBook implements it. */
  readonly peers: { authorize (id: DeviceId, address: string): Promise<Peer> }
  /** Addresses from which paired peers have come before. While many connections wait, they go before others; none by default. */
  readonly knownAddresses?: readonly string[]
  /** Serves one session of a paired peer. If it rejects, the connection is closed with that error. */
  readonly onSync: (channel: Channel, peer: Peer) => Promise<void>
  /** Serves one pairing. */
  readonly onPair: (channel: Channel) => Promise<void>
  /**
   * Called for connections that were refused before a session, and for pairings that failed on this side. Of many for one
   * address, only some are reported, so that nobody can flood a log.
   */
  readonly onRefused: (refusal: RefusedConnection) => void
  /** Called with the number of suppressed refusals that no later one has reported. */
  readonly onRefusalsSuppressed?: (suppressed: SuppressedRefusals) => void
  /** Called for every refusal, for a counter. */
  readonly onEveryRefusal?: (error: FileSyncError) => void
}

export interface Listener {
  readonly port: number
  /** Ends every session of a peer with this error, which is sent to the peer. For a revocation. */
  endSessions (peer: DeviceId, error: FileSyncError): Promise<void>
  /** The number of open TCP connections in any state. */
  connectionCount (): Promise<number>
  /** Stops listening, notifies all peers, and resolves when all connections have ended. */
  close (): Promise<void>
}

/** Listens for peers. A handler only receives connections that are authenticated and authorized. Throws PORT_UNAVAILABLE. */
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
      ...this.#limits,
      clock: init.clock,
      onTurn: socket => { secure.emit('connection', socket) },
      onDropped: (remoteAddress, error) => { this.#refuse({ remoteAddress, error }) },
    })
    for (const address of init.knownAddresses ?? []) this.#sockets.trust(address)
    this.#refusals = new RefusalLimit({ clock: init.clock, onSuppressed: suppressed => { init.onRefusalsSuppressed?.(suppressed) } })
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
    this.#server = createServer({ highWaterMark: TLS_PROFILE.highWaterMark }, socket => { this.#sockets.add(socket) })
  }

  async start (): Promise<void> {
    const { signal, port, bind } = this.#init
    signal.throwIfAborted()
    await new Promise<void>((resolve, reject) => {
      this.#server.once('error', error => { reject(portUnavailable(port, error)) })
      this.#server.listen({ port, backlog: BACKLOG, ...(bind !== undefined && { host: bind }) }, resolve)
    })
    this.port = (this.#server.address() as AddressInfo).port
    // For example no more file descriptors: one connection fails, and the server must go on.
    this.#server.on('error', error => { this.#refuse({ remoteAddress: '', error: asFileSyncError(error) }) })
    signal.addEventListener('abort', this.#stop, { once: true })
  }

  async endSessions (peer: DeviceId, error: FileSyncError): Promise<void> {
    // Not a pairing: it may be the one that gives the peer another area, which ends its sessions.
    const channels = [...this.#channels].filter(channel => channel.peerId === peer && channel.purpose === ALPN_SYNC)
    await Promise.all(channels.map(async channel => { await channel.connection.close(error) }))
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
    this.#refusals.flush()
    await closed
  }

  #refuseHandshake (cause: Error, socket: TLSSocket): void {
    const remoteAddress = remoteAddressOf(socket)
    socket.destroy()
    // Without an address, the socket was dropped on this side, which has already been reported.
    if (remoteAddress === '' || ABANDONED.has(errnoOf(cause))) return
    this.#refuse({ remoteAddress, error: new FileSyncError('PEER_UNPROVEN', `The TLS handshake failed (${cause.message}).`, { cause }) })
  }

  async #serve (socket: TLSSocket): Promise<void> {
    socket.on('error', () => { /* reported by the stream, if anyone still uses it */ })
    const channel = this.#authenticate(socket)
    if (channel === undefined) return
    this.#channels.add(channel)
    try {
      await this.#dispatch(channel)
      await channel.connection.close()
    } catch (error) {
      await channel.connection.close(error)
    } finally {
      this.#channels.delete(channel)
    }
  }

  #refuse (refusal: Omit<RefusedConnection, 'dropped'>): void {
    this.#init.onEveryRefusal?.(refusal.error)
    const dropped = this.#refusals.admit(refusal.remoteAddress)
    if (dropped !== undefined) this.#init.onRefused({ ...refusal, dropped })
  }

  #authenticate (socket: TLSSocket): Channel | undefined {
    const { identity, clock } = this.#init
    const remoteAddress = remoteAddressOf(socket)
    try {
      const authenticated = authenticatePeer(socket, [ALPN_SYNC, ALPN_PAIR])
      return openChannel(authenticated, { identity, end: 'server', clock, idleTimeoutMs: this.#limits.idleTimeoutMs })
    } catch (error) {
      // Also if the peer has already closed the connection.
      socket.destroy()
      if (remoteAddress !== '') this.#refuse({ remoteAddress, error: asFileSyncError(error, 'PEER_UNPROVEN') })
      return undefined
    }
  }

  async #dispatch (channel: Channel): Promise<void> {
    const socket = this.#sockets.find(channel.remoteAddress, channel.remotePort)
    // The doctor command of this server checks who answers here.
    if (channel.peerId === this.#init.identity.id) return
    if (channel.purpose === ALPN_SYNC) {
      const peer = await this.#reportingRefusal(channel, this.#init.peers.authorize(channel.peerId, channel.remoteAddress))
      this.#sockets.accept(socket)
      await this.#init.onSync(channel, peer)
    } else {
      await this.#reportingRefusal(channel, this.#pair(channel, socket))
    }
  }

  async #reportingRefusal <T>({ remoteAddress, peerId, purpose }: Channel, work: Promise<T>): Promise<T> {
    try {
      return await work
    } catch (error) {
      this.#refuse({ remoteAddress, error: asFileSyncError(error), peerId, purpose })
      throw error
    }
  }

  // The connection keeps its slot, but it has more time: a small machine takes a while for scrypt.
  async #pair (channel: Channel, socket: Socket | undefined): Promise<void> {
    this.#sockets.liftDeadline(socket)
    const cancel = this.#init.clock.schedule(this.#limits.pairingTimeoutMs, () => {
      void channel.connection.close(new FileSyncError('PEER_TIMEOUT', 'The pairing took too long. Start it again.'))
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
  return new FileSyncError('PORT_UNAVAILABLE', `The server cannot listen on port ${String(port)}: ${cause.message}. ` +
    'Choose another one with --port, or 0 for any free port.', { cause })
}
