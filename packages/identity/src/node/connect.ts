import { connect as connectSocket } from 'node:tls'
import type { TLSSocket } from 'node:tls'
import { asFileSyncError, errnoOf, FileSyncError } from '@filesync/protocol'
import type { Clock } from '@filesync/protocol'
import { formatDeviceId } from '../device-id.ts'
import type { DeviceId } from '../device-id.ts'
import { authenticatePeer, openChannel, TLS_PROFILE } from './authenticated-socket.ts'
import type { AuthenticatedSocket, Channel, Purpose } from './authenticated-socket.ts'
import type { Identity } from './identity.ts'

/** A server that may answer. */
export interface Expected {
  readonly id: DeviceId
  readonly name: string
}

export interface ConnectInit {
  readonly identity: Identity
  /** An IP address or a host name. */
  readonly address: string
  readonly port: number
  readonly alpn: Purpose
  /**
   * Who has to answer, one of these; the servers of a ServerBook fit. Without it, whoever answers is told in the result
   * and trusted with nothing.
   */
  readonly expect?: readonly Expected[]
  readonly clock: Clock
  readonly signal: AbortSignal
  /** From the first packet to the end of the handshake; 10 s unless told. */
  readonly timeoutMs?: number
  readonly idleTimeoutMs?: number
}

const CONNECT_TIMEOUT_MS = 10_000

/**
 * A connection to a server that has proven its key. The server judges this end only afterwards, so "connected" is what
 * its first message says. Throws SERVER_UNREACHABLE, PEER_UNPROVEN where something else answers, and IDENTITY_CHANGED
 * where another key than the expected one does; nothing was sent then.
 */
export async function connectTls (init: ConnectInit): Promise<Channel> {
  const authenticated = await shakeHands(init)
  const { identity, clock, signal, idleTimeoutMs, expect } = init
  if (expect?.every(({ id }) => id !== authenticated.peerId) === true) {
    authenticated.socket.destroy()
    throw identityChanged(init, expect, authenticated.peerId)
  }
  return openChannel(authenticated, { identity, end: 'client', clock, signal, idleTimeoutMs })
}

async function shakeHands (init: ConnectInit): Promise<AuthenticatedSocket> {
  if (init.signal.aborted) throw asFileSyncError(init.signal.reason, 'ABORTED')
  const socket = connectSocket({
    ...TLS_PROFILE,
    host: init.address,
    port: init.port,
    key: init.identity.privateKey,
    cert: init.identity.certificate,
    ALPNProtocols: [init.alpn],
    // No name of the server in the clear.
    servername: '',
  })
  // Errors may come at any time, and one that nobody listens for ends the process.
  socket.on('error', () => { /* told to who waits below, or by the stream */ })
  try {
    await untilSecure(socket, init)
    return authenticatePeer(socket, [init.alpn])
  } catch (error) {
    socket.destroy()
    throw explain(error, init)
  }
}

async function untilSecure (socket: TLSSocket, { clock, signal, timeoutMs = CONNECT_TIMEOUT_MS }: ConnectInit): Promise<void> {
  let cancel: (() => void) | undefined
  let stop: (() => void) | undefined
  try {
    await new Promise<void>((resolve, reject) => {
      cancel = clock.schedule(timeoutMs, () => { reject(new Error('no answer in time')) })
      stop = () => { reject(asFileSyncError(signal.reason, 'ABORTED')) }
      signal.addEventListener('abort', stop, { once: true })
      socket.once('secureConnect', resolve)
      socket.once('error', reject)
      socket.once('close', () => { reject(new Error('it closed the connection')) })
    })
  } finally {
    cancel?.()
    if (stop !== undefined) signal.removeEventListener('abort', stop)
  }
}

function explain (error: unknown, { address, port }: ConnectInit): FileSyncError {
  const known = asFileSyncError(error, 'SERVER_UNREACHABLE')
  if (known.code !== 'SERVER_UNREACHABLE') return known
  const where = `${address}:${String(port)}`
  if (isTlsFault(error)) {
    return new FileSyncError('PEER_UNPROVEN', `What answers at ${where} is not a FileSync server (${known.message}). Check the address and the port.`, { cause: error })
  }
  return new FileSyncError('SERVER_UNREACHABLE', `The server at ${where} cannot be reached: ${known.message}. ` +
    'Check that it runs, that the port is right, and that no firewall is between.', { cause: error })
}

function isTlsFault (error: unknown): boolean {
  return errnoOf(error).startsWith('ERR_SSL')
}

function identityChanged ({ address, port }: ConnectInit, expected: readonly Expected[], got: DeviceId): FileSyncError {
  return new FileSyncError('IDENTITY_CHANGED', `SERVER IDENTITY CHANGED at ${address}:${String(port)}. Nothing was sent.`, { lines: [
    ...expected.map(({ id, name }) => `  expected ${formatDeviceId(id)} (${name})`),
    `  got      ${formatDeviceId(got)}`,
    'Another machine answers in the place of the server, or the server was set up anew. If you know that it was, run ' +
    '"filesync-client forget SERVER" and pair again.',
  ] })
}
