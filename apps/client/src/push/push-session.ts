import { encodeParts, FEATURES, fitProblems, ListingAnswers } from '@filesync/protocol'
import type { Clock, Connection, Message, MessageOf, MessageType, NextSync, Problem, RelativePath, ServerStatusReady, Tree } from '@filesync/protocol'
import { sendFiles } from '@filesync/transfer'
import type { Compression, FileSource, TransferProgress } from '@filesync/transfer'
import { greetServer } from '../connect/greet.ts'
import { refuseOwnArchive } from './refuse-own-archive.ts'
import { settledSource } from './settled-source.ts'

/** Smaller than frames may be, so that the server compares the first listings while the next are put together. */
const LISTINGS_FRAME_BYTES = 256 << 10

/** What the client has to say about its tree. */
export interface PushableTree extends Tree {
  /** False when a directory could not be read. */
  readonly complete: boolean
  readonly problems: readonly Problem[]
  readonly problemCount: number
  /** Whether a file is still being written; its content is held back. */
  isUnsettled (path: RelativePath): boolean
  /** Those of them whose beginning is sent all the same. */
  readonly growing?: ReadonlySet<RelativePath>
  /** Archives of servers in it. */
  readonly archives?: readonly { readonly path: RelativePath, readonly id: string }[]
}

export interface PushDependencies {
  /** The directory that is pushed. */
  readonly root: string
  /** Taken when it is the client's turn, which a server grants to those alone who have read their tree. */
  readonly scan: () => Promise<PushableTree>
  readonly source: FileSource
  readonly clock: Clock
  readonly signal: AbortSignal
  readonly software: string
  readonly limitBytesPerSecond: number | undefined
  readonly compression: Compression
  readonly onBusy: (position: number, estimateMs: number | undefined) => void
  readonly onReady: (status: ServerStatusReady) => void
  readonly onProgress: (progress: TransferProgress) => void
}

export interface Pushed {
  readonly tree: PushableTree
  readonly next: NextSync
  /** Directories in which files were not what was listed any more when they were to be sent. */
  readonly stale: ReadonlySet<RelativePath>
}

/** One session from HELLO to NEXT_SYNC, as docs/protocol.md has it under "Session". */
export async function pushSession (connection: Connection, deps: PushDependencies): Promise<Pushed> {
  const { features } = await greetServer(connection, deps.software, deps.clock)
  const ready = await waitForTurn(connection, deps.onBusy)
  deps.onReady(ready)
  const tree = await deps.scan()
  refuseOwnArchive({ root: deps.root, archives: tree.archives ?? [], archiveId: ready.archiveId })
  deps.source.refresh()
  await announceTree(connection, tree)
  const answers = new ListingAnswers(tree)
  const stale = new Set<RelativePath>()
  const source = settledSource({
    source: deps.source, isUnsettled: path => tree.isUnsettled(path), growing: tree.growing, onStale: directory => { stale.add(directory) },
  })
  const reply = await answerListings(connection, { answers, onDifference: directories => { deps.source.prepare(directories) } }, ['TASKS', 'NEXT_SYNC'])
  const next = reply.type === 'NEXT_SYNC' ? reply : await sendFiles({
    connection, answers, firstPage: reply, source, clock: deps.clock, signal: deps.signal, onProgress: deps.onProgress,
    compression: features.has(FEATURES.ZSTD) ? deps.compression : 'never',
    holes: features.has(FEATURES.HOLES),
    ...(deps.limitBytesPerSecond !== undefined && { limitBytesPerSecond: deps.limitBytesPerSecond }),
  })
  return { tree, next, stale }
}

/** Waits behind BUSY. */
export async function waitForTurn (connection: Connection, onBusy: PushDependencies['onBusy']): Promise<ServerStatusReady> {
  for (;;) {
    const status = await connection.receive(['SERVER_STATUS'])
    if (status.status === 'READY') return status
    onBusy(status.position, status.estimateMs)
  }
}

/** Says what the client has, as a whole. */
export async function announceTree (connection: Connection, tree: PushableTree): Promise<void> {
  const { rootDigest, files, directories, bytes, complete, problemCount } = tree
  const problems = fitProblems(tree.problems)
  await connection.send({ type: 'CLIENT_FILES_INFO', rootDigest, files, directories, bytes, complete, problems, problemCount })
}

export interface ListingsToAnswer {
  readonly answers: ListingAnswers
  /** Called when the server asks for the listings of so many directories. */
  readonly onDifference?: (directories: number) => void
}

/** Sends the listings that the server asks for, until it says one of `ends`. */
export async function answerListings <T extends MessageType>(
  connection: Connection, { answers, onDifference }: ListingsToAnswer, ends: readonly T[],
): Promise<MessageOf<T>> {
  for (;;) {
    const message: Message = await connection.receive<MessageType>(['LISTINGS_WANTED', ...ends])
    if (message.type !== 'LISTINGS_WANTED') return message as MessageOf<T>
    // None are named where it asks for the root.
    onDifference?.(Math.max(1, message.directories.length))
    for (const payload of encodeParts(answers.answer(message.directories), LISTINGS_FRAME_BYTES)) {
      await connection.sendRaw('LISTINGS', [payload])
    }
  }
}
