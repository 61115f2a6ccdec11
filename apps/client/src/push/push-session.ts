/**
 * One session of a push, on a connection to a paired server.
 *
 * What happens at BUSY is decided here, in {@link waitForTurn}: the client stays connected and waits for its turn without a time
 * limit, as long as the server keeps sending (a connection that is silent for `LIMITS.idleTimeoutMs` ends with PEER_TIMEOUT). How
 * long a client waits between two runs is decided in `sync-loop.ts`.
 */
import { encodeParts, FEATURES, fitProblems, ListingResponder } from '@filesync/protocol'
import type {
  Clock, Connection, FolderInfo, Message, MessageOf, MessageType, Name, NextSync, Problem, RelativePath, ServerStatusReady, Tree,
} from '@filesync/protocol'
import { hashBytes } from '@filesync/protocol/node'
import type { LeftOutEntries } from '@filesync/scanner'
import { sendFiles } from '@filesync/transfer'
import type { Compression, FileSource, TransferProgress } from '@filesync/transfer'
import type { Folder } from '../folder.ts'
import { greetServer } from '../connect/greet.ts'
import { refuseOwnArchive } from './refuse-own-archive.ts'
import { settledSource } from './settled-source.ts'

/** Smaller than the frame limit, so that the server compares the first listings while the next are encoded. */
const LISTINGS_FRAME_BYTES = 256 << 10

/** The result of a scan, as a push needs it. */
export interface PushableTree extends Tree {
  /** False if a directory could not be read. */
  readonly complete: boolean
  /** The folders in its root; none if the tree is a directory for the original program. */
  readonly folders?: readonly FolderInfo[]
  /** Directories in the folders that cannot be reached now. */
  readonly away?: readonly RelativePath[]
  /** Folders that leave the archive's mirror. */
  readonly removed?: readonly Name[]
  readonly problems: readonly Problem[]
  readonly problemCount: number
  /** What is left out because of what it is. No problem, so the server does not learn of it. */
  readonly leftOut?: LeftOutEntries
  /** Whether a file is still being written, so that its content is not sent yet. */
  isUnsettled (path: RelativePath): boolean
  /** The unsettled files whose beginning is sent nevertheless. */
  readonly growing?: ReadonlySet<RelativePath>
  /** Archives of servers found in the tree. */
  readonly archives?: readonly { readonly path: RelativePath, readonly id: string }[]
}

export interface PushDependencies {
  /** The folders to push. */
  readonly folders: readonly Folder[]
  /** Called when it is the client's turn. It should resolve at once: scan before the session, so that no turn is spent on it. */
  readonly scan: () => Promise<PushableTree>
  readonly source: FileSource
  readonly clock: Clock
  readonly signal: AbortSignal
  readonly software: string
  /** See `runMark`. */
  readonly mark?: Uint8Array | undefined
  readonly limitBytesPerSecond: number | undefined
  readonly compression: Compression
  readonly onBusy: (position: number, estimateMs: number | undefined) => void
  readonly onReady: (status: ServerStatusReady) => void
  readonly onProgress: (progress: TransferProgress) => void
}

export interface Pushed {
  readonly tree: PushableTree
  readonly next: NextSync
  /** Directories with files that had changed or vanished when they were to be sent. */
  readonly stale: ReadonlySet<RelativePath>
}

/** Runs one session from HELLO to NEXT_SYNC, see docs/protocol.md under "Session". Throws what ends the session early. */
export async function pushSession (connection: Connection, deps: PushDependencies): Promise<Pushed> {
  const { features } = await greetServer(connection, deps)
  const ready = await waitForTurn(connection, deps.onBusy)
  deps.onReady(ready)
  const tree = await deps.scan()
  refuseOwnArchive({ folders: deps.folders, archives: tree.archives ?? [], archiveId: ready.archiveId })
  deps.source.refresh()
  await announceTree(connection, tree)
  const answers = new ListingResponder(tree, hashBytes)
  const onDifference = (directories: number): void => { deps.source.prepare(directories) }
  const reply = await answerListings(connection, { answers, onDifference }, ['TASKS', 'NEXT_SYNC'])
  const stale = new Set<RelativePath>()
  if (reply.type === 'NEXT_SYNC') return { tree, next: reply, stale }
  const next = await sendFiles({
    connection,
    answers,
    firstPage: reply,
    source: settledSource({
      source: deps.source,
      isUnsettled: path => tree.isUnsettled(path),
      growing: tree.growing,
      onStale: directory => { stale.add(directory) },
    }),
    clock: deps.clock,
    signal: deps.signal,
    onProgress: deps.onProgress,
    compression: features.has(FEATURES.ZSTD) ? deps.compression : 'never',
    holes: features.has(FEATURES.HOLES),
    ...(deps.limitBytesPerSecond !== undefined && { limitBytesPerSecond: deps.limitBytesPerSecond }),
  })
  return { tree, next, stale }
}

/** Waits in the server's queue, however long that takes: each BUSY has the position, and READY ends the wait. */
export async function waitForTurn (connection: Connection, onBusy: PushDependencies['onBusy']): Promise<ServerStatusReady> {
  for (;;) {
    const status = await connection.receive(['SERVER_STATUS'])
    if (status.status === 'READY') return status
    onBusy(status.position, status.estimateMs)
  }
}

/** Sends the root digest and the totals of the tree. */
export async function announceTree (connection: Connection, tree: PushableTree): Promise<void> {
  const { rootDigest, files, directories, bytes, folders = [], away = [], removed = [], problemCount } = tree
  const problems = fitProblems(tree.problems)
  await connection.send({
    type: 'CLIENT_FILES_INFO', rootDigest, files, directories, bytes, folders, away, removed, problems, problemCount,
  })
}

export interface ListingsToAnswer {
  readonly answers: ListingResponder
  /** Called with the number of directories whose listings the server asks for. */
  readonly onDifference?: (directories: number) => void
}

/** Sends the listings that the server asks for, until it sends a message of one of the types in `ends`. */
export async function answerListings <T extends MessageType> (
  connection: Connection, { answers, onDifference }: ListingsToAnswer, ends: readonly T[],
): Promise<MessageOf<T>> {
  for (;;) {
    const message: Message = await connection.receive<MessageType>(['LISTINGS_WANTED', ...ends])
    if (message.type !== 'LISTINGS_WANTED') return message as MessageOf<T>
    // A request for the root names no directory.
    onDifference?.(Math.max(1, message.directories.length))
    for (const payload of encodeParts(answers.answer(message.directories), LISTINGS_FRAME_BYTES)) {
      await connection.sendRaw('LISTINGS', [payload])
    }
  }
}
