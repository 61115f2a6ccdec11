import { compareNames, ENTRY_KINDS, equalDigests, readListing, splitPath } from '@filesync/protocol'
import type { Clock, Entry, FileEntry, HashBytes, Name, RelativePath } from '@filesync/protocol'
import type { SafeCheckResult, SafeCheckOptions, OtherCopy } from '../archive.ts'
import type { ArchiveIndex } from '../store/archive-index.ts'
import type { ContentStore, FoundEntry, Reread, StoreTraits } from '../store/content-store.ts'
import { openDamageAt } from '../store/damage.ts'
import type { Damage, DamageKind } from '../store/damage.ts'
import { FACT_BYTES, readFact, writeFact } from '../store/facts.ts'
import type { Fact } from '../store/facts.ts'
import { isTimeAsSet } from '../store/file-time.ts'
import type { TimeRange } from '../store/file-time.ts'
import type { StoredDirectory } from '../store/fold.ts'
import { ListingBuilder, ListingCursor } from '../store/listing-cursor.ts'
import { PageLookup } from '../store/page-lookup.ts'
import type { FoundPage } from '../store/stored-pages.ts'
import { isUnknown } from '../store/unknown-entry.ts'
import { isIndexOnly } from '../store/names.ts'
import { revise } from './revise.ts'
import type { Judge, Revision } from './revise.ts'

/** What a check found about a stored file, to be recorded in the index. */
export interface CopyFinding {
  readonly path: RelativePath
  readonly fact: Fact
  readonly what: 'whole' | DamageKind
}

export interface SafeCheck {
  readonly area: string
  readonly index: ArchiveIndex
  readonly store: ContentStore
  readonly hash: HashBytes
  readonly clock: Clock
}

interface Known {
  readonly entry: Entry
  readonly fact: Fact | undefined
}

const ABSENT: SafeCheckResult = { verdict: 'absent' }
const ALTERED: SafeCheckResult = { verdict: 'altered' }
const DAMAGED: SafeCheckResult = { verdict: 'damaged' }
const DIFFERENT: SafeCheckResult = { verdict: 'different' }

/**
 * Compares copies that others hold with those of an area, also while a sync runs: a file that is just being replaced is not called safe.
 * Resolves to one result for each copy, in their order. Nothing is changed.
 */
export async function checkCopies (
  check: SafeCheck, copies: readonly OtherCopy[], options: SafeCheckOptions,
): Promise<{ readonly verdicts: SafeCheckResult[], readonly findings: CopyFinding[] }> {
  const verdicts = copies.map(() => ABSENT)
  const findings: CopyFinding[] = []
  for (const [directory, group] of byDirectory(copies)) {
    options.signal?.throwIfAborted()
    for (const { at, verdict } of await checkDirectory(check, { directory, group, findings }, options)) verdicts[at] = verdict
  }
  return { verdicts, findings }
}

/** A copy to check, and its position in the request. */
interface CheckedCopy {
  readonly at: number
  readonly name: Name
  readonly copy: OtherCopy
}

/** The copies in one directory. */
interface Group {
  readonly directory: RelativePath
  readonly group: readonly CheckedCopy[]
  readonly findings: CopyFinding[]
}

function byDirectory (copies: readonly OtherCopy[]): Map<RelativePath, CheckedCopy[]> {
  const groups = new Map<RelativePath, CheckedCopy[]>()
  copies.forEach((copy, at) => {
    const { directory, name } = splitPath(copy.path)
    const group = groups.get(directory)
    if (group === undefined) groups.set(directory, [{ at, name, copy }])
    else group.push({ at, name, copy })
  })
  return groups
}

async function checkDirectory (
  check: SafeCheck, { directory, group, findings }: Group, options: SafeCheckOptions,
): Promise<{ readonly at: number, readonly verdict: SafeCheckResult }[]> {
  const { area, index, store, hash } = check
  const names = group.map(({ name }) => name)
  const known = knownAt(check, directory, names)
  if (known === undefined) return []
  const found = await store.find(area, directory, names)
  const verdicts = group.map(({ at, name, copy }, i) => {
    const ours = known.get(name)
    const theirs = { ...copy, found: found[i], traits: store.traits, hash }
    const isDamaged = ours !== undefined && isUnknown(ours.entry)
    const verdict = isDamaged
      ? judgeDamaged(openDamageAt(index, area, copy.path), theirs)
      : ours === undefined ? ABSENT : judge(ours, theirs)
    return { at, name, isDamaged, found: found[i], path: copy.path, verdict }
  })
  for (const { name, path, verdict, found: there, isDamaged } of verdicts) {
    const fact = known.get(name)?.fact
    if (verdict !== ALTERED || fact === undefined || isDamaged) continue
    findings.push({ path, fact, what: there === undefined ? 'missing' : 'altered' })
  }
  if (options.fresh !== true) return verdicts
  const reads: (Reread | undefined)[] = []
  for (const { path, verdict } of verdicts) {
    reads.push(verdict.storedAtMs === undefined ? undefined : await store.reread(area, path, options))
  }
  const now = knownAt(check, directory, names)
  return verdicts.map(({ at, name, path, verdict }, i) => {
    const fact = known.get(name)?.fact
    if (verdict.storedAtMs === undefined || fact === undefined) return { at, verdict }
    return { at, verdict: judgeRead({ path, fact, now: now?.get(name)?.fact, read: reads[i] }, check, findings) }
  })
}

/** The copy that someone else holds, and what the store has at its path. */
interface Theirs extends OtherCopy {
  readonly found: FoundEntry | undefined
  readonly traits: StoreTraits
  readonly hash: HashBytes
}

/** The result for a stored entry that is known to be damaged and not repaired. An entry that was added by hand is no copy. */
function judgeDamaged (damage: Damage | undefined, theirs: Theirs): SafeCheckResult {
  if (damage === undefined) return ABSENT
  const { entry, fact, what } = damage
  if (entry.kind !== theirs.kind) return DIFFERENT
  const stored = entry.kind === 'symlink' ? theirs.hash(new TextEncoder().encode(entry.target)) : fact?.digest
  if (stored === undefined || !equalDigests(stored, theirs.digest)) return DIFFERENT
  return what === 'damaged' ? DAMAGED : ALTERED
}

function judge ({ entry, fact }: Known, theirs: Theirs): SafeCheckResult {
  const { found } = theirs
  if (entry.kind !== theirs.kind) return DIFFERENT
  if (entry.kind === 'symlink') {
    if (!equalDigests(theirs.hash(new TextEncoder().encode(entry.target)), theirs.digest)) return DIFFERENT
    if (isIndexOnly(entry, theirs.traits)) return ABSENT
    return found?.kind === 'symlink' && found.target === entry.target ? { verdict: 'safe' } : ALTERED
  }
  if (entry.kind !== 'file' || fact === undefined || !equalDigests(fact.digest, theirs.digest)) return DIFFERENT
  return isFileUnchanged(entry, found, theirs.traits.times) ? safe(fact) : ALTERED
}

function safe ({ storedAtMs, verifiedAtMs }: Pick<Fact, 'storedAtMs' | 'verifiedAtMs'>): SafeCheckResult {
  return { verdict: 'safe', storedAtMs, ...(verifiedAtMs > 0 && { verifiedAtMs }) }
}

interface ReadCopy {
  readonly path: RelativePath
  /** The facts before the file was read, and after that. */
  readonly fact: Fact
  readonly now: Fact | undefined
  readonly read: Reread | undefined
}

function judgeRead ({ path, fact, now, read }: ReadCopy, { clock }: SafeCheck, findings: CopyFinding[]): SafeCheckResult {
  // If a sync stored the file again meanwhile, what was read says nothing about it.
  if (now === undefined || !isSameFact(now, fact)) return ALTERED
  const isWhole = read !== undefined && equalDigests(read.digest, fact.digest)
  findings.push({ path, fact, what: isWhole ? 'whole' : 'damaged' })
  if (!isWhole) return { verdict: 'damaged', ...(read !== undefined && { from: read.from }) }
  return { ...safe({ ...fact, verifiedAtMs: clock.nowMs() }), from: read.from }
}

function isSameFact (left: Fact, right: Fact): boolean {
  return left.storedAtMs === right.storedAtMs && equalDigests(left.digest, right.digest)
}

/** Records findings in the index. Call it only while no sync runs. */
export async function recordFindings (
  { area, index, clock }: Pick<SafeCheck, 'area' | 'index' | 'clock'>, findings: readonly CopyFinding[],
): Promise<void> {
  const byPath = new Map(findings.map(finding => [finding.path, finding]))
  const judge: Judge = ({ path, fact }, facts, at) => {
    const found = byPath.get(path)
    // If a sync stored the file again meanwhile, the finding says nothing about it.
    if (found === undefined || !isSameFact(found.fact, fact)) return 'keep'
    if (found.what !== 'whole') return found.what
    writeFact(facts, at, { ...fact, verifiedAtMs: clock.nowMs() })
    return 'keep'
  }
  const byDirectory = Map.groupBy([...byPath.keys()].map(path => splitPath(path)), ({ directory }) => directory)
  await revise({ area, index, nowMs: clock.nowMs() }, Array.from(byDirectory, ([directory, places]): Revision => (
    { directory, names: places.map(({ name }) => name), judge }
  )))
}

/** Whether a stored file still has the size and mtime that were recorded. */
export function isFileUnchanged (
  { sizeBytes, mtimeNs }: Pick<FileEntry, 'sizeBytes' | 'mtimeNs'>, found: FoundEntry | undefined, times: TimeRange | undefined,
): boolean {
  return found?.kind === 'file' && found.sizeBytes === sizeBytes && isTimeAsSet(mtimeNs, found.mtimeNs, times)
}

/** Finds some entries of a directory page by page; undefined if the index does not have the directory. */
function knownAt ({ area, index }: SafeCheck, directory: RelativePath, names: readonly Name[]): Map<Name, Known> | undefined {
  const pages = new PageLookup(index, area)
  const groups = new Map<FoundPage, Name[]>()
  for (const name of [...new Set(names)].sort(compareNames)) {
    const page = pages.find(directory, name)
    if (page === undefined) return undefined
    const group = groups.get(page)
    if (group === undefined) groups.set(page, [name])
    else group.push(name)
  }
  return new Map([...groups].flatMap(([page, group]) => [...findEntries(page, group)]))
}

/** Finds some entries of a directory with their facts, without decoding the others: there may be a million of them. */
function findEntries ({ listing, facts }: StoredDirectory, names: readonly Name[]): Map<Name, Known> {
  const wanted = [...new Set(names)].sort(compareNames).map(name => new TextEncoder().encode(name))
  const picked = new ListingBuilder()
  const factsAt: number[] = []
  const cursor = new ListingCursor(listing)
  let files = 0
  for (let next = 0; next < wanted.length && cursor.next();) {
    const order = (): number => compareBytes(wanted[next] ?? new Uint8Array(0), cursor)
    while (next < wanted.length && order() < 0) next++
    if (next < wanted.length && order() === 0) {
      picked.add(listing.subarray(cursor.start, cursor.end))
      factsAt.push(files)
      next++
    }
    if (cursor.kind === ENTRY_KINDS.file) files++
  }
  let at = 0
  const known = new Map<Name, Known>()
  for (const entry of readListing(picked.finish())) {
    const file = factsAt[at++] ?? 0
    known.set(entry.name, { entry, fact: entry.kind === 'file' ? readFact(facts, file * FACT_BYTES) : undefined })
  }
  return known
}

function compareBytes (name: Uint8Array, { bytes, nameStart, nameEnd }: ListingCursor): number {
  const length = Math.min(name.length, nameEnd - nameStart)
  for (let i = 0; i < length; i++) {
    const difference = (name[i] ?? 0) - (bytes[nameStart + i] ?? 0)
    if (difference !== 0) return difference
  }
  return name.length - (nameEnd - nameStart)
}
