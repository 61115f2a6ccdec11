import type { RelativePath } from '@filesync/protocol'
import type { IndexWrite } from '../store/archive-index.ts'
import { damageWrites } from '../store/damage.ts'
import type { DamageKind, DamageSite } from '../store/damage.ts'
import { FACT_BYTES } from '../store/facts.ts'
import { knownFiles } from '../store/lookup.ts'
import type { KnownFile } from '../store/lookup.ts'
import { isUnknown } from '../store/unknown-entry.ts'

/** Judges one stored file; may write its facts anew at `at`. What is damaged is asked for again at the next sync. */
export type Judge = (file: KnownFile, facts: Uint8Array, at: number) => 'keep' | DamageKind

/**
 * Corrects what the index says of one directory. To be called while no sync runs. Where something is damaged, the area is
 * marked as one whose digests do not fit together, which the next sync puts right before it compares.
 */
export async function reviseDirectory (site: DamageSite, directory: RelativePath, judge: Judge): Promise<void> {
  const { index, area } = site
  const stored = index.directory({ area, directory })
  if (stored === undefined) return
  const facts = stored.facts.slice()
  const damaged = new Map<string, DamageKind>()
  let at = 0
  for (const file of knownFiles(index, area, directory)) {
    const what = isUnknown(file.entry) ? 'keep' : judge(file, facts, at)
    if (what !== 'keep') damaged.set(file.entry.name, what)
    at += FACT_BYTES
  }
  const revised = { listing: stored.listing, facts }
  const writes: IndexWrite[] = [{ put: { area, directory }, stored: revised }, ...damageWrites(site, { directory, stored: revised, found: damaged })]
  const record = index.area(area)
  if (damaged.size > 0 && record !== undefined) writes.push({ area, record: { ...record, open: true } })
  await index.write(writes)
}
