import type { Worker } from 'node:worker_threads'

/** As long as a timer can be. */
const FOR_EVER_MS = 2 ** 31 - 1

/**
 * Ends a worker thread and keeps the process alive until it is gone. `terminate` alone does not where the worker is not
 * referenced: a process with nothing else to do would end in the middle of closing, with code 13.
 */
export async function endWorker (worker: Worker): Promise<void> {
  const alive = setTimeout(() => { /* nothing to do, but something to wait for */ }, FOR_EVER_MS)
  try {
    await worker.terminate()
  } finally {
    clearTimeout(alive)
  }
}
