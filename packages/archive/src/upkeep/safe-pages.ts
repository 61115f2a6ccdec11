import { compareNames, equalDigests, joinPath, readListing, safePageDigest } from '@filesync/protocol'
import type { Digest, Entry, HashBytes, RelativePath, SafePageEntry } from '@filesync/protocol'
import type { OtherCopy, OtherPage, SafeCheckOptions, SafeCheckResult } from '../archive.ts'
import type { ArchiveIndex } from '../store/archive-index.ts'
import { eachPage } from '../store/each-directory.ts'
import { FACT_BYTES, readFact } from '../store/facts.ts'
import { isUnknown } from '../store/unknown-entry.ts'
import { checkCopies } from './safe-check.ts'
import type { CopyFinding, SafeCheck } from './safe-check.ts'

/** A result for each file of a page, in name order; undefined if not all are safe, so that each has to be checked on its own. */
export type SafePageResult = readonly SafeCheckResult[] | undefined

/**
 * Compares pages that others hold with those of an area. A page is safe only if its digest is that of what the area has there, and every
 * single file of it is safe by {@link checkCopies}: the digest spares the questions, not the checks.
 */
export async function checkPages (
  check: SafeCheck, pages: readonly OtherPage[], options: SafeCheckOptions,
): Promise<{ readonly results: SafePageResult[], readonly findings: CopyFinding[] }> {
  const results: SafePageResult[] = []
  const findings: CopyFinding[] = []
  for (const page of pages) {
    options.signal?.throwIfAborted()
    const copies = equalCopies(check, page)
    const checked = copies && await checkCopies(check, copies, options)
    findings.push(...checked?.findings ?? [])
    results.push(checked?.verdicts.every(({ verdict }) => verdict === 'safe') === true ? checked.verdicts : undefined)
  }
  return { results, findings }
}

/** The files and links that the index has in the place of a page; undefined if they are not the same. */
function equalCopies ({ area, index, hash }: Pick<SafeCheck, 'area' | 'index' | 'hash'>, page: OtherPage): OtherCopy[] | undefined {
  const stored: SafePageEntry[] = []
  for (const { entry, digest } of entriesBetween({ area, index, hash }, page)) {
    // More than there are in the page, or one that is known to be damaged or was put there by hand.
    if (stored.length === page.files || digest === undefined) return undefined
    stored.push({ kind: entry.kind, name: entry.name, sizeBytes: entry.kind === 'file' ? entry.sizeBytes : 0, digest })
  }
  if (stored.length !== page.files || !equalDigests(safePageDigest(stored, hash), page.digest)) return undefined
  return stored.map(({ kind, name, digest }) => ({ path: joinPath(page.directory, name as never), kind, digest }))
}

interface BetweenEntry {
  readonly entry: Exclude<Entry, { kind: 'directory' }>
  /** Undefined if the content is not known. */
  readonly digest: Digest | undefined
}

interface PageSource {
  readonly area: string
  readonly index: ArchiveIndex
  readonly hash: HashBytes
}

function * entriesBetween (
  { area, index, hash }: PageSource, { directory, first, last }: { readonly directory: RelativePath } & Pick<OtherPage, 'first' | 'last'>,
): Generator<BetweenEntry, void, undefined> {
  for (const { listing, facts } of eachPage(index, { area, directory }, first)) {
    let at = -FACT_BYTES
    for (const entry of readListing(listing)) {
      if (entry.kind === 'file') at += FACT_BYTES
      if (entry.kind === 'directory' || compareNames(entry.name, first) < 0) continue
      if (compareNames(entry.name, last) > 0) return
      const digest = entry.kind === 'symlink' ? hash(new TextEncoder().encode(entry.target)) : readFact(facts, at).digest
      yield { entry, digest: isUnknown(entry) ? undefined : digest }
    }
  }
}
