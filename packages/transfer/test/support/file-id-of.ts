import type { BigIntStats } from 'node:fs'
import { writeFileId } from '@filesync/protocol'

/** The file id with which a scan lists a file. */
export function fileIdOf ({ ino, birthtimeNs }: Pick<BigIntStats, 'ino' | 'birthtimeNs'>): bigint {
  const fileId = new BigUint64Array(1)
  writeFileId(new Uint32Array(BigUint64Array.of(ino, birthtimeNs).buffer), new Uint32Array(fileId.buffer))
  return fileId[0] ?? 0n
}
