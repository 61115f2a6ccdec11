import type { Worker } from 'node:worker_threads'

/** The longest delay of a timer. */
const MAX_TIMER_MS = 2 ** 31 - 1

/**
 * Terminates a worker thread and keeps the process alive until it has ended. `terminate` alone does not keep it alive if the
 * worker is not referenced: a process with nothing else to do would exit while closing, with code 13.
 */
export async function endWorker (worker: Worker): Promise<void> {
  const alive = setTimeout(() => { /* only keeps the process alive */ }, MAX_TIMER_MS)
  try {
    await worker.terminate()
  } finally {
    clearTimeout(alive)
  }
}
