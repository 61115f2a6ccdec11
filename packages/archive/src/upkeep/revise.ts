import { compareNames, joinPath, readListing } from '@filesync/protocol'
import type { Name, RelativePath } from '@filesync/protocol'
import type { IndexWrite } from '../store/archive-index.ts'
import { damagePage } from '../store/damage.ts'
import type { DamageKind, DamageSite } from '../store/damage.ts'
import { FACT_BYTES, readFact } from '../store/facts.ts'
import type { StoredDirectory } from '../store/fold.ts'
import type { KnownFile } from '../store/lookup.ts'
import { rewriteDirectory } from '../store/rewrite-pages.ts'
import { leafFor } from '../store/stored-pages.ts'
import type { StoredPage, WrittenPage } from '../store/stored-pages.ts'
import { isUnknown } from '../store/unknown-entry.ts'

/** Judges one stored file, and may write its facts at `at`. The next sync asks again for a damaged file. */
export type Judge = (file: KnownFile, facts: Uint8Array, at: number) => 'keep' | DamageKind

/** Files of one directory to be judged. */
export interface Revision {
  readonly directory: RelativePath
  /** Only pages with one of these names are read. */
  readonly names: Iterable<Name>
  readonly judge: Judge
}

/**
 * Updates the facts and damage of files in different directories. Call it only while no sync runs. If a file is damaged, the area is
 * marked as open, so that the next sync makes its digests consistent before it compares.
 */
export async function revise (site: DamageSite, revisions: readonly Revision[]): Promise<void> {
  const { index, area } = site
  const writes: IndexWrite[] = []
  let isAnyDamaged = false
  for (const revision of revisions) {
    const { changes, damaged } = judgePages(site, revision)
    isAnyDamaged ||= damaged.size > 0
    writes.push(...damaged.size > 0 ? damagedWrites(site, revision, { changes, damaged }) : changes)
  }
  const record = index.area(area)
  if (isAnyDamaged && record !== undefined) writes.push({ area, record: { ...record, open: true } })
  await index.write(writes)
}

interface Judged {
  /** Writes of the pages whose facts changed. */
  readonly changes: readonly IndexWrite[]
  readonly damaged: ReadonlyMap<string, DamageKind>
}

function judgePages ({ index, area }: DamageSite, { directory, names, judge }: Revision): Judged {
  const pages = index.pages({ area, directory })
  const damaged = new Map<string, DamageKind>()
  if (pages === undefined) return { changes: [], damaged }
  const leaves: (StoredPage | WrittenPage)[] = [...pages.leaves]
  const wanted = new Set<number>()
  for (const name of names) wanted.add(leafFor(leaves, page => compareNames(page.firstName, name) > 0))
  let changed: WrittenPage | undefined
  for (const leaf of wanted) {
    const [page, stored] = [leaves[leaf], pages.read(leaf)]
    const facts = judgeFiles(stored, { directory, judge, damaged })
    if (page === undefined || facts === undefined) continue
    changed = { ...page, stored: { listing: stored.listing, facts } }
    leaves[leaf] = changed
  }
  const key = { area, directory }
  if (changed === undefined) return { changes: [], damaged }
  return { changes: [leaves.length === 1 ? { put: key, stored: changed.stored } : { patch: key, leaves }], damaged }
}

/** Returns the new facts of the files of a page; undefined if none changed. */
function judgeFiles (
  stored: StoredDirectory, { directory, judge, damaged }: Omit<Revision, 'names'> & { readonly damaged: Map<string, DamageKind> },
): Uint8Array | undefined {
  const facts = stored.facts.slice()
  let at = 0
  for (const entry of readListing(stored.listing)) {
    if (entry.kind !== 'file') continue
    if (!isUnknown(entry)) {
      const what = judge({ path: joinPath(directory, entry.name), entry, fact: readFact(stored.facts, at) }, facts, at)
      if (what !== 'keep') damaged.set(entry.name, what)
    }
    at += FACT_BYTES
  }
  for (let byte = 0; byte < facts.length; byte++) if (facts[byte] !== stored.facts[byte]) return facts
  return undefined
}

/** Damage makes entries of the directory unknown, in all pages that have some, together with the facts that changed. */
function damagedWrites (site: DamageSite, { directory, judge }: Revision, { damaged }: Judged): IndexWrite[] {
  const { index, area } = site
  const writes: IndexWrite[] = []
  const pages = rewriteDirectory(index, { area, directory }, page => {
    const facts = judgeFiles(page, { directory, judge, damaged: new Map() }) ?? page.facts
    const revised = facts === page.facts ? page : { listing: page.listing, facts }
    const unknown = damagePage(site, { directory, page: revised, found: damaged })
    writes.push(...unknown.writes)
    return unknown.page
  })
  for (const changed of pages) writes.push(...changed)
  return writes
}
