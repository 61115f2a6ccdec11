import type { BigIntStats } from 'node:fs'
import { writeFileIdentity } from '@filesync/protocol'

/** The identity with which a scan lists a file. */
export function identityOf ({ ino, birthtimeNs }: Pick<BigIntStats, 'ino' | 'birthtimeNs'>): bigint {
  const identity = new BigUint64Array(1)
  writeFileIdentity(new Uint32Array(BigUint64Array.of(ino, birthtimeNs).buffer), new Uint32Array(identity.buffer))
  return identity[0] ?? 0n
}
