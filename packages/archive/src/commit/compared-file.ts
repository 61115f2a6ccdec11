import { FileSyncError } from '@filesync/protocol'
import type { Digest, StagedFile, StageOutcome } from '@filesync/protocol'
import type { SyncStatus } from './sync-status.ts'

export interface ComparedFileInit {
  readonly status: SyncStatus
  readonly compare: (digest: Digest) => Promise<StageOutcome>
  readonly abandoned: () => void
}

/** A file for which only the digest is expected. */
export function comparedFile ({ status, compare, abandoned }: ComparedFileInit): StagedFile {
  const refuse = async (): Promise<never> => {
    throw new FileSyncError('DATA_UNEXPECTED', 'Received the content of a file for which only the digest was requested.')
  }
  return {
    write: refuse,
    copy: refuse,
    hole: refuse,
    finish: async digest => {
      status.ensureRunning()
      return await compare(digest)
    },
    abandon: async () => { abandoned() },
  }
}
