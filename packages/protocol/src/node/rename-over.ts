import { rename } from 'node:fs/promises'
import { setTimeout as delay } from 'node:timers/promises'
import { errnoOf } from '../errno.ts'
import { hasDescriptorPaths } from './descriptor-paths.ts'

/** The delays before further attempts, longer than anyone reads a small file. */
const BUSY_WAITS_MS = [10, 50, 200, 500]
const IN_THE_WAY = new Set(['EPERM', 'EACCES', 'EBUSY'])

/**
 * Renames a file over another one. Windows refuses that while any process has the other one open, as a command does that reads it at that
 * moment: there it is tried again. Throws the error of the last attempt.
 */
export async function renameOver (
  from: string, to: string, waitsMs: readonly number[] = hasDescriptorPaths() ? [] : BUSY_WAITS_MS,
): Promise<void> {
  for (const waitMs of waitsMs) {
    try {
      await rename(from, to)
      return
    } catch (error) {
      if (!IN_THE_WAY.has(errnoOf(error))) throw error
      await delay(waitMs)
    }
  }
  await rename(from, to)
}
