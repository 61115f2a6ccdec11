import { existsSync, statfsSync } from 'node:fs'

/** What statfs calls procfs. */
const PROC_SUPER_MAGIC = 0x9fa0
const DESCRIPTORS = '/proc/self/fd'

/**
 * Whether names can be looked up below an open directory by way of `/proc/self/fd`, which nobody can redirect. A directory of
 * that name which is not procfs, as somebody may make where procfs is not mounted, is no such way.
 */
export function hasDescriptorPaths (): boolean {
  try {
    return process.platform === 'linux' && existsSync(DESCRIPTORS) && statfsSync(DESCRIPTORS).type === PROC_SUPER_MAGIC
  } catch {
    return false
  }
}
