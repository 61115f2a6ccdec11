import { splitPath } from '@filesync/protocol'
import type { RelativePath } from '@filesync/protocol'
import type { ArchiveIndex } from './archive-index.ts'
import { isFileGiven } from './attest.ts'
import type { ContentStore } from './content-store.ts'
import { fileLookup } from './lookup.ts'

/**
 * Whether the store still has a file with the size and time that the index knows. Asked before the file gets another time:
 * where somebody changed it by hand, its time is all that tells.
 */
export async function isAsGiven (
  { index, store, area }: { readonly index: ArchiveIndex, readonly store: ContentStore, readonly area: string }, path: RelativePath,
): Promise<boolean> {
  const known = fileLookup(index, area)(path)?.entry
  const { directory, name } = splitPath(path)
  const [found] = await store.find(area, directory, [name])
  return known !== undefined && isFileGiven(known, found)
}
