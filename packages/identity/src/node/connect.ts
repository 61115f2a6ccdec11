import { connect as connectSocket } from 'node:tls'
import type { TLSSocket } from 'node:tls'
import { asFileSyncError, backOffMs, errnoOf, FileSyncError, wait } from '@filesync/protocol'
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
  /** Until the TCP connection is open; 10 s by default. */
  readonly timeoutMs?: number
  /** From then to the end of the handshake: a server to which many clients come at once answers one after the other. 30 s by default. */
  readonly answerTimeoutMs?: number
  /** Called each time a TCP connection is open, so a server may be answering others first. */
  readonly onOpen?: () => void
  readonly idleTimeoutMs?: number
}

const CONNECT_TIMEOUT_MS = 10_000
const ANSWER_TIMEOUT_MS = 30_000

/** How often a handshake that the server cut is tried again, and the longest waits before it: 7.5 s in total. */
const RETRIES = 4
const RETRY_FIRST_MS = 500
const RETRY_MAX_MS = 4_000

/**
 * Connects to a server that proves its key. The server checks this end only afterwards, so the connection is accepted once its
 * first message arrives. If the server cuts the handshake, as it does while too many clients wait, it is tried again a few times
 * with back-off. Throws SERVER_UNREACHABLE, PEER_UNPROVEN if something other than a server answers, and IDENTITY_CHANGED if a
 * server with an unexpected key answers; nothing has been sent then.
 */
export async function connectTls (init: ConnectInit): Promise<Channel> {
  const authenticated = await handshakeWithRetries(init)
  const { identity, clock, signal, idleTimeoutMs, expect } = init
  if (expect?.every(({ id }) => id !== authenticated.peerId) === true) {
    authenticated.socket.destroy()
    throw identityChanged(init, expect, authenticated.peerId)
  }
  return openChannel(authenticated, { identity, end: 'client', clock, signal, idleTimeoutMs })
}

async function handshakeWithRetries (init: ConnectInit): Promise<AuthenticatedSocket> {
  for (let tries = 1; ; tries++) {
    try {
      return await performHandshake(init)
    } catch (error) {
      if (!(error instanceof CutHandshake) || tries > RETRIES) throw explainFailure(error, init)
      const delayMs = backOffMs(tries, { firstMs: RETRY_FIRST_MS, maxMs: RETRY_MAX_MS }, Math.random())
      await wait(init.clock, delayMs, init.signal).catch((reason: unknown) => { throw asFileSyncError(reason, 'ABORTED') })
    }
  }
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
    throw error
  }
}

/** The other end accepted the connection, and closed it before the handshake was over. */
class CutHandshake extends Error {}

const CUTS: ReadonlySet<string> = new Set(['ECONNRESET', 'EPIPE', 'ECONNABORTED'])

async function awaitHandshake (socket: TLSSocket, init: ConnectInit): Promise<void> {
  const { clock, signal, timeoutMs = CONNECT_TIMEOUT_MS, answerTimeoutMs = ANSWER_TIMEOUT_MS } = init
  let cancel: (() => void) | undefined
  let stop: (() => void) | undefined
  try {
    await new Promise<void>((resolve, reject) => {
      const limit = (withinMs: number): (() => void) => clock.schedule(withinMs, () => { reject(new Error('no answer in time')) })
      let isOpen = false
      cancel = limit(timeoutMs)
      stop = () => { reject(asFileSyncError(signal.reason, 'ABORTED')) }
      signal.addEventListener('abort', stop, { once: true })
      socket.once('connect', () => {
        isOpen = true
        cancel?.()
        cancel = limit(answerTimeoutMs)
        init.onOpen?.()
      })
      socket.once('secureConnect', resolve)
      // A reset can arrive together with the acceptance; a port where nothing listens refuses.
      socket.once('error', (error: Error) => { reject(CUTS.has(errnoOf(error)) ? cut(error) : error) })
      socket.once('close', () => { reject(isOpen ? cut(undefined) : new Error('the other end closed the connection')) })
    })
  } finally {
    cancel?.()
    if (stop !== undefined) signal.removeEventListener('abort', stop)
  }
}

function cut (cause: Error | undefined): CutHandshake {
  return new CutHandshake(cause?.message ?? 'the other end closed the connection before it proved its identity', { cause })
}

function explainFailure (error: unknown, { address, port }: ConnectInit): FileSyncError {
  const known = asFileSyncError(error, 'SERVER_UNREACHABLE')
  if (known.code !== 'SERVER_UNREACHABLE') return known
  const where = `${address}:${String(port)}`
  if (isTlsFault(error)) {
    return new FileSyncError('PEER_UNPROVEN', `The program that answers at ${where} is not a FileSync server (${known.message}). ` +
      'Check the address and the port.', { cause: error })
  }
  if (error instanceof CutHandshake) {
    return new FileSyncError('SERVER_UNREACHABLE', `The server at ${where} accepted the connection and closed it again: ` +
      `${known.message}. It may have too many connections at the moment; try again later, and see its log.`, { cause: error })
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
