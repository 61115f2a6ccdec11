import { connect } from 'node:net'
import type { Socket } from 'node:net'
import { refuseDowngrade } from '@filesync/identity'
import type { ServerBook } from '@filesync/identity'
import { asFileSyncError, FileSyncError } from '@filesync/protocol'
import { LegacyChannel } from '@filesync/protocol/legacy'
import type { Clock } from '@filesync/protocol'
import { localZone, socketStream } from '@filesync/protocol/node'
import type { FileSource } from '@filesync/transfer'
import type { PushRun } from '../push/push-once.ts'
import { failedResult } from '../push/push-result.ts'
import type { PushResult, RunCost } from '../push/push-result.ts'
import type { PushableTree } from '../push/push-session.ts'
import type { HostPort } from '../settings.ts'
import { pushLegacySession } from './push-session.ts'
import type { LegacyPushed } from './push-session.ts'

export interface LegacyPushInit {
  readonly servers: ServerBook
  readonly server: HostPort
  readonly clientId: string | null
  readonly scan: (signal: AbortSignal) => Promise<PushableTree>
  readonly source: FileSource
  readonly clock: Clock
  readonly signal: AbortSignal
  readonly onBusy: () => void
}

const CONNECT_TIMEOUT_MS = 10_000

/** One run against a server of the original program. Never rejects: an error is part of the outcome. */
export async function pushLegacyOnce (init: LegacyPushInit): Promise<PushRun> {
  const { clock } = init
  const startedMs = clock.monotonicMs()
  let channel: LegacyChannel | undefined
  const cost = (): RunCost => ({
    bytesSent: channel?.bytesSent ?? 0,
    bytesReceived: channel?.bytesReceived ?? 0,
    durationMs: Math.round(clock.monotonicMs() - startedMs),
  })
  const stop = (): void => { channel?.destroy(asFileSyncError(init.signal.reason, 'ABORTED')) }
  init.signal.addEventListener('abort', stop, { once: true })
  try {
    channel = await connectUnpaired(init)
    init.signal.throwIfAborted()
    const pushed = await pushLegacySession(channel, { ...init, zone: localZone, scan: async () => await init.scan(init.signal) })
    return { result: resultOf(pushed, cost(), clock), error: undefined, nextInMs: pushed.nextInMs, tree: pushed.tree, stale: new Set() }
  } catch (caught) {
    const error = asFileSyncError(caught)
    return { result: failedResult(error, cost()), error }
  } finally {
    channel?.destroy(new FileSyncError('ABORTED', 'The session is over.'))
    init.signal.removeEventListener('abort', stop)
  }
}

/** Connects, and sends nothing before it is certain that no paired server has this address. */
async function connectUnpaired ({ servers, server, clock, signal }: LegacyPushInit): Promise<LegacyChannel> {
  const paired = await servers.list()
  refuseDowngrade(paired, server.host)
  const socket = await dial(server, clock, signal)
  try {
    refuseDowngrade(paired, (socket.remoteAddress ?? '').replace(/^::ffff:(?=[\d.]+$)/u, ''))
    return new LegacyChannel(socketStream(socket), clock)
  } catch (error) {
    socket.destroy()
    throw error
  }
}

async function dial ({ host, port }: HostPort, clock: Clock, signal: AbortSignal): Promise<Socket> {
  signal.throwIfAborted()
  const socket = connect({ host, port, noDelay: true, allowHalfOpen: true })
  socket.on('error', () => { /* reported below, or by the stream */ })
  const cancel = clock.schedule(CONNECT_TIMEOUT_MS, () => { socket.destroy(new Error('it did not answer in time')) })
  const stop = (): void => { socket.destroy(signal.reason as Error) }
  signal.addEventListener('abort', stop, { once: true })
  try {
    await new Promise<void>((resolve, reject) => {
      socket.once('connect', resolve)
      socket.once('error', reject)
    })
    return socket
  } catch (cause) {
    signal.throwIfAborted()
    const why = cause instanceof Error ? ` (${cause.message})` : ''
    const message = `The server at ${host}:${port} could not be reached${why}. Check that the original program is running there.`
    throw new FileSyncError('SERVER_UNREACHABLE', message, { cause })
  } finally {
    cancel()
    signal.removeEventListener('abort', stop)
  }
}

function resultOf ({ tree, filesSent, problems, nextInMs }: LegacyPushed, cost: RunCost, clock: Clock): PushResult {
  const problemCount = tree.problemCount + problems.length - tree.problems.length
  return {
    result: problemCount > 0 ? 'problems' : 'ok',
    filesSent,
    // The original server does not report what it deleted.
    filesDeleted: 0,
    filesRenamed: 0,
    filesTotal: tree.files,
    bytesTotal: tree.bytes,
    ...cost,
    nextSyncAt: new Date(clock.nowMs() + nextInMs).toISOString(),
    problems,
    problemCount,
    leftOutCount: tree.leftOut?.count ?? 0,
  }
}
