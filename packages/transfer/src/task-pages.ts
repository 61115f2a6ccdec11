import { LIMITS, wait } from '@filesync/protocol'
import type { Clock, Task } from '@filesync/protocol'
import { signatureBytesOf } from './outstanding-tasks.ts'
import { FIRST_TASKS_MAX } from './task-window.ts'

export interface TaskPage {
  readonly tasks: readonly Task[]
  readonly last: boolean
}

/** Most bytes of signatures for one page, so that both ends do not wait for each other. */
const PAGE_SIGNATURE_BYTES = 16 << 20
/** Longest time that a page waits for its next task. */
const MAX_WAIT_MS = 20

/**
 * Fills pages with tasks. Only the last page may be empty. A slow task does not delay those before it.
 *
 * @param again returns more tasks after the digest tasks are answered; not called if there were none
 */
export async function * taskPages (
  tasks: Iterable<Task | Promise<Task>>, clock: Clock, again?: () => Promise<Iterable<Task | Promise<Task>>>,
): AsyncGenerator<TaskPage, void, undefined> {
  let page: Task[] = []
  let signatureBytes = 0
  let hasDigests = false
  let maxTasks = FIRST_TASKS_MAX
  const takePage = (): TaskPage => {
    const taken = { tasks: page, last: false }
    page = []
    signatureBytes = 0
    return taken
  }
  for (const coming of tasks) {
    if (coming instanceof Promise && page.length > 0 && await isSlow(coming, clock)) yield takePage()
    const task = coming instanceof Promise ? await coming : coming
    if (page.length > 0 && (page.length === maxTasks || signatureBytes + signatureBytesOf(task) > PAGE_SIGNATURE_BYTES)) {
      yield takePage()
      maxTasks = LIMITS.tasksPerPage
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
  // A task that is ready resolves within a few microtasks, and needs no timer.
  for (let turn = 0; turn < 8 && !isHere; turn++) await Promise.resolve()
  if (isHere) return false
  const waiting = new AbortController()
  try {
    await Promise.race([arrival, wait(clock, MAX_WAIT_MS, waiting.signal).catch(() => { /* the task was first */ })])
  } finally {
    waiting.abort()
  }
  return !isHere
}
