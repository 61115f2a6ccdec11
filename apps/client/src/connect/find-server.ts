import { findServers } from '@filesync/discovery/node'
import { idPrefix } from '@filesync/identity'
import type { PinnedServer, ServerBook } from '@filesync/identity'
import { connectTls } from '@filesync/identity/node'
import type { Identity } from '@filesync/identity/node'
import { ALPN_SYNC, FileSyncError, isFileSyncError } from '@filesync/protocol'
import type { Clock, DiscoverPurpose } from '@filesync/protocol'
import type { Candidate } from './candidate.ts'
import { reachServer } from './reach-server.ts'
import type { Reached } from './reach-server.ts'
import type { HostPort } from '../settings.ts'

export interface FindServerInit {
  readonly identity: Identity
  readonly servers: ServerBook
  /** Where the server is, instead of looking for it. */
  readonly server: HostPort | undefined
  readonly interfaces: readonly string[] | undefined
  /** Which of the paired servers are meant; all by default. May throw. */
  readonly choose?: (pinned: readonly PinnedServer[]) => readonly PinnedServer[]
  /** Told which server was reached. */
  readonly onReached?: (server: PinnedServer) => void
  readonly clock: Clock
  readonly signal: AbortSignal
}

/** How long one run looks for the server; its first question and answer take milliseconds. */
const FIND_TIMEOUT_MS = 10_000

/**
 * Connects to a server that this client is paired with: at the given address, or else at the one where it was last and
 * wherever offers lead. Throws NOT_PAIRED, SERVER_NOT_FOUND, SERVER_UNREACHABLE, or IDENTITY_CHANGED.
 */
export async function findServer (init: FindServerInit): Promise<Reached> {
  const { servers, server, clock, signal } = init
  const all = await servers.list()
  if (all.length === 0) {
    throw new FileSyncError('NOT_PAIRED', 'This client is not paired with a server. On the server run "filesync-server pair", then here "filesync-client pair".')
  }
  const pinned = init.choose?.(all) ?? all
  const known = server === undefined ? remembered(pinned) : [{ address: server.host, port: server.port, origin: 'given' as const }]
  const reached = await reachServer({
    known,
    offers: server === undefined ? (over, onProblem) => pinnedOffers(init, pinned, { signal: over, onProblem }) : noOffers,
    dial: async (candidate, over) => await dial(init, candidate, { pinned, signal: over }),
    random: Math.random,
    clock,
    signal,
    withinMs: FIND_TIMEOUT_MS,
  }).catch((error: unknown) => { throw withMeant(error, pinned, all) })
  await servers.noteReached(reached.serverId, reached.address, reached.port)
  const found = pinned.find(({ id }) => id === reached.serverId)
  if (found !== undefined) init.onReached?.(found)
  return reached
}

/** Where other paired servers were not looked for, that is told. */
function withMeant (error: unknown, meant: readonly PinnedServer[], all: readonly PinnedServer[]): unknown {
  if (!isFileSyncError(error) || error.code !== 'SERVER_NOT_FOUND' || meant.length === all.length) return error
  const names = meant.map(({ name }) => name).join(', ')
  const hint = `Only ${names} was looked for, where this directory goes; --server-name NAME chooses another paired server.`
  return new FileSyncError(error.code, `${error.message} ${hint}`, { cause: error })
}

/** How offers are listened for. */
export interface OffersInit {
  readonly signal: AbortSignal
  /** Id prefixes of the servers that are meant, where they are known. */
  readonly pinned?: readonly string[]
  /** Told what hinders the hearing. */
  readonly onProblem?: (error: FileSyncError) => void
}

/** Offers of servers on the local network, as candidates. */
export async function * offersOf (
  init: Pick<FindServerInit, 'interfaces' | 'clock'>, want: DiscoverPurpose, over: OffersInit,
): AsyncGenerator<Candidate & { readonly idPrefix: string, readonly pairing: boolean }, void, undefined> {
  const { interfaces, clock } = init
  for await (const { address, port, idPrefix: claimed, pairing } of findServers({ want, clock, interfaces, ...over })) {
    yield { address, port, origin: 'offered', idPrefix: claimed, pairing }
  }
}

async function * pinnedOffers (
  init: FindServerInit, pinned: readonly PinnedServer[], over: OffersInit,
): AsyncGenerator<Candidate, void, undefined> {
  const prefixes = pinned.map(({ id }) => idPrefix(id))
  for await (const candidate of offersOf(init, 'sync', { ...over, pinned: prefixes })) {
    // Another server's offer is normal on a network with several; dialling it would only fail.
    if (prefixes.includes(candidate.idPrefix)) yield candidate
  }
}

async function * noOffers (): AsyncGenerator<Candidate, void, undefined> {
  // Ends at once.
}

function remembered (pinned: readonly PinnedServer[]): Candidate[] {
  return pinned.flatMap(({ lastAddress, lastPort }) =>
    lastAddress === undefined || lastPort === undefined ? [] : [{ address: lastAddress, port: lastPort, origin: 'remembered' as const }])
}

async function dial (init: FindServerInit, candidate: Candidate, { pinned, signal }: { pinned: readonly PinnedServer[], signal: AbortSignal }): Promise<Reached> {
  const { identity, clock } = init
  const { address, port } = candidate
  // The round ends an attempt that is under way; a connection that stands outlives it, and ends with the run.
  const attempt = new AbortController()
  const stop = (): void => { attempt.abort(init.signal.aborted ? init.signal.reason : signal.reason) }
  signal.addEventListener('abort', stop, { once: true })
  init.signal.addEventListener('abort', stop, { once: true })
  const { connection, peerId } = await connectTls({ identity, address, port, alpn: ALPN_SYNC, expect: pinned, clock, signal: attempt.signal })
  signal.removeEventListener('abort', stop)
  connection.signal.addEventListener('abort', () => { init.signal.removeEventListener('abort', stop) }, { once: true })
  return { connection, serverId: peerId, address, port }
}
