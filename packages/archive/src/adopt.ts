import { checkJoin, checkName, compareNames, encodeListing, equalDigests, FileSyncError, isProblemCode, isSymlinkTarget, joinPath, LIMITS, PACK_RECORD_BYTES, problem, ProblemList, PROBLEMS_KEPT, readListing, ROOT_PATH, writePackRecord } from '@filesync/protocol'
import type { Digest, Entry, HashBytes, Name, Problem, RelativePath } from '@filesync/protocol'
import type { ArchiveIndex } from './archive-index.ts'
import type { Sync } from './archive.ts'
import type { FoundEntry } from './content-store.ts'
import { EMPTY_DIRECTORY } from './fold.ts'

/** An existing copy of a client's directory, outside the archive, as a port. */
export interface ExistingCopy {
  list (directory: RelativePath): FoundEntry[]
  /** Lets the other work of this thread go on. */
  pause (): Promise<void>
  /** Throws where it is no regular file, or cannot be read. */
  open (path: RelativePath): CopiedFile
  close (): void
}

/** A file of it that is open. */
export interface CopiedFile {
  readonly sizeBytes: number
  readonly mtimeNs: bigint
  /** Whether nothing was written to it since it was opened. */
  isUnchanged (): boolean
  /** The next bytes, each piece in a buffer of its own; undefined at the end. */
  read (): Promise<Uint8Array<ArrayBuffer> | undefined>
  /** Of all that was read. */
  digest (): Digest
  close (): void
}

export interface AdoptOptions {
  readonly signal?: AbortSignal
}

export interface AdoptOutcome {
  /** Files that were taken over, and their bytes. */
  readonly files: number
  readonly bytes: number
  /** Entries that the area held already; those of the copy were left alone. */
  readonly held: number
  /** The first of what was not taken over of the copy, and how much there was. */
  readonly problems: readonly Problem[]
  readonly problemCount: number
}

export interface Adoption {
  readonly area: string
  readonly index: ArchiveIndex
  readonly hash: HashBytes
  readonly beginSync: () => Promise<Sync>
}

/**
 * Takes a copy into an area as if a client that knows no identities had pushed it, so that all rules of a sync hold. What the
 * area holds already stays as it is: nothing is replaced and nothing leaves. Interrupted, it goes on with the next call.
 */
export async function adoptCopy (adoption: Adoption, copy: ExistingCopy, { signal }: AdoptOptions): Promise<AdoptOutcome> {
  const sync = await adoption.beginSync()
  try {
    const problems = new ProblemList()
    const tree = new UnitedTree(adoption, copy, { problems, signal })
    const rootDigest = await tree.add(ROOT_PATH)
    if (!equalDigests(rootDigest, sync.rootDigest)) {
      await tree.show(sync)
      await takeOver(sync, copy, { ...adoption, problems, signal })
    }
    const outcome = await sync.finish()
    return {
      files: outcome.files,
      bytes: outcome.bytes,
      held: tree.held,
      problems: [...problems.first, ...outcome.problems].slice(0, PROBLEMS_KEPT),
      problemCount: problems.count + outcome.problemCount,
    }
  } catch (error) {
    await sync.abandon()
    throw error
  }
}

/** Listings that are compared in one go. */
const SHOWN_AT_ONCE = 64

interface Adopting {
  /** What is not taken over before the sync sees it. */
  readonly problems: ProblemList
  readonly signal: AbortSignal | undefined
}

/** The listings of the area with what the copy has beyond them. */
class UnitedTree {
  held = 0
  readonly #problems: ProblemList
  readonly #adoption: Adoption
  readonly #copy: ExistingCopy
  readonly #signal: AbortSignal | undefined
  readonly #listings = new Map<RelativePath, Uint8Array>()

  constructor (adoption: Adoption, copy: ExistingCopy, { problems, signal }: Adopting) {
    this.#adoption = adoption
    this.#copy = copy
    this.#problems = problems
    this.#signal = signal
  }

  /** Reads a directory of the copy and all below it. Returns the digest of its united listing. */
  async add (directory: RelativePath): Promise<Digest> {
    this.#signal?.throwIfAborted()
    await this.#copy.pause()
    const { index, area, hash } = this.#adoption
    const ours = new Map<string, Entry>()
    for (const entry of readListing(index.listing({ area, directory }) ?? EMPTY_DIRECTORY.listing)) ours.set(entry.name, entry)
    for (const found of this.#list(directory)) {
      const entry = await this.#unite(directory, ours.get(found.name), found)
      if (entry !== undefined) ours.set(entry.name, entry)
    }
    const listing = encodeListing([...ours.values()].sort((a, b) => compareNames(a.name, b.name)))
    this.#listings.set(directory, listing)
    return hash(listing)
  }

  #list (directory: RelativePath): FoundEntry[] {
    try {
      return this.#copy.list(directory)
    } catch (error) {
      if (directory === ROOT_PATH || error instanceof FileSyncError) throw error
      this.#problems.add(problem(directory, 'UNREADABLE', 'its entries in the copy cannot be listed'))
      return []
    }
  }

  /** Shows a sync all listings in which something differs from what is stored. */
  async show (sync: Sync): Promise<void> {
    const due: RelativePath[] = [ROOT_PATH]
    for (let number = 0; number < due.length; number++) {
      const directory = due[number] ?? ROOT_PATH
      const bytes = this.#listings.get(directory)
      if (bytes === undefined) continue
      if (number % SHOWN_AT_ONCE === 0) await this.#copy.pause()
      for (const { entry } of sync.compare({ number, directory, bytes })) due.push(joinPath(directory, entry.name))
    }
  }

  async #unite (directory: RelativePath, ours: Entry | undefined, found: FoundEntry): Promise<Entry | undefined> {
    const name = found.name as Name
    const fault = checkName(name) ?? checkJoin(directory, name)
    const path = joinPath(directory, name)
    if (fault !== undefined) return this.#leave(isProblemCode(fault) ? problem(path, fault) : problem(path, 'NAME_RESERVED', fault))
    const { mtimeNs, mode } = found
    if (found.kind === 'directory' && (ours === undefined || ours.kind === 'directory')) {
      const digest = await this.add(path)
      return ours === undefined ? { kind: 'directory', name, mtimeNs, mode, digest } : { ...ours, digest }
    }
    if (ours !== undefined) {
      this.held++
      return undefined
    }
    if (found.kind === 'file') return { kind: 'file', name, mtimeNs, mode, sizeBytes: found.sizeBytes, identity: 0n }
    if (found.kind === 'symlink' && isSymlinkTarget(found.target)) return { kind: 'symlink', name, mtimeNs, target: found.target }
    return this.#leave(problem(path, 'SPECIAL_FILE'))
  }

  #leave (why: Problem): undefined {
    this.#problems.add(why)
  }
}

interface SmallFile {
  readonly task: number
  readonly content: Uint8Array
}

/** Packs under way, so that reading and writing overlap. */
const PACKS_AT_ONCE = 3

/** Reads what the sync wants and gives it to the sync. */
async function takeOver (sync: Sync, copy: ExistingCopy, { hash, problems, signal }: Adopting & { readonly hash: HashBytes }): Promise<void> {
  const plan = sync.plan({ complete: false })
  const small: SmallFile[] = []
  const underWay = new Set<Promise<unknown>>()
  let bytes = 0
  const flush = async (atOnce: number): Promise<void> => {
    if (small.length > 0) {
      const staged = sync.stagePack(makePack(small.splice(0), hash)).finally(() => { underWay.delete(staged) })
      // Whoever waits for one of them is told.
      staged.catch(() => { /* seen below */ })
      underWay.add(staged)
    }
    bytes = 0
    while (underWay.size > atOnce) await Promise.race(underWay)
  }
  let task = 0
  for (const [, , how, argument] of plan.tasks) {
    signal?.throwIfAborted()
    const wanted = plan.describe(task)
    const { path, sizeBytes } = wanted
    try {
      if (sizeBytes > LIMITS.packedFileBytes) await stream(sync, copy, { task, wanted, offset: how === 'RESUME' ? argument : 0 })
      else small.push({ task, content: await readWhole(copy, wanted) })
    } catch (error) {
      if (!(error instanceof Unreadable)) throw error
      problems.add(problem(path, error.code, error.message))
    }
    bytes += sizeBytes > LIMITS.packedFileBytes ? 0 : PACK_RECORD_BYTES + sizeBytes
    if (bytes > LIMITS.rawFrameBytes - PACK_RECORD_BYTES - LIMITS.packedFileBytes) await flush(PACKS_AT_ONCE)
    task++
  }
  await flush(0)
}

class Unreadable extends Error {
  readonly code: 'CHANGED_DURING_READ' | 'UNREADABLE'

  constructor (code: Unreadable['code'], message: string) {
    super(message)
    this.code = code
  }
}

type Wanted = ReturnType<ReturnType<Sync['plan']>['describe']>

function openCopy (copy: ExistingCopy, { path, sizeBytes, mtimeNs }: Wanted): CopiedFile {
  let file: CopiedFile
  try {
    file = copy.open(path)
  } catch (error) {
    if (error instanceof FileSyncError) throw error
    throw new Unreadable('UNREADABLE', 'it cannot be opened in the copy')
  }
  if (file.sizeBytes === sizeBytes && file.mtimeNs === mtimeNs) return file
  file.close()
  throw new Unreadable('CHANGED_DURING_READ', 'its size or time is another one than a moment ago')
}

function checkUnchanged (file: CopiedFile, readBytes: number, sizeBytes: number): void {
  if (readBytes < sizeBytes) throw new Unreadable('CHANGED_DURING_READ', 'it shrank while it was read')
  if (!file.isUnchanged()) throw new Unreadable('CHANGED_DURING_READ', 'it was written to while it was read')
}

async function nextOf (file: CopiedFile): Promise<Uint8Array<ArrayBuffer> | undefined> {
  try {
    return await file.read()
  } catch {
    throw new Unreadable('UNREADABLE', 'it cannot be read to its end in the copy')
  }
}

async function readWhole (copy: ExistingCopy, wanted: Wanted): Promise<Uint8Array> {
  const { sizeBytes } = wanted
  const file = openCopy(copy, wanted)
  try {
    const whole = new Uint8Array(sizeBytes)
    let at = 0
    for (let piece = await nextOf(file); piece !== undefined; piece = await nextOf(file)) {
      if (at + piece.length > sizeBytes) throw new Unreadable('CHANGED_DURING_READ', 'it grew while it was read')
      whole.set(piece, at)
      at += piece.length
    }
    checkUnchanged(file, at, sizeBytes)
    return whole
  } finally {
    file.close()
  }
}

async function stream (sync: Sync, copy: ExistingCopy, { task, wanted, offset }: { readonly task: number, readonly wanted: Wanted, readonly offset: number }): Promise<void> {
  const { sizeBytes } = wanted
  const file = openCopy(copy, wanted)
  try {
    const staged = await sync.beginFile(task, offset)
    try {
      let at = 0
      for (let piece = await nextOf(file); piece !== undefined; piece = await nextOf(file)) {
        const known = Math.min(piece.length, Math.max(0, offset - at))
        at += piece.length
        if (at > sizeBytes) throw new Unreadable('CHANGED_DURING_READ', 'it grew while it was read')
        // The sync takes the buffer; what an interrupted call wrote is there already.
        if (known < piece.length) await staged.write(known === 0 ? piece : piece.slice(known))
      }
      checkUnchanged(file, at, sizeBytes)
    } catch (error) {
      await staged.abandon()
      throw error
    }
    await staged.finish(file.digest())
  } finally {
    file.close()
  }
}

function makePack (files: readonly SmallFile[], hash: HashBytes): Uint8Array<ArrayBuffer> {
  const pack = new Uint8Array(files.reduce((sum, { content }) => sum + PACK_RECORD_BYTES + content.length, 0))
  let at = 0
  for (const { task, content } of files) {
    writePackRecord(pack, at, { task, sizeBytes: content.length, digest: hash(content) })
    pack.set(content, at + PACK_RECORD_BYTES)
    at += PACK_RECORD_BYTES + content.length
  }
  return pack
}
