import { existsSync, statfsSync } from 'node:fs'

/** The file system type of procfs in statfs. */
const PROC_SUPER_MAGIC = 0x9fa0
const DESCRIPTORS = '/proc/self/fd'

/**
 * Whether names can be looked up below an open directory through `/proc/self/fd`, which cannot be redirected. A directory of that
 * name that is not procfs, which can be created if procfs is not mounted, does not count.
 */
export function hasDescriptorPaths (): boolean {
  try {
    return process.platform === 'linux' && existsSync(DESCRIPTORS) && statfsSync(DESCRIPTORS).type === PROC_SUPER_MAGIC
  } catch {
    return false
  }
}
