import type { RelativePath } from '@filesync/protocol'
import type { ArchiveIndex, IndexWrite } from './archive-index.ts'
import { FACT_BYTES } from './facts.ts'
import { foldDirectory } from './fold.ts'
import { knownFiles } from './lookup.ts'
import type { KnownFile } from './lookup.ts'

/** Judges one stored file; may write its facts anew at `at`. What is dropped is asked for again at the next sync. */
export type Judge = (file: KnownFile, facts: Uint8Array, at: number) => 'keep' | 'drop'

/**
 * Corrects what the index says of one directory. To be called while no sync runs. Where something is dropped, the area is
 * marked as one whose digests do not fit together, which the next sync puts right before it compares.
 */
export async function reviseDirectory ({ index, area }: { readonly index: ArchiveIndex, readonly area: string }, directory: RelativePath, judge: Judge): Promise<void> {
  const stored = index.directory({ area, directory })
  if (stored === undefined) return
  const facts = stored.facts.slice()
  const dropped = new Set<string>()
  let at = 0
  for (const file of knownFiles(index, area, directory)) {
    if (judge(file, facts, at) === 'drop') dropped.add(file.entry.name)
    at += FACT_BYTES
  }
  const { listing, facts: kept } = foldDirectory({ listing: stored.listing, facts }, [], dropped)
  const writes: IndexWrite[] = [{ put: { area, directory }, stored: { listing, facts: kept } }]
  const record = index.area(area)
  if (dropped.size > 0 && record !== undefined) writes.push({ area, record: { ...record, open: true } })
  await index.write(writes)
}
