import type { RelativePath } from '@filesync/protocol'
import type { IndexWrite } from '../store/archive-index.ts'
import { damageWrites } from '../store/damage.ts'
import type { DamageKind, DamageSite } from '../store/damage.ts'
import { FACT_BYTES } from '../store/facts.ts'
import { knownFiles } from '../store/lookup.ts'
import type { KnownFile } from '../store/lookup.ts'
import { isUnknown } from '../store/unknown-entry.ts'

/** Judges one stored file, and may write its facts at `at`. The next sync asks again for a damaged file. */
export type Judge = (file: KnownFile, facts: Uint8Array, at: number) => 'keep' | DamageKind

/**
 * Updates the facts and damage of the files in one directory. Call it only while no sync runs. If a file is damaged, the area is marked
 * as open, so that the next sync makes its digests consistent before it compares.
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
  const writes: IndexWrite[] = [
    { put: { area, directory }, stored: revised },
    ...damageWrites(site, { directory, stored: revised, found: damaged }),
  ]
  const record = index.area(area)
  if (damaged.size > 0 && record !== undefined) writes.push({ area, record: { ...record, open: true } })
  await index.write(writes)
}
