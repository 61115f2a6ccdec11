import { equalDigests, problem } from '@filesync/protocol'
import type { Clock, HashBytes, Problem, RelativePath } from '@filesync/protocol'
import type { ArchiveIndex } from './archive-index.ts'
import type { VerifyOptions, VerifyOutcome } from './archive.ts'
import type { ContentStore } from './content-store.ts'
import { FACT_BYTES, writeFact } from './facts.ts'
import { EMPTY_DIRECTORY, foldDirectory } from './fold.ts'
import { knownFiles } from './lookup.ts'
import { refitDigests } from './recover.ts'

export interface Verification {
  readonly area: string
  readonly index: ArchiveIndex
  readonly store: ContentStore
  readonly hash: HashBytes
  readonly clock: Clock
}

/** Files read in one go, so that the store stays free for syncs in between. */
const FILES_AT_ONCE = 64

/**
 * Reads every stored file again. What is damaged or missing leaves the index, so the next sync asks for it; what is
 * whole is noted as verified.
 */
export async function verifyArea (verification: Verification, options: VerifyOptions = {}): Promise<VerifyOutcome> {
  const { area, index } = verification
  const problems: Problem[] = []
  const soFar = { files: 0, bytes: 0 }
  for (const { directory } of [...index.directories(area)]) {
    problems.push(...await verifyDirectory(verification, directory, { ...options, onProgress: read => {
      soFar.files += read.files
      soFar.bytes += read.bytes
      options.onProgress?.({ ...soFar })
    } }))
  }
  if (problems.length > 0) await index.write(refitDigests(verification))
  return { ...soFar, problems }
}

async function verifyDirectory (verification: Verification, directory: RelativePath, options: VerifyOptions): Promise<Problem[]> {
  const { area, index, store, clock } = verification
  const files = [...knownFiles(index, area, directory)]
  if (files.length === 0) return []
  const stored = index.directory({ area, directory }) ?? EMPTY_DIRECTORY
  const facts = stored.facts.slice()
  const damaged = new Set<string>()
  const problems: Problem[] = []
  for (let at = 0; at < files.length; at += FILES_AT_ONCE) {
    options.signal?.throwIfAborted()
    const group = files.slice(at, at + FILES_AT_ONCE)
    const digests = await store.digests(area, directory, group.map(({ entry }) => entry.name))
    group.forEach(({ path, entry, fact }, i) => {
      const digest = digests[i]
      if (digest !== undefined && equalDigests(digest, fact.digest)) {
        writeFact(facts, (at + i) * FACT_BYTES, { ...fact, verifiedAtMs: clock.nowMs() })
        return
      }
      damaged.add(entry.name)
      const what = digest === undefined ? 'it is missing from the archive or cannot be read there' : 'its content in the archive is not what was stored'
      problems.push(problem(path, 'STORE_FAILED', `${what}; it is asked for again at the next sync`))
    })
    options.onProgress?.({ files: group.length, bytes: group.reduce((sum, { entry }) => sum + entry.sizeBytes, 0) })
  }
  const folded = foldDirectory({ listing: stored.listing, facts }, [], damaged)
  await index.write([{ put: { area, directory }, stored: { listing: folded.listing, facts: folded.facts } }])
  return problems
}
