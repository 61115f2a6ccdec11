import { closeSync, openSync, rmSync, statfsSync, writeSync } from 'node:fs'
import { join } from 'node:path'
import type { Bench } from './bench.ts'
import type { DataSet } from './data-set.ts'
import { isInMemory } from './machine.ts'

/** For two programs, their buffers and an index. */
const PROGRAMS_BYTES = 2 ** 29
/** A file in memory takes whole pages, and about one more for its inode, its name and its record in the archive. */
const FILE_BYTES = 8192
const ZEROS = new Uint8Array(2 ** 20)

/**
 * Writes as much memory as a run may take, and frees it again. A virtual machine returns memory that has been free for some
 * seconds to its host, and the first write to such a page takes up to ten times as long. Which side of a pair meets more of these
 * pages would depend on when the other side ended. Does nothing if the data is on a disk.
 */
export function warmMemory ({ home, scale }: Pick<Bench, 'home' | 'scale'>, set: Pick<DataSet, 'bytes' | 'files'>): void {
  if (!isInMemory(home)) return
  const { bavail, bsize } = statfsSync(home)
  const wanted = bytesToWarm(set, scale, bavail * bsize)
  const path = join(home, 'warm')
  const file = openSync(path, 'wx')
  try {
    for (let written = 0; written < wanted;) written += writeSync(file, ZEROS)
  } finally {
    closeSync(file)
    rmSync(path)
  }
}

/** The memory that a run may take: at most half of the free memory, because the programs of both sides are already running. */
export function bytesToWarm ({ bytes, files }: Pick<DataSet, 'bytes' | 'files'>, scale: number, freeBytes: number): number {
  return Math.min(bytes + files.length * FILE_BYTES + PROGRAMS_BYTES * Math.min(1, scale), freeBytes / 2)
}
