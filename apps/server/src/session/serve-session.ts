import type { Area, PresentFile, Sync } from '@filesync/archive'
import { collectingGarbage, givingMemoryBack, leanMemory } from '@filesync/program/node'
import { asFileSyncError, equalDigests, FEATURES, FileSyncError, layerOver, LIMITS, Pace } from '@filesync/protocol'
import type { Agreement, ClientFilesInfo, Clock, Connection, HashBytes, NextSync, Policy } from '@filesync/protocol'
import { deltaTasks, receiveFiles } from '@filesync/transfer'
import type { Decompress, FollowedSignatureInit, PresentCopy, ReceivedFiles } from '@filesync/transfer'
import { answerQuestions } from './answer-questions.ts'
import { greetClient } from './greet.ts'
import { haltedSync, nextSync } from './next-sync.ts'
import { withinPatience, withPatience } from './patience.ts'
import type { QuestionDesk } from './question-desk.ts'
import { receiveListings } from './receive-listings.ts'
import type { SessionObserver } from './session-observer.ts'
import type { SessionQueue } from '../schedule/session-queue.ts'
import { SessionTurn } from './session-turn.ts'
import type { SessionRules } from './session-turn.ts'
import { tellPlan } from './tell-plan.ts'

/** The client at the other end, as the server knows it; nothing of this comes from a message. */
export interface Peer {
  readonly identity: string
  readonly area: string
}

/** Makes the signature of an open file, as `Signer` does. */
type SignFile = (fd: number, sizeBytes: number, signal: AbortSignal) => Promise<Uint8Array | undefined>

export interface ServeDependencies {
  readonly queue: SessionQueue
  readonly openArea: (name: string) => Promise<Area>
  readonly questions: QuestionDesk
  readonly hash: HashBytes
  readonly decompress: Decompress
  /** Without it, changed files are asked for whole. */
  readonly sign?: SignFile
  /** With it, the signature of what arrives as a difference is known without reading it again. */
  readonly createCutFinder?: FollowedSignatureInit['createCutFinder']
  readonly clock: Clock
  readonly signal: AbortSignal
  readonly software: string
  readonly serverName: string
  readonly policy: Policy
  /** By which a client notices that it pushes the archive itself. */
  readonly archiveId?: string
  readonly newSessionName: () => string
  readonly nextSyncInMs: () => number
  readonly observer?: SessionObserver
  /** Without them a session ends by itself only. */
  readonly rules?: SessionRules
}

/** One session from HELLO to NEXT_SYNC, as docs/protocol.md has it under "Session"; undefined where the client only asked. */
export async function serveSession (connection: Connection, peer: Peer, deps: ServeDependencies): Promise<NextSync | undefined> {
  const agreement = await greetIfThere(connection, deps)
  if (agreement === undefined) return undefined
  const { features } = agreement
  if (features.has(FEATURES.SAFE)) {
    await answerQuestions(connection, { ...peer, desk: deps.questions, stopping: deps.rules?.stopping })
    return undefined
  }
  const turn = new SessionTurn({ identity: peer.identity, queue: deps.queue, clock: deps.clock, rules: deps.rules })
  try {
    return await serveInTurn(connection, peer, { ...deps, features, turn })
  } finally {
    turn.end()
  }
}

/** Undefined where the client leaves without a word: it looks who is there, or reaches the server by several addresses at once. */
async function greetIfThere (connection: Connection, { software, clock }: ServeDependencies): Promise<Agreement | undefined> {
  try {
    return await greetClient(connection, software, clock)
  } catch (error) {
    if (asFileSyncError(error).code === 'PEER_GONE') return undefined
    throw error
  }
}

/** What the two ends agreed on, and how long it may go on, is known only in the session. */
interface SessionDependencies extends ServeDependencies {
  readonly features: ReadonlySet<string>
  readonly turn: SessionTurn
}

async function serveInTurn (connection: Connection, peer: Peer, deps: SessionDependencies): Promise<NextSync | undefined> {
  const { turn, features } = deps
  const announcement = expectTree(connection, deps.clock)
  const leave = await deps.queue.enter({
    identity: peer.identity,
    signal: AbortSignal.any([connection.signal, turn.signal]),
    remainingMs: () => turn.boundedMs(deps.observer?.remainingMs()),
    onPosition: (position, estimateMs) => {
      deps.observer?.onWaiting(position, estimateMs)
      void tellPosition(connection, position, estimateMs)
    },
    onReplaced: error => { void connection.close(error) },
  })
  const giveBack = givingMemoryBack()
  try {
    turn.begin()
    deps.observer?.onTurn()
    const area = await deps.openArea(peer.area)
    announcement.allow()
    await connection.send({
      type: 'SERVER_STATUS', status: 'READY', session: deps.newSessionName(), serverName: deps.serverName, area: peer.area, policy: deps.policy,
      ...(deps.archiveId !== undefined && { archiveId: deps.archiveId }),
    })
    const info = await turn.orEnd(announcement.arrives())
    if (!features.has(FEATURES.PLAN)) return await receiveTree(connection, { area, info, deps })
    await tellPlan(connection, { ...deps, area, info })
    return undefined
  } finally {
    leave()
    giveBack()
  }
}

interface Announcement {
  /** It is the client's turn. */
  allow (): void
  arrives (): Promise<ClientFilesInfo>
}

/**
 * Listens for CLIENT_FILES_INFO from HELLO on: what a client sends while it waits for its turn ends its session, instead
 * of piling up beside the queue.
 */
function expectTree (connection: Connection, clock: Clock): Announcement {
  let isAllowed = false
  const arrival = connection.receive(['CLIENT_FILES_INFO']).then(info => {
    if (isAllowed) return info
    const early = new FileSyncError('MESSAGE_UNEXPECTED', 'The client told what it has before it was its turn.')
    void connection.close(early)
    throw early
  })
  arrival.catch(() => { /* the connection is over, which the queue and whoever waits for it notice */ })
  return {
    allow: () => { isAllowed = true },
    arrives: async () => await withinPatience(arrival, connection, { clock, limitMs: LIMITS.turnTimeoutMs }),
  }
}

async function tellPosition (connection: Connection, position: number, estimateMs: number | undefined): Promise<void> {
  try {
    await connection.send({ type: 'SERVER_STATUS', status: 'BUSY', position, ...(estimateMs !== undefined && { estimateMs }) })
  } catch (error) {
    // The connection is over; whoever waits for its turn learns that from its signal.
    connection.destroy(asFileSyncError(error, 'PEER_GONE'))
  }
}

async function receiveTree (
  connection: Connection, { area, info, deps }: { area: Area, info: ClientFilesInfo, deps: SessionDependencies },
): Promise<NextSync> {
  deps.observer?.onTree(info)
  const sync = await area.beginSync({ client: connection.signal })
  const isSame = equalDigests(info.rootDigest, sync.rootDigest)
  const endLean = leanMemory(isSame ? 0 : info.files)
  try {
    const received = isSame ? NOTHING_RECEIVED : await receiveChanges(connection, { info, sync, deps })
    const next = nextSync(await sync.finish(), received, deps.nextSyncInMs())
    await connection.send(next)
    return next
  } catch (error) {
    await sync.abandon()
    // The brake is no fault of the session: the client is told when to come again, like after any other.
    const known = asFileSyncError(error)
    if (known.code !== 'HALTED') throw error
    const next = haltedSync(known.message, sync.stored, deps.nextSyncInMs())
    await connection.send(next)
    return next
  } finally {
    endLean()
  }
}

async function receiveChanges (
  connection: Connection, { info, sync, deps }: { info: ClientFilesInfo, sync: Sync, deps: SessionDependencies },
): Promise<ReceivedFiles> {
  const { clock, turn } = deps
  const listing = turn.over(withPatience(collectingGarbage(connection), { clock, limitMs: LIMITS.turnTimeoutMs }))
  const pace = new Pace({ clock, signal: AbortSignal.any([connection.signal, turn.signal]) })
  await receiveListings({ connection: listing, rootDigest: info.rootDigest, hash: deps.hash, compare: listing => sync.compare(listing), pace })
  if (pace.isDue) await pace.pause()
  const plan = sync.plan({
    complete: info.complete, resume: deps.features.has(FEATURES.RESUME), digest: true, holes: deps.features.has(FEATURES.HOLES),
  })
  deps.observer?.onPlan(plan)
  let hasAsked = false
  const asking = layerOver(collectingGarbage(connection), {
    send: async message => {
      hasAsked ||= message.type === 'TASKS'
      await connection.send(message)
    },
  })
  sync.onStored = stored => {
    // In front of the first page of tasks the client expects nothing else, and would take it for an error.
    if (hasAsked) void connection.send({ type: 'STORED', ...stored }).catch(() => { /* the receiver notices */ })
  }
  return await receiveFiles({
    connection: turn.over(withPatience(asking, { clock, limitMs: LIMITS.answerTimeoutMs, sizeOf: task => plan.describe(task).sizeBytes })),
    ...deltaTasks({
      tasks: plan.tasks,
      again: () => plan.again(),
      sizeOf: task => plan.describe(task).sizeBytes,
      present: async task => presentCopy(sync.present(task), connection.signal, deps),
    }),
    staging: deps.observer?.noting(sync, plan) ?? sync,
    onProgress: progress => { deps.observer?.onProgress(progress) },
    describe: task => plan.describe(task),
    clock,
    signal: AbortSignal.any([deps.signal, turn.signal]),
    ...(deps.createCutFinder !== undefined && { follow: { hash: deps.hash, createCutFinder: deps.createCutFinder } }),
    holes: deps.features.has(FEATURES.HOLES),
    ...(deps.features.has(FEATURES.ZSTD) && { decompress: deps.decompress }),
  })
}

/** Undefined where the file is to be sent whole. */
function presentCopy (present: PresentFile | undefined, signal: AbortSignal, { features, sign }: SessionDependencies): PresentCopy | undefined {
  if (present === undefined || sign === undefined || !features.has(FEATURES.DELTA)) return undefined
  return {
    sizeBytes: present.sizeBytes,
    sign: async () => await present.signature(async ({ fd, sizeBytes }) => await sign(fd, sizeBytes, signal)),
  }
}

const NOTHING_RECEIVED: ReceivedFiles = { files: 0, bytes: 0, problems: [], problemCount: 0, refused: 0 }
