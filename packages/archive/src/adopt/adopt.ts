import { equalDigests, FileSyncError, ProblemList, PROBLEMS_KEPT, ROOT_PATH } from '@filesync/protocol'
import type { HashBytes } from '@filesync/protocol'
import type { ArchiveIndex } from '../store/archive-index.ts'
import type { AdoptOptions, AdoptOutcome } from '../archive.ts'
import type { Sync } from '../sync-contract.ts'
import type { ContentStore } from '../store/content-store.ts'
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
 * Adopts a copy as if a client without file ids had pushed it, so that all rules of a sync hold. Entries that the area already has
 * are kept: nothing is replaced or removed. If it is interrupted, the next call continues.
 */
export async function adoptCopy (adoption: Adoption, copy: ExistingCopy, { signal }: AdoptOptions): Promise<AdoptOutcome> {
  const sync = await adoption.beginSync()
  try {
    const problems = new ProblemList()
    const tree = new MergedTree({ ...adoption, copy, problems, signal })
    const rootDigest = await tree.add(ROOT_PATH)
    if (!equalDigests(rootDigest, sync.rootDigest)) {
      await tree.passTo(sync)
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

export interface InPlaceAdoption {
  readonly area: string
  readonly index: ArchiveIndex
  readonly store: ContentStore
  readonly rebuild: () => Promise<{ readonly files: number, readonly bytes: number }>
}

/** Adopts the files that were placed in an area's directory by hand. Throws USAGE if the area already holds files. */
export async function adoptInPlace ({ area, index, store, rebuild }: InPlaceAdoption): Promise<AdoptOutcome> {
  for (const { files } of index.directories(area)) {
    if (files > 0) {
      throw new FileSyncError('USAGE', `The area ${JSON.stringify(area)} already holds files, so files placed in its directory ` +
        'are not adopted. Move the copy out of the archive and adopt it from there.')
    }
  }
  // What another program wrote there may not be on the disk yet.
  await store.makeDurable()
  return { ...await rebuild(), held: 0, problems: [], problemCount: 0 }
}
