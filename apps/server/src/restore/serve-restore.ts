import type { Area, Moment, PastTree } from '@filesync/archive'
import { prepareMemoryRelease, saveMemory } from '@filesync/program/node'
import {
  asFileSyncError, DIGEST_BYTES, encodeParts, FEATURES, FileSyncError, LIMITS, ListingResponder, pathDepth, wrapConnection,
} from '@filesync/protocol'
import type {
  Clock, Connection, Digest, HashBytes, Hasher, ListingsWanted, RelativePath, RestoreAnswer, RestoreQuestion, Tasks,
} from '@filesync/protocol'
import { sendAnswers } from '@filesync/transfer'
import type { SharedLimit } from '../schedule/shared-limit.ts'
import { answerHistory } from './answer-history.ts'
import { orPointUnknown, parseAreaPath } from './area-path.ts'
import { PastSource } from './past-source.ts'
import type { RestoreDesk } from './restore-desk.ts'

/** What one restore was, for logs and the audit log. */
export interface ServedRestore {
  readonly area: string
  readonly path: string
  readonly point: string | undefined
  readonly atMs: number
  /** The size of the restored state. */
  readonly files: number
  readonly bytes: number
}

export interface RestoreObserver {
  /** A client asked for a state. Awaited before anything of it is sent. */
  onBegin (restore: ServedRestore): Promise<void>
  /** The session has ended; what was sent of the state. */
  onEnd (restore: ServedRestore, sent: { readonly files: number, readonly bytes: number, readonly damaged: number }): void
}

export interface ServeRestoreInit {
  readonly identity: string
  readonly area: string
  readonly desk: RestoreDesk
  readonly features: ReadonlySet<string>
  readonly clock: Clock
  readonly hash: HashBytes
  readonly createHasher: () => Hasher
  /** Limits what all sessions together send and receive; undefined for no limit. */
  readonly limit: SharedLimit | undefined
  /** Aborted when the server is about to stop. */
  readonly stopping: AbortSignal | undefined
  readonly observer?: RestoreObserver | undefined
}

const LISTINGS_FRAME_BYTES = 256 << 10
const NO_DIGEST = new Uint8Array(DIGEST_BYTES) as Digest

/**
 * A session in which a client reads its own files, from after HELLO until it leaves; see docs/protocol.md, "The restore". Everything
 * it can name is inside its own area, which its key decides.
 */
export async function serveRestore (connection: Connection, init: ServeRestoreInit): Promise<void> {
  const leave = init.desk.enter(init)
  const stop = (): void => { void connection.close(new FileSyncError('SERVER_STOPPING', 'The server is stopping. Try again later.')) }
  init.stopping?.addEventListener('abort', stop, { once: true })
  try {
    if (init.stopping?.aborted === true) stop()
    const area = await init.desk.open(init.area)
    await answer(limited(connection, init), area, init)
  } catch (error) {
    // A client that left has no more questions, and nothing was begun that could be lost.
    if (asFileSyncError(error).code !== 'PEER_GONE') throw error
  } finally {
    init.stopping?.removeEventListener('abort', stop)
    leave()
  }
}

/** What is sent counts towards the limit that all clients share, and a client that asks for nothing for long is closed. */
function limited (connection: Connection, { limit }: ServeRestoreInit): Connection {
  const flow = limit?.open()
  const paid = async (bytes: number): Promise<void> => { await flow?.take(bytes, connection.signal) }
  const sendFrame: Connection['sendFrame'] = flow === undefined
    ? async (...frame) => { await connection.sendFrame(...frame) }
    : async (frame, onReleased) => {
      await paid(frame.length)
      await connection.sendFrame(frame, onReleased)
    }
  return wrapConnection(connection, {
    sendFrame,
    sendRaw: async (type, payload, flags) => {
      await paid(payload.reduce((sum, part) => sum + part.length, 0))
      await connection.sendRaw(type, payload, flags)
    },
    receive: async (types, withinMs = LIMITS.answerTimeoutMs) => await connection.receive(types, withinMs),
  })
}

async function answer (connection: Connection, area: Area | undefined, init: ServeRestoreInit): Promise<void> {
  for (;;) {
    const question = await connection.receive(['HISTORY_QUESTION', 'RESTORE_QUESTION'])
    if (question.type === 'RESTORE_QUESTION') return await restore(connection, { area, question, init })
    await connection.send(await answerHistory(area, question))
  }
}

interface Asked {
  readonly area: Area | undefined
  readonly question: RestoreQuestion
  readonly init: ServeRestoreInit
}

/** Serves the state that a client asked for until it leaves. */
async function restore (connection: Connection, { area, question, init }: Asked): Promise<void> {
  const path = parseAreaPath(question.path)
  const releaseMemory = prepareMemoryRelease()
  const tree = await orPointUnknown(area?.openPast({ path, at: momentOf(question) }) ?? Promise.resolve(undefined))
  if (tree === undefined) {
    const what = path === '' ? 'Nothing' : `Nothing at ${JSON.stringify(path)}`
    throw new FileSyncError('PATH_ABSENT', `${what} was stored at that moment. "filesync-client history" shows what there was and when.`)
  }
  const { at, files, bytes } = tree
  const served: ServedRestore = { area: init.area, path, point: at.point, atMs: at.ms, files, bytes }
  const restoreHeapSettings = saveMemory(files)
  const source = new PastSource({ tree, hash: init.hash, createHasher: init.createHasher })
  try {
    await init.observer?.onBegin(served)
    await connection.send(describe(tree))
    await answerAsks(connection, { init, tree, path, source })
  } finally {
    await source.close()
    await tree.close()
    init.observer?.onEnd(served, source.sent)
    restoreHeapSettings()
    releaseMemory()
  }
}

function momentOf ({ point, atMs }: RestoreQuestion): Moment {
  // The server's clock may have been set back, and the present state is wanted nevertheless.
  return point === undefined ? { ms: atMs ?? Infinity } : { point }
}

function describe (tree: PastTree): RestoreAnswer {
  const { at, files, directories, bytes, doubts } = tree
  const fit = (text: string): string => text.slice(0, 1024).toWellFormed()
  return {
    type: 'RESTORE_ANSWER',
    ...(at.point !== undefined && { point: at.point }),
    atMs: Math.max(0, Math.floor(at.ms)),
    files,
    directories,
    bytes,
    doubts: doubts.slice(0, LIMITS.problemsPerMessage).map(({ path, message }) => ({ path: fit(path), message: fit(message) })),
    doubtCount: doubts.length,
  }
}

interface Serving {
  readonly init: ServeRestoreInit
  readonly tree: PastTree
  readonly path: RelativePath
  readonly source: PastSource
}

/** Answers listings and tasks until the client leaves. */
async function answerAsks (connection: Connection, { init, tree, path, source }: Serving): Promise<void> {
  const answers = new ListingResponder({
    rootDigest: NO_DIGEST,
    files: tree.files,
    // The directories above the path are listed too.
    directories: tree.directories + pathDepth(path),
    bytes: tree.bytes,
    listing: directory => tree.listing(directory),
  }, undefined)
  let readingMs = 0
  for (;;) {
    // Before it asks again, a client may have to hash what it already has.
    const asked: ListingsWanted | Tasks = await connection.receive(['LISTINGS_WANTED', 'TASKS'], LIMITS.answerTimeoutMs + readingMs)
    if (asked.type === 'LISTINGS_WANTED') {
      for (const payload of encodeParts(answers.answer(asked.directories), LISTINGS_FRAME_BYTES)) {
        await connection.sendRaw('LISTINGS', [payload])
      }
      continue
    }
    const before = source.namedBytes
    await sendAnswers({
      connection, answers, firstPage: asked, source, clock: init.clock, signal: connection.signal, holes: init.features.has(FEATURES.HOLES),
    })
    readingMs = (source.namedBytes - before) * 1000 / LIMITS.rereadBytesPerSecond
  }
}
