import { FileSyncError } from '@filesync/protocol'
import type { Digest, StagedFile, StageOutcome } from '@filesync/protocol'

/** A file of which nothing but the digest arrives. */
export function comparedFile (check: () => void, compare: (digest: Digest) => Promise<StageOutcome>): StagedFile {
  const refuse = async (): Promise<never> => { throw new FileSyncError('DATA_UNEXPECTED', 'Content arrived of a file of which only the digest was asked for.') }
  return {
    write: refuse,
    copy: refuse,
    hole: refuse,
    finish: async digest => {
      check()
      return await compare(digest)
    },
    abandon: async () => { /* nothing was begun */ },
  }
}
