import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { ArchiveIndex } from '../../src/store/archive-index.ts'
import { openLmdbIndex } from '../../src/node/lmdb-index.ts'

/** When in a write of the index a process ends: before it starts, while it is running, or when it is durable. */
export type WriteMoment = 'before' | 'during' | 'after'

/** Makes this process kill itself at the n-th write of any index that it opens. */
export async function killAtWrite (at: number, moment: WriteMoment): Promise<void> {
  const scratch = mkdtempSync(join(tmpdir(), 'filesync-crash-'))
  const index = openLmdbIndex(scratch)
  await index.close()
  rmSync(scratch, { recursive: true })
  const prototype = Object.getPrototypeOf(index) as ArchiveIndex
  const write = Reflect.get(prototype, 'write')
  let writes = 0
  prototype.write = async function (changes) {
    const isDue = changes.length > 0 && ++writes === at
    if (isDue && moment === 'before') die(moment)
    const written = write.call(this, changes)
    if (isDue && moment === 'during') setImmediate(() => { die(moment) })
    await written
    if (isDue) die(moment)
  }
}

function die (moment: WriteMoment): void {
  process.stdout.write(`killed in the index ${moment} a write\n`)
  process.kill(process.pid, 'SIGKILL')
}
