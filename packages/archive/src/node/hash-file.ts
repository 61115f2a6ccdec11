import type { Hasher } from '@filesync/protocol'
import * as disk from './disk.ts'

const READ_BYTES = 1 << 20

/** Feeds a file to a hasher from its start; returns its length. */
export function hashTo (fd: number, hasher: Hasher): number {
  const buffer = new Uint8Array(READ_BYTES)
  for (let position = 0; ;) {
    const read = disk.readInto(fd, buffer, position)
    if (read === 0) return position
    hasher.update(buffer.subarray(0, read))
    position += read
  }
}
