import { equalDigests, ProblemList, PROBLEMS_KEPT, ROOT_PATH } from '@filesync/protocol'
import type { HashBytes } from '@filesync/protocol'
import type { ArchiveIndex } from '../store/archive-index.ts'
import type { AdoptOptions, AdoptOutcome, Sync } from '../archive.ts'
import type { ExistingCopy } from '../store/existing-copy.ts'
import { copyIntoSync } from './copy-into-sync.ts'
import { MergedTree } from './merged-tree.ts'

export interface Adoption {
  readonly area: string
  readonly index: ArchiveIndex
  readonly hash: HashBytes
  readonly beginSync: () => Promise<Sync>
}

/**
 * Takes a copy into an area as if a client that knows no file ids had pushed it, so that all rules of a sync hold. What the
 * area holds already stays as it is: nothing is replaced and nothing leaves. Interrupted, it goes on with the next call.
 */
export async function adoptCopy (adoption: Adoption, copy: ExistingCopy, { signal }: AdoptOptions): Promise<AdoptOutcome> {
  const sync = await adoption.beginSync()
  try {
    const problems = new ProblemList()
    const tree = new MergedTree({ ...adoption, copy, problems, signal })
    const rootDigest = await tree.add(ROOT_PATH)
    if (!equalDigests(rootDigest, sync.rootDigest)) {
      await tree.show(sync)
      await copyIntoSync(sync, copy, { hash: adoption.hash, problems, signal })
    }
    const outcome = await sync.finish()
    return {
      files: outcome.files,
      bytes: outcome.bytes,
      held: tree.held,
      problems: [...problems.first, ...outcome.problems].slice(0, PROBLEMS_KEPT),
      problemCount: problems.count + outcome.problemCount,
    }
  } catch (error) {
    await sync.abandon()
    throw error
  }
}
