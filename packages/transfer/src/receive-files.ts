import { asFileSyncError, encodeParts, FileSyncError, LIMITS } from '@filesync/protocol'
import type { Clock, Connection, Task } from '@filesync/protocol'
import { IncomingFiles } from './incoming-files.ts'
import type { IncomingFilesInit, ReceivedFiles } from './incoming-files.ts'
import { OutstandingTasks } from './outstanding-tasks.ts'
import type { ExpectedFile } from './outstanding-tasks.ts'
import { taskPages } from './task-pages.ts'
import type { TaskPage } from './task-pages.ts'

export interface ReceiveFilesInit extends IncomingFilesInit {
  /**
   * Taken one at a time, no further than the pages that are sent. A task that is slow to come, because its signature is made
   * first, does not delay those before it.
   */
  readonly tasks: Iterable<Task | Promise<Task>>
  /**
   * Tasks that the answers to digest tasks made necessary. Taken once, after all others are answered, and numbered after
   * them.
   */
  readonly again?: () => Iterable<Task | Promise<Task>>
  /** Describes the task with this number, counted from 0 in the order of `tasks`. */
  readonly describe: (task: number) => ExpectedFile
  readonly clock: Clock
  readonly signal?: AbortSignal
  /** The signature that a DELTA task announced; called when it is to be sent. */
  readonly signature?: (task: number) => Uint8Array | Promise<Uint8Array>
}

/**
 * The server's side from TASKS to the last answer: asks for files page by page, and stages what arrives. Every task must be
 * answered exactly once and with exactly the bytes that were listed; otherwise it rejects with DATA_UNEXPECTED. When it
 * rejects, for whatever reason, nothing is still being written, and the open file is kept as it is for a resume.
 */
export async function receiveFiles (init: ReceiveFilesInit): Promise<ReceivedFiles> {
  const { connection, signal } = init
  signal?.throwIfAborted()
  const outstanding = new OutstandingTasks(init.describe)
  const incoming = new IncomingFiles(init, outstanding)
  let stop: (() => void) | undefined
  try {
    await new Promise<void>((resolve, reject) => {
      stop = () => { reject(asFileSyncError(signal?.reason, 'ABORTED')) }
      signal?.addEventListener('abort', stop, { once: true })
      incoming.onFailure = reject
      Promise.all([ask(init, outstanding, incoming), acceptAll(connection, outstanding, incoming)]).then(() => { resolve() }, reject)
    })
    return await incoming.finish()
  } catch (error) {
    outstanding.fail(error)
    await incoming.abandon()
    throw error
  } finally {
    if (stop !== undefined) signal?.removeEventListener('abort', stop)
  }
}

async function acceptAll (connection: Connection, outstanding: OutstandingTasks, incoming: IncomingFiles): Promise<void> {
  while (await outstanding.isAnswerDue()) await incoming.accept(await connection.next())
}

async function ask (init: ReceiveFilesInit, outstanding: OutstandingTasks, incoming: IncomingFiles): Promise<void> {
  const again = async (): Promise<Iterable<Task | Promise<Task>>> => {
    await outstanding.allAnswered()
    await incoming.staged()
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
    if (bytes?.length !== task[3]) throw new FileSyncError('INTERNAL', 'A signature does not have the size that its task announced.')
    if (init.deriveSignatures !== undefined) outstanding.keepSignature(number, bytes)
    for (const payload of encodeParts([{ number, bytes }], LIMITS.rawFrameBytes)) await init.connection.sendRaw('SIGNATURE', [payload])
  }
}
