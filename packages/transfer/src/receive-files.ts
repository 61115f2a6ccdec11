import { asFileSyncError, encodeParts, FileSyncError, LIMITS } from '@filesync/protocol'
import type { Clock, Connection, Problem, RelativePath, StagingArea, Task } from '@filesync/protocol'
import { Arrivals } from './arrivals.ts'
import type { Decompress } from './compressed-frame.ts'
import type { FollowedSignatureInit } from './followed-signature.ts'
import { OutstandingTasks } from './outstanding-tasks.ts'
import { taskPages } from './task-pages.ts'
import type { TaskPage } from './task-pages.ts'

/** What the server knows of a file that it asks for. */
export interface ExpectedFile {
  readonly path: RelativePath
  /** As the client listed it. */
  readonly sizeBytes: number
}

/** How far the receiving side is. */
export interface ReceiveProgress {
  /** Files that are staged, and their bytes; bytes of files under way are counted as they arrive. */
  readonly files: number
  readonly bytes: number
  /** Files that the client was asked for so far. */
  readonly filesWanted: number
}

export interface ReceiveFilesInit {
  readonly connection: Connection
  /**
   * Taken page by page, one at a time, never further than the client is asked. What is slow to come, because a signature
   * is made first, does not hold up what came before.
   */
  readonly tasks: Iterable<Task | Promise<Task>>
  /**
   * Tasks that became necessary by the answers to those that asked for a digest; taken once, when all others are answered,
   * and numbered behind them.
   */
  readonly again?: () => Iterable<Task | Promise<Task>>
  /** Of the task with this number, counted from 0 in the order of `tasks`. */
  readonly describe: (task: number) => ExpectedFile
  readonly staging: StagingArea
  readonly clock: Clock
  readonly signal?: AbortSignal
  /** The signature that a DELTA task announced, when it is due. */
  readonly signature?: (task: number) => Uint8Array | Promise<Uint8Array>
  /** Makes signatures of what arrives as a difference, to be kept for the next one; without it none are made. */
  readonly follow?: Omit<FollowedSignatureInit, 'signature'>
  /** Given where HELLO agreed on zstd; without it a compressed frame ends the session. */
  readonly decompress?: Decompress
  readonly onProgress?: (progress: ReceiveProgress) => void
}

export interface ReceivedFiles {
  /** Files that are staged, and their bytes. */
  readonly files: number
  readonly bytes: number
  /** The first problems, and how many there were. */
  readonly problems: readonly Problem[]
  readonly problemCount: number
  /** How many of them the staging area told: whoever ends what it is for hears of these there, too. */
  readonly refused: number
}

/**
 * The server's part from TASKS to the last answer: asks for files page by page, and stages what arrives. Every task is
 * answered exactly once and with exactly the bytes that were listed, or the session ends with DATA_UNEXPECTED. Whatever
 * ends it, nothing is still being written when it rejects, and the file that was open is left as it is for a resume.
 */
export async function receiveFiles (init: ReceiveFilesInit): Promise<ReceivedFiles> {
  const { connection, signal } = init
  signal?.throwIfAborted()
  const outstanding = new OutstandingTasks(init.describe)
  const arrivals = new Arrivals(init, outstanding)
  let stop: (() => void) | undefined
  try {
    await new Promise<void>((resolve, reject) => {
      stop = () => { reject(asFileSyncError(signal?.reason, 'ABORTED')) }
      signal?.addEventListener('abort', stop, { once: true })
      arrivals.onFailure = reject
      Promise.all([ask(init, outstanding, arrivals), takeAll(connection, outstanding, arrivals)]).then(() => { resolve() }, reject)
    })
    return await arrivals.finish()
  } catch (error) {
    outstanding.fail(error)
    await arrivals.abandon()
    throw error
  } finally {
    if (stop !== undefined) signal?.removeEventListener('abort', stop)
  }
}

async function takeAll (connection: Connection, outstanding: OutstandingTasks, arrivals: Arrivals): Promise<void> {
  while (await outstanding.isAnswerDue()) await arrivals.accept(await connection.next())
}

async function ask (init: ReceiveFilesInit, outstanding: OutstandingTasks, arrivals: Arrivals): Promise<void> {
  const again = async (): Promise<Iterable<Task | Promise<Task>>> => {
    await outstanding.allAnswered()
    await arrivals.staged()
    return init.again?.() ?? []
  }
  for await (const page of taskPages(init.tasks, init.clock, again)) await sendPage(init, outstanding, page)
}

async function sendPage (init: ReceiveFilesInit, outstanding: OutstandingTasks, page: TaskPage): Promise<void> {
  const first = await outstanding.add(page.tasks, page.last)
  await init.connection.send({ type: 'TASKS', first, ...page })
  for (const [i, task] of page.tasks.entries()) {
    if (task[2] !== 'DELTA') continue
    const number = first + i
    const bytes = await init.signature?.(number)
    if (bytes?.length !== task[3]) throw new FileSyncError('INTERNAL', 'The signature of a file is not the one that its task announced.')
    if (init.follow !== undefined) outstanding.keepSignature(number, bytes)
    for (const payload of encodeParts([{ number, bytes }], LIMITS.rawFrameBytes)) await init.connection.sendRaw('SIGNATURE', [payload])
  }
}
