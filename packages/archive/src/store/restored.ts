import { isTimeAsSet } from './file-time.ts'
import type { TimeRange } from './file-time.ts'

/** Message for a file that was not restored because its path is taken. */
export const PATH_TAKEN = 'something else exists at this path and was kept; choose another directory, or use --overwrite'

interface FileState {
  readonly kind: string
  readonly sizeBytes: number
  readonly mtimeNs: bigint
}

/** Whether the existing file is the one to restore, left by an earlier restore on a file system with this range of times. */
export function isRestored (wanted: FileState, there: FileState, times: TimeRange): boolean {
  return wanted.kind === 'file' && there.kind === 'file' && wanted.sizeBytes === there.sizeBytes &&
    isTimeAsSet(wanted.mtimeNs, there.mtimeNs, times)
}
