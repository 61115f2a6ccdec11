import { LIMITS, wait } from '@filesync/protocol'
import type { Clock, Task } from '@filesync/protocol'
import { signatureBytesOf } from './outstanding-tasks.ts'

export interface TaskPage {
  readonly tasks: readonly Task[]
  readonly last: boolean
}

/** Signatures of one page, so that they do not wait for each other at both ends. */
const PAGE_SIGNATURE_BYTES = 16 << 20
/** A page waits for its next task at most so long. */
const PATIENCE_MS = 20

/** Fills pages with tasks. The last one may be empty, and only the last one. */
export async function * taskPages (tasks: Iterable<Task> | AsyncIterable<Task>, clock: Clock): AsyncGenerator<TaskPage, void, undefined> {
  let page: Task[] = []
  let signatureBytes = 0
  for await (const task of Symbol.asyncIterator in tasks ? withPauses(tasks, clock) : tasks) {
    const isFull = task !== PAUSE && (page.length === LIMITS.tasksPerPage || signatureBytes + signatureBytesOf(task) > PAGE_SIGNATURE_BYTES)
    if (page.length > 0 && (task === PAUSE || isFull)) {
      yield { tasks: page, last: false }
      page = []
      signatureBytes = 0
    }
    if (task === PAUSE) continue
    page.push(task)
    signatureBytes += signatureBytesOf(task)
  }
  yield { tasks: page, last: true }
}

const PAUSE = 'PAUSE'

/** The tasks, and a pause wherever the next one is slow to come. */
async function * withPauses (tasks: AsyncIterable<Task>, clock: Clock): AsyncGenerator<Task | typeof PAUSE, void, undefined> {
  const iterator = tasks[Symbol.asyncIterator]()
  let isOver = false
  try {
    for (;;) {
      const next = iterator.next()
      if (await isSlow(next, clock)) yield PAUSE
      const result = await next
      isOver = result.done === true
      if (result.done === true) return
      yield result.value
    }
  } finally {
    if (!isOver) await iterator.return?.()
  }
}

async function isSlow (next: Promise<unknown>, clock: Clock): Promise<boolean> {
  let isHere = false
  const arrival = next.then(() => { isHere = true }, () => { isHere = true })
  // What is at hand comes within a few turns of the promise queue, and needs no timer.
  for (let turn = 0; turn < 8 && !isHere; turn++) await Promise.resolve()
  if (isHere) return false
  const waiting = new AbortController()
  try {
    await Promise.race([arrival, wait(clock, PATIENCE_MS, waiting.signal).catch(() => { /* the task came first */ })])
  } finally {
    waiting.abort()
  }
  return !isHere
}
