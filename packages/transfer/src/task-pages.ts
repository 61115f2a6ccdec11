import { LIMITS, wait } from '@filesync/protocol'
import type { Clock, Task } from '@filesync/protocol'
import { signatureBytesOf } from './outstanding-tasks.ts'
import { FIRST_TASKS_MAX } from './task-window.ts'

export interface TaskPage {
  readonly tasks: readonly Task[]
  readonly last: boolean
}

/** Signatures of one page, so that they do not wait for each other at both ends. */
const PAGE_SIGNATURE_BYTES = 16 << 20
/** A page waits for its next task at most so long. */
const PATIENCE_MS = 20

/**
 * Fills pages with tasks. The last one may be empty, and only the last one. What waits for a slow task is not held up by it.
 *
 * @param again more tasks, when those that asked for digests are answered; not asked for where there were none
 */
export async function * taskPages (
  tasks: Iterable<Task | Promise<Task>>, clock: Clock, again?: () => Promise<Iterable<Task | Promise<Task>>>,
): AsyncGenerator<TaskPage, void, undefined> {
  let page: Task[] = []
  let signatureBytes = 0
  let hasDigests = false
  let mostTasks = FIRST_TASKS_MAX
  const takePage = (): TaskPage => {
    const taken = { tasks: page, last: false }
    page = []
    signatureBytes = 0
    return taken
  }
  for (const coming of tasks) {
    if (coming instanceof Promise && page.length > 0 && await isSlow(coming, clock)) yield takePage()
    const task = coming instanceof Promise ? await coming : coming
    if (page.length > 0 && (page.length === mostTasks || signatureBytes + signatureBytesOf(task) > PAGE_SIGNATURE_BYTES)) {
      yield takePage()
      mostTasks = LIMITS.tasksPerPage
    }
    page.push(task)
    signatureBytes += signatureBytesOf(task)
    hasDigests ||= task[2] === 'DIGEST'
  }
  if (again === undefined || !hasDigests) {
    yield { tasks: page, last: true }
    return
  }
  if (page.length > 0) yield takePage()
  yield * taskPages(await again(), clock)
}

async function isSlow (coming: Promise<Task>, clock: Clock): Promise<boolean> {
  let isHere = false
  const arrival = coming.then(() => { isHere = true }, () => { isHere = true })
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
