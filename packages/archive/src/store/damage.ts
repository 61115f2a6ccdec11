import { encodeListing, joinPath, readListing, ROOT_PATH, splitPath } from '@filesync/protocol'
import type { Entry, RelativePath } from '@filesync/protocol'
import type { ArchiveIndex, DamageRecord, IndexWrite } from './archive-index.ts'
import { FACT_BYTES, readFact, writeFact } from './facts.ts'
import type { Fact } from './facts.ts'
import { EMPTY_DIRECTORY, foldDirectory } from './fold.ts'
import type { StoredDirectory } from './fold.ts'
import { knownPaths } from './lookup.ts'
import { PageLookup } from './page-lookup.ts'
import { rewriteDirectory } from './rewrite-pages.ts'
import { isUnknown, unknownEntry, unknownSection } from './unknown-entry.ts'

/** How the copy in the mirror differs from what was stored. */
export type DamageKind = DamageRecord['what']

/** A stored entry whose copy in the mirror no longer is what was stored. */
export interface Damage {
  readonly path: RelativePath
  readonly what: DamageKind
  readonly foundAtMs: number
  /** When a sync replaced or removed it; undefined if it is not repaired yet. */
  readonly untilMs: number | undefined
  /** The entry as stored. */
  readonly entry: Entry
  /** Of a file. */
  readonly fact: Fact | undefined
}

/** The area with the damage, and the time at which it is found. */
export interface DamageSite {
  readonly index: ArchiveIndex
  readonly area: string
  readonly nowMs: number
}

/** Damage that a report lists one by one. */
const DAMAGE_REPORTED = 100
/** Records kept for one path. Repaired ones are kept as long as versions, because restoring a moment before the repair needs them. */
const RECORDS_PER_PATH = 8

/** Damage at a path and below it, for each path the oldest first. */
function * damagesBelow (index: ArchiveIndex, area: string, top: RelativePath): Generator<Damage, void, undefined> {
  for (const { path, records } of index.damages(area)) {
    if (top === '' || path === top || path.startsWith(`${top}/`)) for (const record of records) yield decode(path, record)
  }
}

/** Damage of an area that is not repaired. */
export function * openDamages (index: ArchiveIndex, area: string): Generator<Damage, void, undefined> {
  for (const damage of damagesBelow(index, area, ROOT_PATH)) if (damage.untilMs === undefined) yield damage
}

/** Damage of an area that is not repaired, the first of it one by one. */
export function damageReport (index: ArchiveIndex, area: string): {
  readonly count: number
  readonly first: readonly Pick<Damage, 'path' | 'what' | 'foundAtMs'>[]
} {
  const first: Pick<Damage, 'path' | 'what' | 'foundAtMs'>[] = []
  let count = 0
  for (const { path, what, foundAtMs } of openDamages(index, area)) {
    if (count++ < DAMAGE_REPORTED) first.push({ path, what, foundAtMs })
  }
  return { count, first }
}

/** Whether an area has any damage, repaired or not. */
export function hasDamage (index: ArchiveIndex, area: string): boolean {
  for (const _ of index.damages(area)) return true
  return false
}

/** The damage at a path that is not repaired. */
export function openDamageAt (index: ArchiveIndex, area: string, path: RelativePath): Damage | undefined {
  const open = index.damagesAt(area, path).find(({ untilMs }) => untilMs === undefined)
  return open === undefined ? undefined : decode(path, open)
}

interface DamagedNames {
  readonly directory: RelativePath
  /** The damaged names; 'all' if the directory itself is gone. */
  readonly found: ReadonlyMap<string, DamageKind> | 'all'
}

interface DamagedDirectory extends DamagedNames {
  readonly stored: StoredDirectory
}

interface DamagedPage extends DamagedNames {
  readonly page: StoredDirectory
}

/**
 * Writes that record damaged names of a directory and everything below them, and make the next sync ask for them again. Apply them only
 * while no sync runs, together with a record that marks the area as open.
 */
export function damageWrites (site: DamageSite, { directory, stored, found }: DamagedDirectory): IndexWrite[] {
  const { writes, page } = damagePage(site, { directory, page: stored, found })
  return page === stored ? [] : [...writes, { put: { area: site.area, directory }, stored: page }]
}

/** As {@link damageWrites} for one page of a directory, which it returns instead of a write of it. The names of the page stay. */
export function damagePage (
  site: DamageSite, { directory, page, found }: DamagedPage,
): { readonly writes: readonly IndexWrite[], readonly page: StoredDirectory } {
  const { index, area } = site
  const writes: IndexWrite[] = []
  const unknown: Entry[] = []
  for (const { entry, fact } of knownEntries(page)) {
    const what = found === 'all' ? 'missing' : found.get(entry.name)
    if (what === undefined || isUnknown(entry)) continue
    const path = joinPath(directory, entry.name)
    writes.push(recordWrite(site, path, { what, entry, fact }))
    unknown.push(unknownFor(entry, what))
    if (entry.kind !== 'directory') continue
    for (const rewrites of rewriteDirectory(index, { area, directory: path }, below => {
      const damaged = damagePage(site, { directory: path, page: below, found: 'all' })
      for (const write of damaged.writes) writes.push(write)
      return damaged.page
    })) for (const write of rewrites) writes.push(write)
  }
  if (unknown.length === 0) return { writes, page }
  const { listing, facts } = foldDirectory(page, [unknownSection(directory, unknown)], new Set())
  return { writes, page: { listing, facts } }
}

/** Writes that record files which a sync found altered. Apply them before the sync replaces those files. */
export function alteredWrites (site: DamageSite, paths: Iterable<RelativePath>): IndexWrite[] {
  const known = [...knownPaths(site.index, site.area, paths)].filter(({ entry }) => !isUnknown(entry))
  return known.map(({ path, entry, fact }) => recordWrite(site, path, { what: 'altered', entry, fact }))
}

/** A write that records the damage of a stored entry. If its damage is known already, the entry recorded first is kept. */
function recordWrite (
  { index, area, nowMs }: DamageSite, path: RelativePath, { what, entry, fact }: Pick<Damage, 'what' | 'entry' | 'fact'>,
): IndexWrite {
  const known = index.damagesAt(area, path)
  const open = known.find(({ untilMs }) => untilMs === undefined)
  const stored = open?.stored ?? { listing: encodeListing([entry]), facts: encodeFact(fact) }
  const earlier = known.filter(record => record !== open).slice(1 - RECORDS_PER_PATH)
  return { area, path, damages: [...earlier, { what, foundAtMs: open?.foundAtMs ?? nowMs, stored }] }
}

/** A write that removes the damage of a path whose entry turned out to be intact. */
export function clearDamageWrite (index: ArchiveIndex, area: string, path: RelativePath): IndexWrite {
  return { area, path, damages: index.damagesAt(area, path).filter(({ untilMs }) => untilMs !== undefined) }
}

/** Writes for the damage that a sync repaired: it stored something at the path, or the client no longer has anything there. */
export function repairedWrites (index: ArchiveIndex, area: string, untilMs: number): IndexWrite[] {
  const writes: IndexWrite[] = []
  const pages = new PageLookup(index, area)
  let last: { readonly page: StoredDirectory | undefined, readonly unknown: ReadonlySet<string> } | undefined
  for (const { path, records } of index.damages(area)) {
    if (records.every(record => record.untilMs !== undefined)) continue
    const { directory, name } = splitPath(path)
    const page = pages.find(directory, name)
    if (last === undefined || last.page !== page) last = { page, unknown: unknownNames(page?.listing) }
    if (last.unknown.has(name)) continue
    writes.push({ area, path, damages: records.map(record => record.untilMs === undefined ? { ...record, untilMs } : record) })
  }
  return writes
}

/** Writes that remove damage which was repaired before a time. */
export function expiredDamageWrites (index: ArchiveIndex, area: string, beforeMs: number): IndexWrite[] {
  const writes: IndexWrite[] = []
  for (const { path, records } of index.damages(area)) {
    const kept = records.filter(({ untilMs }) => untilMs === undefined || untilMs >= beforeMs)
    if (kept.length < records.length) writes.push({ area, path, damages: kept })
  }
  return writes
}

/** The entries of a directory with the facts of its files. */
export function * knownEntries ({ listing, facts }: StoredDirectory): Generator<Pick<Damage, 'entry' | 'fact'>, void, undefined> {
  let at = 0
  for (const entry of readListing(listing)) {
    yield { entry, fact: entry.kind === 'file' ? readFact(facts, at) : undefined }
    if (entry.kind === 'file') at += FACT_BYTES
  }
}

/** The unknown entry that replaces a damaged one. A missing file takes no disk space, so its size is 0. */
function unknownFor (entry: Entry, what: DamageKind): Entry {
  return unknownEntry(entry.kind === 'file' && what === 'missing' ? { ...entry, sizeBytes: 0 } : entry)
}

function unknownNames (listing: Uint8Array | undefined): ReadonlySet<string> {
  const names = new Set<string>()
  for (const entry of readListing(listing ?? EMPTY_DIRECTORY.listing)) if (isUnknown(entry)) names.add(entry.name)
  return names
}

function encodeFact (fact: Fact | undefined): Uint8Array {
  const facts = new Uint8Array(fact === undefined ? 0 : FACT_BYTES)
  if (fact !== undefined) writeFact(facts, 0, fact)
  return facts
}

function decode (path: RelativePath, { what, foundAtMs, untilMs, stored }: DamageRecord): Damage {
  for (const { entry, fact } of knownEntries(stored)) return { path, what, foundAtMs, untilMs, entry, fact }
  throw new RangeError(`The damage record of ${JSON.stringify(path)} in the index has no entry.`)
}
