import { readFileSync, statfsSync } from 'node:fs'
import { arch, cpus, release, totalmem } from 'node:os'

/** From statfs(2). */
const TMPFS_MAGIC = 0x01021994

/** What the figures depend on: processor, kernel, Node, and where the data is. */
export function describeMachine (scratch: string): string {
  const processors = cpus()
  const model = processors[0]?.model.trim() ?? ''
  const memory = `${Math.round(totalmem() / 2 ** 30)} GiB`
  const disk = isInMemory(scratch) ? 'tmpfs' : 'a disk'
  const processor = model === '' || model === 'unknown' ? arch() : model
  const kernel = `${readFileSync('/proc/sys/kernel/ostype', 'latin1').trim()} ${release()}`
  return `${processors.length} cores of ${processor}, ${memory}, ${kernel}, Node ${process.versions.node}, data on ${disk}`
}

/** Whether a directory is on a memory file system. */
export function isInMemory (directory: string): boolean {
  return statfsSync(directory).type === TMPFS_MAGIC
}
