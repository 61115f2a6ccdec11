import type { Area, PresentFile, Sync, SyncPlan } from '@filesync/archive'
import { prepareMemoryRelease, saveMemory } from '@filesync/program/node'
import { asFileSyncError, equalDigests, FEATURES, FileSyncError, LIMITS, TimeSlice } from '@filesync/protocol'
import type { ClientFilesInfo, Clock, Connection, HashBytes, NextSync, Policy } from '@filesync/protocol'
import { deltaTasks, receiveFiles } from '@filesync/transfer'
import type { Decompress, DerivedSignatureInit, PresentCopy, ReceivedFiles } from '@filesync/transfer'
import { answerSafeChecks } from './answer-safe-checks.ts'
import { serveRestore } from '../restore/serve-restore.ts'
import type { ServeRestoreInit } from '../restore/serve-restore.ts'
import { awaitTree } from './await-tree.ts'
import { greetClient } from './greet.ts'
import type { ClientGreeting } from './greet.ts'
import { haltedSync, nextSync } from './next-sync.ts'
import type { SafeCheckDesk } from './safe-check-desk.ts'
import { receiveListings } from './receive-listings.ts'
import { sessionConnection } from './session-connection.ts'
import type { SessionObserver } from './session-observer.ts'
import type { SessionQueue } from '../schedule/session-queue.ts'
import { SessionTurn } from './session-turn.ts'
import type { SessionRules } from './session-turn.ts'
import { isComplete, scopeOf } from './scope-of.ts'
import { sendPlan } from './send-plan.ts'

/** The client of a session: what its key proves. None of this comes from a message. */
export interface ServedClient {
  readonly identity: string
  readonly area: string
  /** Whether the operator wants it to push nothing; it may still ask. */
  readonly isPaused?: boolean
}

/** Makes the signature of an open file, as `Signer` does. */
type SignFile = (fd: number, sizeBytes: number, signal: AbortSignal) => Promise<Uint8Array | undefined>

export interface ServeDependencies {
  readonly queue: SessionQueue
  readonly openArea: (name: string) => Promise<Area>
  readonly safeChecks: SafeCheckDesk
  /** If missing, clients may not read their files back. */
  readonly restores?: Pick<ServeRestoreInit, 'desk' | 'createHasher' | 'observer'>
  readonly hash: HashBytes
  readonly decompress: Decompress
  /** If missing, changed files are requested whole. */
  readonly sign?: SignFile
  /** If given, a file that arrives as a delta gets its signature while it arrives, without being read again. */
  readonly createCutFinder?: DerivedSignatureInit['createCutFinder']
  readonly clock: Clock
  readonly signal: AbortSignal
  readonly software: string
  readonly serverName: string
  readonly policy: Policy
  /** Lets a client notice that it is pushing the archive itself. */
  readonly archiveId?: string
  readonly newSessionName: () => string
  readonly nextSyncInMs: () => number
  readonly observer?: SessionObserver
  /** Notes the mark of a client's run. Returns whether two machines seem to use its key. */
  readonly noteMark?: (mark: string | undefined) => boolean
  /** If missing, the server never ends a session early or slows it down. */
  readonly rules?: SessionRules
}

/**
 * Serves one session, from HELLO to NEXT_SYNC, as specified in docs/protocol.md under "Session". Resolves with NEXT_SYNC as it
 * was sent, or with undefined if the client only asked something (safe checks, a plan) or left without sending anything.
 */
export async function serveSession (connection: Connection, client: ServedClient, deps: ServeDependencies): Promise<NextSync | undefined> {
  const agreement = await greetIfPresent(connection, deps)
  if (agreement === undefined) return undefined
  const { features, mark } = agreement
  if (features.has(FEATURES.SAFE)) {
    await answerSafeChecks(connection, { ...client, desk: deps.safeChecks, stopping: deps.rules?.stopping })
    return undefined
  }
  if (features.has(FEATURES.RESTORE) && deps.restores !== undefined) {
    if (client.isPaused === true) throw paused(deps.nextSyncInMs())
    const { hash, clock, rules } = deps
    await serveRestore(connection, { ...client, ...deps.restores, features, hash, clock, limit: rules?.limit, stopping: rules?.stopping })
    return undefined
  }
  if (client.isPaused === true && !features.has(FEATURES.PLAN)) throw paused(deps.nextSyncInMs())
  const isCloned = deps.noteMark?.(mark) === true
  const turn = new SessionTurn({ identity: client.identity, queue: deps.queue, clock: deps.clock, rules: deps.rules })
  try {
    return await serveInTurn(connection, client, { ...deps, features, turn, mark, isCloned })
  } finally {
    turn.end()
  }
}

/**
 * Exchanges HELLO. Undefined if the client leaves before: it only checks who the server is, or it reaches the server by several
 * addresses at once and uses another connection.
 */
async function greetIfPresent (
  connection: Connection, { software, clock, restores }: ServeDependencies,
): Promise<ClientGreeting | undefined> {
  try {
    return await greetClient(connection, { software, clock, mayRestore: restores !== undefined })
  } catch (error) {
    if (asFileSyncError(error).code === 'PEER_GONE') return undefined
    throw error
  }
}

function paused (retryInMs: number): FileSyncError {
  const message = 'The operator of the server has paused this client, so it pushes and restores nothing. ' +
    '"filesync-server peers resume" on the server lets it go on.'
  return new FileSyncError('PAUSED', message, { retryInMs })
}

/** What is known only after HELLO: the features of both sides, and how long the session may go on. */
interface SessionDependencies extends ServeDependencies {
  readonly features: ReadonlySet<string>
  readonly turn: SessionTurn
  readonly mark: string | undefined
  /** Whether two machines seem to use the client's key. */
  readonly isCloned: boolean
}

/** BUSY while others have their turn, READY, then CLIENT_FILES_INFO and what follows it. */
async function serveInTurn (connection: Connection, client: ServedClient, deps: SessionDependencies): Promise<NextSync | undefined> {
  const { turn, features } = deps
  const tree = awaitTree(connection, deps.clock)
  const leaveQueue = await waitForTurn(connection, client, deps)
  const releaseMemory = prepareMemoryRelease()
  try {
    turn.begin()
    deps.observer?.onTurn()
    const area = await deps.openArea(client.area)
    tree.allow()
    await connection.send({
      type: 'SERVER_STATUS',
      status: 'READY',
      session: deps.newSessionName(),
      serverName: deps.serverName,
      area: client.area,
      policy: deps.policy,
      ...(deps.archiveId !== undefined && { archiveId: deps.archiveId }),
      ...(deps.isCloned && { cloned: true }),
    })
    const info = await turn.race(tree.arrives())
    if (!features.has(FEATURES.PLAN)) return await storeTree(connection, { area, info, deps })
    await sendPlan(connection, { ...deps, area, info })
    return undefined
  } finally {
    leaveQueue()
    releaseMemory()
  }
}

/** Waits in the queue, and reports each change of position to the client. Resolves with the function that ends the turn. */
async function waitForTurn (connection: Connection, { identity }: ServedClient, deps: SessionDependencies): Promise<() => void> {
  const { queue, turn, observer } = deps
  return await queue.enter({
    identity,
    mark: deps.mark,
    replacesOthers: !deps.isCloned,
    signal: AbortSignal.any([connection.signal, turn.signal]),
    remainingMs: () => turn.capRemainingMs(observer?.remainingMs()),
    onPosition: (position, estimateMs) => {
      observer?.onWaiting(position, estimateMs)
      void sendBusy(connection, position, estimateMs)
    },
    onReplaced: error => { void connection.close(error) },
  })
}

async function sendBusy (connection: Connection, position: number, estimateMs: number | undefined): Promise<void> {
  try {
    await connection.send({ type: 'SERVER_STATUS', status: 'BUSY', position, ...(estimateMs !== undefined && { estimateMs }) })
  } catch (error) {
    // The connection is over. Its signal ends the wait in the queue.
    connection.destroy(asFileSyncError(error, 'PEER_GONE'))
  }
}

interface StoreInit {
  readonly area: Area
  readonly info: ClientFilesInfo
  readonly deps: SessionDependencies
}

/** Brings the area to the state of the client's tree, and sends NEXT_SYNC. */
async function storeTree (connection: Connection, { area, info, deps }: StoreInit): Promise<NextSync> {
  deps.observer?.onTree(info)
  const sync = await area.beginSync({ client: connection.signal, scope: scopeOf(info) })
  const isSame = equalDigests(info.rootDigest, sync.rootDigest)
  const restoreHeapSettings = saveMemory(isSame ? 0 : info.files)
  try {
    const received = isSame ? NOTHING_RECEIVED : await receiveChanges(connection, { info, sync, deps })
    const next = nextSync(await sync.finish(), received, deps.nextSyncInMs())
    await connection.send(next)
    return next
  } catch (error) {
    await sync.abandon()
    // A halt by the brake is not a failure of the session: the client gets NEXT_SYNC as after any other.
    const known = asFileSyncError(error)
    if (known.code !== 'HALTED') throw error
    const next = haltedSync(known.message, sync.stored, deps.nextSyncInMs())
    await connection.send(next)
    return next
  } finally {
    restoreHeapSettings()
  }
}

interface ReceiveInit {
  readonly info: ClientFilesInfo
  readonly sync: Sync
  readonly deps: SessionDependencies
}

/** Compares listings, plans, and receives the files that the plan asks for. */
async function receiveChanges (connection: Connection, { info, sync, deps }: ReceiveInit): Promise<ReceivedFiles> {
  const { clock, turn, features } = deps
  const slice = new TimeSlice({ clock, signal: AbortSignal.any([connection.signal, turn.signal]) })
  await receiveListings({
    connection: sessionConnection(connection, { turn, clock, limitMs: LIMITS.turnTimeoutMs }),
    rootDigest: info.rootDigest,
    hash: deps.hash,
    compare: listing => sync.compare(listing),
    slice,
  })
  if (slice.isOver) await slice.yieldThread()
  const plan = sync.plan({
    complete: isComplete(info), resume: features.has(FEATURES.RESUME), digest: true, holes: features.has(FEATURES.HOLES),
  })
  deps.observer?.onPlan(plan)
  return await receivePlanned(connection, { plan, sync, deps })
}

/** TASKS, and the files that answer them. */
async function receivePlanned (
  connection: Connection, { plan, sync, deps }: { plan: SyncPlan, sync: Sync, deps: SessionDependencies },
): Promise<ReceivedFiles> {
  const { clock, turn, features } = deps
  const sizeOf = (task: number): number => plan.describe(task).sizeBytes
  let hasAsked = false
  const layered = sessionConnection(connection, {
    turn, clock, limitMs: LIMITS.answerTimeoutMs, sizeOf, onTasks: () => { hasAsked = true },
  })
  sync.onStored = stored => {
    // Before the first page of tasks, a client would take STORED for an error.
    if (hasAsked) void connection.send({ type: 'STORED', ...stored }).catch(() => { /* the receiver notices */ })
  }
  return await receiveFiles({
    connection: layered,
    ...deltaTasks({
      tasks: plan.tasks,
      again: () => plan.retryTasks(),
      sizeOf,
      present: async task => presentCopy(sync.present(task), connection.signal, deps),
    }),
    staging: deps.observer?.observeStaging(sync, plan) ?? sync,
    onProgress: progress => { deps.observer?.onProgress(progress) },
    describe: task => plan.describe(task),
    clock,
    signal: AbortSignal.any([deps.signal, turn.signal]),
    ...(deps.createCutFinder !== undefined && { deriveSignatures: { hash: deps.hash, createCutFinder: deps.createCutFinder } }),
    holes: features.has(FEATURES.HOLES),
    ...(features.has(FEATURES.ZSTD) && { decompress: deps.decompress }),
  })
}

/** The stored copy that a delta can start from; undefined if the file has to be sent whole. */
function presentCopy (
  present: PresentFile | undefined, signal: AbortSignal, { features, sign }: SessionDependencies,
): PresentCopy | undefined {
  if (present === undefined || sign === undefined || !features.has(FEATURES.DELTA)) return undefined
  return {
    sizeBytes: present.sizeBytes,
    sign: async () => await present.signature(async ({ fd, sizeBytes }) => await sign(fd, sizeBytes, signal)),
  }
}

const NOTHING_RECEIVED: ReceivedFiles = { files: 0, bytes: 0, problems: [], problemCount: 0, refused: 0 }
