import { isTimeAsSet } from './file-time.ts'
import type { TimeRange } from './file-time.ts'

/** Told of what is in the way of a file that is brought back. */
export const STAYS = 'something else stands there and stays; name another directory, or say --overwrite'

interface Standing {
  readonly kind: string
  readonly sizeBytes: number
  readonly mtimeNs: bigint
}

/** Whether what stands there is the file that is to be brought back, as an earlier restore left it on a file system of such times. */
export function isRestored (wanted: Standing, there: Standing, times: TimeRange): boolean {
  return wanted.kind === 'file' && there.kind === 'file' && wanted.sizeBytes === there.sizeBytes && isTimeAsSet(wanted.mtimeNs, there.mtimeNs, times)
}
