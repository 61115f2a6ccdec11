import { equalDigests, splitPath } from '@filesync/protocol'
import type { Digest, HashBytes } from '@filesync/protocol'
import type { ArchiveIndex } from '../store/archive-index.ts'
import { changeWrites } from '../store/change-directory.ts'
import type { ContentStore, FoundEntry } from '../store/content-store.ts'
import { clearDamageWrite, openDamageAt } from '../store/damage.ts'
import type { Damage } from '../store/damage.ts'
import { NOT_STAGED, SAME_CONTENT } from '../store/section.ts'
import type { Section } from '../store/section.ts'

export interface RepairInit {
  readonly area: string
  readonly index: ArchiveIndex
  readonly store: ContentStore
  readonly hash: HashBytes
  /** Returns a new folder name in staging, never used before. */
  readonly newStaging: () => string
  /** Runs work that changes the index while no sync runs. */
  readonly step: <T>(work: () => Promise<T>) => Promise<T>
}

/**
 * Checks whether a damaged entry is intact after all: only touched, or repaired by hand. Then its mtime and mode are set again and its
 * damage is removed (`repaired`). `gone` if a sync repaired it meanwhile.
 */
export async function repairIfIntact (repair: RepairInit, damage: Damage): Promise<'repaired' | 'damaged' | 'gone'> {
  const { area, index, store, step } = repair
  const { directory, name } = splitPath(damage.path)
  const look = async (): Promise<FoundEntry | undefined> => (await store.find(area, directory, [name]))[0]
  const found = await look()
  const digest = damage.entry.kind === 'file' && found?.kind === 'file' ? (await store.digests(area, directory, [name]))[0] : undefined
  const isIntact = matchesStored(damage, { found, digest })
  return await step(async () => {
    if (openDamageAt(index, area, damage.path)?.foundAtMs !== damage.foundAtMs) return 'gone'
    if (!isIntact || store.traits.isReadOnly === true) return 'damaged'
    const now = await look()
    // It was written to since it was read.
    if (now?.mtimeNs !== found?.mtimeNs || now?.sizeBytes !== found?.sizeBytes) return 'damaged'
    return await confirmIntact(repair, damage) ? 'repaired' : 'damaged'
  })
}

function matchesStored (
  { entry, fact }: Damage, { found, digest }: { readonly found: FoundEntry | undefined, readonly digest: Digest | undefined },
): boolean {
  if (found?.kind !== entry.kind) return false
  if (entry.kind === 'symlink') return found.target === entry.target
  return entry.kind === 'directory' || (fact !== undefined && digest !== undefined && equalDigests(fact.digest, digest))
}

async function confirmIntact ({ area, index, store, hash, newStaging }: RepairInit, damage: Damage): Promise<boolean> {
  const { entry, path } = damage
  const { directory } = splitPath(path)
  const [stored] = index.damagesAt(area, path).filter(({ untilMs }) => untilMs === undefined).map(record => record.stored)
  if (stored === undefined) return false
  const staged = Uint32Array.of(entry.kind === 'file' ? SAME_CONTENT : NOT_STAGED)
  const section: Section = { directory, entries: stored.listing, staged, facts: new Uint8Array(0) }
  const staging = newStaging()
  const { lastStampMs: stampMs = 0, history } = index.area(area) ?? {}
  const began = { count: history?.lastCount ?? 0, stampMs, begunMs: stampMs }
  // Other names of the file have the same recorded metadata.
  const batch = { ...began, staging, sections: [section], removals: [], isRecorded: true } as const
  const { failures } = await store.place(area, batch, 'first')
  if (failures.length > 0) return false
  if (entry.kind === 'directory') await store.applyDirectoryStates(area, [{ directory: path, mtimeNs: entry.mtimeNs, mode: entry.mode }])
  await store.makeDurable()
  const known: Section = { ...section, staged: Uint32Array.of(entry.kind === 'file' ? 0 : NOT_STAGED), facts: stored.facts }
  const record = index.area(area)
  await index.write([
    ...changeWrites({ area, index, hash }, { directory, sections: [known], removed: new Set() }),
    clearDamageWrite(index, area, path),
    ...record === undefined ? [] : [{ area, record: { ...record, open: true } }],
  ])
  await store.discard(staging)
  return true
}
