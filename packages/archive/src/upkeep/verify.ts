import { equalDigests, problem } from '@filesync/protocol'
import type { Clock, Digest, HashBytes, Name, Problem, RelativePath } from '@filesync/protocol'
import type { ArchiveIndex } from '../store/archive-index.ts'
import type { VerifyOptions, VerifyOutcome } from '../archive.ts'
import type { ContentStore } from '../store/content-store.ts'
import { openDamages } from '../store/damage.ts'
import type { Damage, DamageKind } from '../store/damage.ts'
import { writeFact } from '../store/facts.ts'
import { eachDirectory, eachPage } from '../store/each-directory.ts'
import type { StoredDirectory } from '../store/fold.ts'
import { filesIn } from '../store/lookup.ts'
import type { KnownFile } from '../store/lookup.ts'
import { repairIfIntact } from './repair.ts'
import { revise } from './revise.ts'
import type { Judge, Revision } from './revise.ts'
import { isUnknown } from '../store/unknown-entry.ts'

export interface Verification {
  readonly area: string
  readonly index: ArchiveIndex
  readonly store: ContentStore
  readonly hash: HashBytes
  readonly clock: Clock
  /** Returns a new folder name in staging, never used before. */
  readonly newStaging: () => string
  /** Runs work that changes the index while no sync runs. */
  readonly step: <T>(work: () => Promise<T>) => Promise<T>
}

/** Files read per request, so that syncs can use the store in between. */
const FILES_AT_ONCE = 64
/** Files or directories whose verification is recorded in one write of the index. */
const FILES_RECORDED_AT_ONCE = 4096

const WHAT: Readonly<Record<DamageKind, string>> = {
  altered: 'its content or mtime was changed in the archive by hand',
  damaged: 'its content in the archive no longer matches its digest',
  missing: 'it is missing from the archive or cannot be read there',
}

/**
 * Verifies every stored file, also while a sync runs. The next sync asks again for damaged and missing files, and every call reports
 * them until they are repaired. Intact files are recorded as verified.
 */
export async function verifyArea (
  verification: Verification, options: VerifyOptions = {},
): Promise<Omit<VerifyOutcome, 'isKnown'> & { readonly repaired: number }> {
  const { area, index } = verification
  const known = [...openDamages(index, area)]
  const problems: Problem[] = []
  const soFar = { files: 0, bytes: 0 }
  const counting: VerifyOptions = { ...options, onProgress: read => {
    soFar.files += read.files
    soFar.bytes += read.bytes
    options.onProgress?.({ ...soFar })
  } }
  const read = new ReadFiles(verification, problems)
  for (const { directory, files } of eachDirectory(index, area)) {
    if (files === 0) continue
    for (const page of eachPage(index, { area, directory })) await read.readPage(directory, page, counting)
  }
  await read.record()
  const { repaired, problems: left } = await verifyDamaged(verification, known, counting)
  for (const trouble of left) problems.push(trouble)
  return { ...soFar, problems, repaired }
}

/** Verifies what is known to be damaged again: it may have been repaired by hand. */
async function verifyDamaged (
  verification: Verification, known: readonly Damage[], { signal, onProgress }: VerifyOptions,
): Promise<{ readonly problems: Problem[], readonly repaired: number }> {
  const problems: Problem[] = []
  let repaired = 0
  for (const damage of known) {
    signal?.throwIfAborted()
    const { entry } = damage
    const state = await repairIfIntact(verification, damage)
    if (entry.kind === 'file') onProgress?.({ files: 1, bytes: entry.sizeBytes })
    if (state === 'repaired') repaired++
    if (state !== 'damaged') continue
    problems.push(toProblem(damage.path, `${WHAT[damage.what]}, as found earlier and not repaired yet`, verification.store))
  }
  return { problems, repaired }
}

/** A file that was read, and the digest of what was read; undefined if it cannot be read. */
interface ReadFile {
  readonly file: KnownFile
  readonly digest: Digest | undefined
}

/** Reads files, and records what was found of some thousand at a time: each write of the index waits for the disk. */
class ReadFiles {
  readonly #verification: Verification
  readonly #problems: Problem[]
  #read = new Map<RelativePath, Map<Name, ReadFile>>()
  #count = 0

  constructor (verification: Verification, problems: Problem[]) {
    this.#verification = verification
    this.#problems = problems
  }

  async readPage (directory: RelativePath, page: StoredDirectory, options: VerifyOptions): Promise<void> {
    const { area, store } = this.#verification
    const files = [...filesIn(directory, page)].filter(({ entry }) => !isUnknown(entry))
    const read = this.#read.get(directory) ?? new Map<Name, ReadFile>()
    if (files.length > 0) this.#read.set(directory, read)
    for (let at = 0; at < files.length; at += FILES_AT_ONCE) {
      options.signal?.throwIfAborted()
      const group = files.slice(at, at + FILES_AT_ONCE)
      const digests = await store.digests(area, directory, group.map(({ entry }) => entry.name))
      // If the disk is gone, nothing can be read, which does not mean that the files are damaged.
      if (digests.includes(undefined)) await store.ensurePresent('disk')
      group.forEach((file, i) => { read.set(file.entry.name, { file, digest: digests[i] }) })
      options.onProgress?.({ files: group.length, bytes: group.reduce((sum, { entry }) => sum + entry.sizeBytes, 0) })
    }
    this.#count += files.length
    if (this.#count >= FILES_RECORDED_AT_ONCE || this.#read.size >= FILES_RECORDED_AT_ONCE) await this.record()
  }

  /** Records what was read since the last call. */
  async record (): Promise<void> {
    const { clock, step } = this.#verification
    const [read, nowMs] = [this.#read, clock.nowMs()]
    this.#read = new Map()
    this.#count = 0
    if (read.size === 0) return
    const problems = new Map<RelativePath, Problem>()
    await step(async () => {
      await revise({ ...this.#verification, nowMs }, Array.from(read, ([directory, files]): Revision => ({
        directory, names: files.keys(), judge: this.#judgeOf(files, problems, nowMs),
      })))
    })
    for (const trouble of problems.values()) this.#problems.push(trouble)
  }

  #judgeOf (files: ReadonlyMap<Name, ReadFile>, problems: Map<RelativePath, Problem>, nowMs: number): Judge {
    return ({ path, entry, fact }, facts, at) => {
      const seen = files.get(entry.name)
      // If a sync stored the file again meanwhile, what was read says nothing about it.
      if (seen === undefined || seen.file.fact.storedAtMs !== fact.storedAtMs) return 'keep'
      if (!equalDigests(seen.file.fact.digest, fact.digest)) return 'keep'
      if (seen.digest !== undefined && equalDigests(seen.digest, fact.digest)) {
        writeFact(facts, at, { ...fact, verifiedAtMs: nowMs })
        return 'keep'
      }
      const what = seen.digest === undefined ? 'missing' : 'damaged'
      problems.set(path, toProblem(path, WHAT[what], this.#verification.store))
      return what
    }
  }
}

function toProblem (path: RelativePath, what: string, { traits }: ContentStore): Problem {
  const next = traits.isReadOnly === true ? 'the archive is read-only, so this is not recorded' : 'the next sync asks for it again'
  return problem(path, 'STORE_FAILED', `${what}; ${next}`)
}
