import { equalDigests, problem } from '@filesync/protocol'
import type { Clock, Digest, HashBytes, Problem, RelativePath } from '@filesync/protocol'
import type { ArchiveIndex } from './archive-index.ts'
import type { VerifyOptions, VerifyOutcome } from './archive.ts'
import type { ContentStore } from './content-store.ts'
import { writeFact } from './facts.ts'
import { knownFiles } from './lookup.ts'
import type { KnownFile } from './lookup.ts'
import { isUnknown } from './mirror-check.ts'
import { reviseDirectory } from './revise.ts'

export interface Verification {
  readonly area: string
  readonly index: ArchiveIndex
  readonly store: ContentStore
  readonly hash: HashBytes
  readonly clock: Clock
  /** Does what changes the index while no sync runs. */
  readonly step: <T>(work: () => Promise<T>) => Promise<T>
}

/** Files read in one go, so that the store stays free for syncs in between. */
const FILES_AT_ONCE = 64

/**
 * Reads every stored file again, also while a sync runs. What is damaged or missing leaves the index, so the next sync
 * asks for it; what is whole is noted as verified.
 */
export async function verifyArea (verification: Verification, options: VerifyOptions = {}): Promise<VerifyOutcome> {
  const { area, index } = verification
  const problems: Problem[] = []
  const soFar = { files: 0, bytes: 0 }
  for (const { directory } of [...index.directories(area)]) {
    const found = await verifyDirectory(verification, directory, { ...options, onProgress: read => {
      soFar.files += read.files
      soFar.bytes += read.bytes
      options.onProgress?.({ ...soFar })
    } })
    for (const trouble of found) problems.push(trouble)
  }
  return { ...soFar, problems }
}

async function verifyDirectory (verification: Verification, directory: RelativePath, options: VerifyOptions): Promise<Problem[]> {
  const { area, index, store, clock, step } = verification
  const files = [...knownFiles(index, area, directory)].filter(({ entry }) => !isUnknown(entry))
  if (files.length === 0) return []
  const read = new Map<string, { readonly file: KnownFile, readonly digest: Digest | undefined }>()
  for (let at = 0; at < files.length; at += FILES_AT_ONCE) {
    options.signal?.throwIfAborted()
    const group = files.slice(at, at + FILES_AT_ONCE)
    const digests = await store.digests(area, directory, group.map(({ entry }) => entry.name))
    group.forEach((file, i) => { read.set(file.entry.name, { file, digest: digests[i] }) })
    options.onProgress?.({ files: group.length, bytes: group.reduce((sum, { entry }) => sum + entry.sizeBytes, 0) })
  }
  // On a disk that is gone nothing can be read, which says nothing of the files.
  if ([...read.values()].some(({ digest }) => digest === undefined)) await store.ensurePresent('disk')
  const problems: Problem[] = []
  await step(async () => {
    await reviseDirectory(verification, directory, ({ path, entry, fact }, facts, at) => {
      const seen = read.get(entry.name)
      // A sync stored it anew meanwhile: what was read tells nothing of it.
      if (seen === undefined || seen.file.fact.storedAtMs !== fact.storedAtMs || !equalDigests(seen.file.fact.digest, fact.digest)) return 'keep'
      if (seen.digest !== undefined && equalDigests(seen.digest, fact.digest)) {
        writeFact(facts, at, { ...fact, verifiedAtMs: clock.nowMs() })
        return 'keep'
      }
      const what = seen.digest === undefined ? 'it is missing from the archive or cannot be read there' : 'its content in the archive is not what was stored'
      problems.push(problem(path, 'STORE_FAILED', `${what}; it is asked for again at the next sync`))
      return 'drop'
    })
  })
  return problems
}
