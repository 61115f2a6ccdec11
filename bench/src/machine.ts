import { readFileSync, statfsSync } from 'node:fs'
import { arch, cpus, release, totalmem } from 'node:os'

/** From statfs(2). */
const TMPFS_MAGIC = 0x01021994

/** What a figure depends on: processor, kernel, Node, and where the data lies. */
export function describeMachine (scratch: string): string {
  const processors = cpus()
  const model = processors[0]?.model.trim() ?? ''
  const memory = `${Math.round(totalmem() / 2 ** 30)} GiB`
  const disk = isInMemory(scratch) ? 'tmpfs' : 'a disk'
  return `${processors.length} cores of ${model === '' || model === 'unknown' ? arch() : model}, ${memory}, ${readFileSync('/proc/sys/kernel/ostype', 'latin1').trim()} ${release()}, Node ${process.versions.node}, data on ${disk}`
}

/** Whether what is written to a directory stays in memory. */
export function isInMemory (directory: string): boolean {
  return statfsSync(directory).type === TMPFS_MAGIC
}
