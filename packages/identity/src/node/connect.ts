import { connect as connectSocket } from 'node:tls'
import type { TLSSocket } from 'node:tls'
import { asFileSyncError, errnoOf, FileSyncError } from '@filesync/protocol'
import type { Clock } from '@filesync/protocol'
import { formatDeviceId } from '../device-id.ts'
import type { DeviceId } from '../device-id.ts'
import { authenticatePeer, openChannel, TLS_PROFILE } from './authenticated-socket.ts'
import type { AuthenticatedSocket, Channel, Purpose } from './authenticated-socket.ts'
import type { Identity } from './identity.ts'

/** A server that is expected to answer. */
interface Expected {
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
   * One of these servers must answer; the records of a ServerBook can be passed. If undefined, any server is accepted: its id
   * is in the result, and it must not be trusted with anything.
   */
  readonly expect?: readonly Expected[]
  readonly clock: Clock
  readonly signal: AbortSignal
  /** From the first packet to the end of the handshake; 10 s by default. */
  readonly timeoutMs?: number
  readonly idleTimeoutMs?: number
}

const CONNECT_TIMEOUT_MS = 10_000

/**
 * Connects to a server that proves its key. The server checks this end only afterwards, so the connection is accepted once its
 * first message arrives. Throws SERVER_UNREACHABLE, PEER_UNPROVEN if something other than a server answers, and
 * IDENTITY_CHANGED if a server with an unexpected key answers; nothing has been sent then.
 */
export async function connectTls (init: ConnectInit): Promise<Channel> {
  const authenticated = await performHandshake(init)
  const { identity, clock, signal, idleTimeoutMs, expect } = init
  if (expect?.every(({ id }) => id !== authenticated.peerId) === true) {
    authenticated.socket.destroy()
    throw identityChanged(init, expect, authenticated.peerId)
  }
  return openChannel(authenticated, { identity, end: 'client', clock, signal, idleTimeoutMs })
}

async function performHandshake (init: ConnectInit): Promise<AuthenticatedSocket> {
  if (init.signal.aborted) throw asFileSyncError(init.signal.reason, 'ABORTED')
  const socket = connectSocket({
    ...TLS_PROFILE,
    host: init.address,
    port: init.port,
    key: init.identity.privateKey,
    cert: init.identity.certificate,
    ALPNProtocols: [init.alpn],
    // Do not send a server name in clear text.
    servername: '',
  })
  // Errors may occur at any time, and an unhandled one would end the process.
  socket.on('error', () => { /* reported by awaitHandshake, or later by the stream */ })
  try {
    await awaitHandshake(socket, init)
    return authenticatePeer(socket, [init.alpn])
  } catch (error) {
    socket.destroy()
    throw explainFailure(error, init)
  }
}

async function awaitHandshake (socket: TLSSocket, { clock, signal, timeoutMs = CONNECT_TIMEOUT_MS }: ConnectInit): Promise<void> {
  let cancel: (() => void) | undefined
  let stop: (() => void) | undefined
  try {
    await new Promise<void>((resolve, reject) => {
      cancel = clock.schedule(timeoutMs, () => { reject(new Error('no answer in time')) })
      stop = () => { reject(asFileSyncError(signal.reason, 'ABORTED')) }
      signal.addEventListener('abort', stop, { once: true })
      socket.once('secureConnect', resolve)
      socket.once('error', reject)
      socket.once('close', () => { reject(new Error('the other end closed the connection')) })
    })
  } finally {
    cancel?.()
    if (stop !== undefined) signal.removeEventListener('abort', stop)
  }
}

function explainFailure (error: unknown, { address, port }: ConnectInit): FileSyncError {
  const known = asFileSyncError(error, 'SERVER_UNREACHABLE')
  if (known.code !== 'SERVER_UNREACHABLE') return known
  const where = `${address}:${String(port)}`
  if (isTlsFault(error)) {
    return new FileSyncError('PEER_UNPROVEN', `The program that answers at ${where} is not a FileSync server (${known.message}). ` +
      'Check the address and the port.', { cause: error })
  }
  return new FileSyncError('SERVER_UNREACHABLE', `The server at ${where} cannot be reached: ${known.message}. ` +
    'Check that it is running, that the port is right, and that no firewall blocks it.', { cause: error })
}

function isTlsFault (error: unknown): boolean {
  return errnoOf(error).startsWith('ERR_SSL')
}

function identityChanged ({ address, port }: ConnectInit, expected: readonly Expected[], got: DeviceId): FileSyncError {
  return new FileSyncError('IDENTITY_CHANGED', `SERVER IDENTITY CHANGED at ${address}:${String(port)}. Nothing was sent.`, { lines: [
    ...expected.map(({ id, name }) => `  expected ${formatDeviceId(id)} (${name})`),
    `  got      ${formatDeviceId(got)}`,
    'Another machine answers instead of the server, or the server was set up again. If you know that it was, run ' +
    '"filesync-client forget SERVER" and pair again.',
  ] })
}
