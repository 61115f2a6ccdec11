import { asFileSyncError, encodeParts, FileSyncError, LIMITS } from '@filesync/protocol'
import type { Clock, Connection, Task } from '@filesync/protocol'
import { Arrivals } from './arrivals.ts'
import type { ArrivalsInit, ReceivedFiles } from './arrivals.ts'
import { OutstandingTasks } from './outstanding-tasks.ts'
import type { ExpectedFile } from './outstanding-tasks.ts'
import { taskPages } from './task-pages.ts'
import type { TaskPage } from './task-pages.ts'

export interface ReceiveFilesInit extends ArrivalsInit {
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
  readonly clock: Clock
  readonly signal?: AbortSignal
  /** The signature that a DELTA task announced, when it is due. */
  readonly signature?: (task: number) => Uint8Array | Promise<Uint8Array>
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
