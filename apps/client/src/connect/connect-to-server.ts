import { findServers } from '@filesync/discovery/node'
import { idPrefix } from '@filesync/identity'
import type { PinnedServer, ServerBook } from '@filesync/identity'
import { connectTls } from '@filesync/identity/node'
import type { Identity } from '@filesync/identity/node'
import { ALPN_SYNC, FileSyncError, isFileSyncError } from '@filesync/protocol'
import type { Clock, DiscoverPurpose } from '@filesync/protocol'
import type { ServerCandidate } from './server-candidate.ts'
import { raceServers } from './race-servers.ts'
import type { ReachedServer } from './race-servers.ts'
import type { HostPort } from '../settings.ts'

export type ServerChooser = (pinned: readonly PinnedServer[]) => readonly PinnedServer[]

export interface ConnectToServerInit {
  readonly identity: Identity
  readonly servers: ServerBook
  /** The address of the server; undefined to search for it. */
  readonly server: HostPort | undefined
  readonly interfaces: readonly string[] | undefined
  /** Chooses among the paired servers; all by default. May throw. */
  readonly choose?: ServerChooser
  /** Called with the server that was reached. */
  readonly onReached?: (server: PinnedServer) => void
  readonly clock: Clock
  readonly signal: AbortSignal
}

/** How long one run searches for the server; a server that runs accepts a connection in milliseconds. */
const SEARCH_TIMEOUT_MS = 10_000

/**
 * Connects to a server that this client is paired with: at the given address if there is one, otherwise at its last address or
 * at any address that is offered on the network. Throws NOT_PAIRED, SERVER_NOT_FOUND, SERVER_UNREACHABLE, or IDENTITY_CHANGED.
 */
export async function connectToServer (init: ConnectToServerInit): Promise<ReachedServer> {
  const { servers, server, clock, signal } = init
  const all = await servers.list()
  if (all.length === 0) {
    throw new FileSyncError('NOT_PAIRED', 'This client is not paired with a server. ' +
      'Run "filesync-server pair" on the server, then "filesync-client pair" here.')
  }
  const pinned = init.choose?.(all) ?? all
  const known = server === undefined ? remembered(pinned) : [{ address: server.host, port: server.port, origin: 'given' as const }]
  const reached = await raceServers({
    known,
    offers: server === undefined ? (over, onProblem) => pinnedOffers(init, pinned, { signal: over, onProblem }) : noOffers,
    dial: async (candidate, over, onOpen) => await dial(init, candidate, { pinned, signal: over, onOpen }),
    random: Math.random,
    clock,
    signal,
    timeoutMs: SEARCH_TIMEOUT_MS,
  }).catch((error: unknown) => { throw withChoice(error, pinned, all) })
  await servers.recordReached(reached.serverId, reached.address, reached.port)
  const found = pinned.find(({ id }) => id === reached.serverId)
  if (found !== undefined) init.onReached?.(found)
  return reached
}

/** Adds to SERVER_NOT_FOUND that other paired servers were not searched for. */
function withChoice (error: unknown, chosen: readonly PinnedServer[], all: readonly PinnedServer[]): unknown {
  if (!isFileSyncError(error) || error.code !== 'SERVER_NOT_FOUND' || chosen.length === all.length) return error
  const names = chosen.map(({ name }) => name).join(', ')
  const hint = `Only ${names} was searched for, because this directory is pushed there; --server-name NAME chooses another paired server.`
  return new FileSyncError(error.code, `${error.message} ${hint}`, { cause: error })
}

export interface ServerOffersInit {
  readonly signal: AbortSignal
  /** Id prefixes of the servers to search for, if they are known. */
  readonly pinned?: readonly string[]
  /** Called with what keeps offers from being received, such as an interface that is down. */
  readonly onProblem?: (error: FileSyncError) => void
}

/** Offers of servers on the local network, as candidates. */
export async function * serverOffers (
  init: Pick<ConnectToServerInit, 'interfaces' | 'clock'>, want: DiscoverPurpose, over: ServerOffersInit,
): AsyncGenerator<ServerCandidate & { readonly idPrefix: string, readonly pairing: boolean }, void, undefined> {
  const { interfaces, clock } = init
  for await (const { address, port, idPrefix: claimed, pairing } of findServers({ want, clock, interfaces, ...over })) {
    yield { address, port, origin: 'offered', idPrefix: claimed, pairing }
  }
}

async function * pinnedOffers (
  init: ConnectToServerInit, pinned: readonly PinnedServer[], over: ServerOffersInit,
): AsyncGenerator<ServerCandidate, void, undefined> {
  const prefixes = pinned.map(({ id }) => idPrefix(id))
  for await (const candidate of serverOffers(init, 'sync', { ...over, pinned: prefixes })) {
    // Offers of other servers are normal on a shared network; connecting to them would only fail.
    if (prefixes.includes(candidate.idPrefix)) yield candidate
  }
}

async function * noOffers (): AsyncGenerator<ServerCandidate, void, undefined> {
  // Ends at once.
}

function remembered (pinned: readonly PinnedServer[]): ServerCandidate[] {
  return pinned.flatMap(({ lastAddress, lastPort }) =>
    lastAddress === undefined || lastPort === undefined ? [] : [{ address: lastAddress, port: lastPort, origin: 'remembered' as const }])
}

interface DialOptions {
  readonly pinned: readonly PinnedServer[]
  readonly signal: AbortSignal
  readonly onOpen: () => void
}

async function dial (init: ConnectToServerInit, candidate: ServerCandidate, options: DialOptions): Promise<ReachedServer> {
  const { pinned, signal, onOpen } = options
  const { identity, clock } = init
  const { address, port } = candidate
  // The end of the race aborts an attempt in progress. An established connection outlives the race and ends with the run.
  const attempt = new AbortController()
  const stop = (): void => { attempt.abort(init.signal.aborted ? init.signal.reason : signal.reason) }
  signal.addEventListener('abort', stop, { once: true })
  init.signal.addEventListener('abort', stop, { once: true })
  try {
    const { connection, peerId } = await connectTls({
      identity, address, port, alpn: ALPN_SYNC, expect: pinned, clock, signal: attempt.signal, onOpen,
    })
    connection.signal.addEventListener('abort', () => { init.signal.removeEventListener('abort', stop) }, { once: true })
    return { connection, serverId: peerId, address, port }
  } catch (error) {
    init.signal.removeEventListener('abort', stop)
    throw error
  } finally {
    signal.removeEventListener('abort', stop)
  }
}
