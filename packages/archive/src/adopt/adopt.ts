import {
  equalDigests, FileSyncError, foldKey, ProblemList, PROBLEMS_KEPT, readListing, ROOT_PATH, splitFolder,
} from '@filesync/protocol'
import type { HashBytes, Name } from '@filesync/protocol'
import type { ArchiveIndex } from '../store/archive-index.ts'
import type { AdoptOptions, AdoptOutcome } from '../archive.ts'
import type { Sync } from '../sync-contract.ts'
import type { ContentStore } from '../store/content-store.ts'
import type { ExistingCopy } from '../store/existing-copy.ts'
import { copyIntoSync } from './copy-into-sync.ts'
import { copyInFolder } from './copy-in-folder.ts'
import { EMPTY_DIRECTORY } from '../store/fold.ts'
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
export async function adoptCopy (adoption: Adoption, existing: ExistingCopy, { folder, signal }: AdoptOptions): Promise<AdoptOutcome> {
  const copy = folder === undefined ? existing : copyInFolder(existing, folder)
  if (folder !== undefined) checkSpelling(adoption, folder)
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
  readonly rebuild: () => Promise<FilesRead>
  /** Reads what is in a folder into the index. */
  readonly indexFolder: (folder: Name) => Promise<FilesRead>
}

interface FilesRead {
  readonly files: number
  readonly bytes: number
}

/**
 * Adopts the files that were placed by hand in the directory of an area or of a folder in it. Throws USAGE if that already holds files.
 * An area that is new to the archive is read as a whole: whatever was placed in it was placed by hand.
 */
export async function adoptInPlace (adoption: InPlaceAdoption, { folder }: AdoptOptions): Promise<AdoptOutcome> {
  const { area, index, store, rebuild, indexFolder } = adoption
  const isNew = index.area(area) === undefined
  for (const { directory, files } of index.directories(area)) {
    if (files > 0 && (folder === undefined || splitFolder(directory).folder === folder)) {
      const what = folder === undefined ? `The area ${JSON.stringify(area)}` : `The folder ${JSON.stringify(`${area}/${folder}`)}`
      throw new FileSyncError('USAGE', `${what} already holds files, so files placed in its directory are not adopted. ` +
        'Move the copy out of the archive and adopt it from there.')
    }
  }
  if (folder !== undefined) checkSpelling(adoption, folder)
  // What another program wrote there may not be on the disk yet.
  await store.makeDurable()
  const read = folder === undefined || isNew ? await rebuild() : await indexFolder(folder)
  return { ...read, held: 0, problems: [], problemCount: 0 }
}

/** Two folders whose names differ only in spelling would be one on other file systems, and the client could push neither. */
function checkSpelling ({ area, index }: Pick<Adoption, 'area' | 'index'>, folder: Name): void {
  for (const { name } of readListing(index.listing({ area, directory: ROOT_PATH }) ?? EMPTY_DIRECTORY.listing)) {
    if (name === folder || foldKey(name) !== foldKey(folder)) continue
    throw new FileSyncError('USAGE', `The archive already holds a folder ${JSON.stringify(`${area}/${name}`)}. Adopt the copy into that ` +
      `folder, or into one whose name differs more from it than ${JSON.stringify(folder)}.`)
  }
}
