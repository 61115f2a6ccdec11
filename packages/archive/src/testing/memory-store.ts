import { readListing } from '@filesync/protocol'
import type { Clock, Digest, HashBytes, RelativePath } from '@filesync/protocol'
import type {
  ContentStore, ContentStream, DirectoryState, EntryPosition, FoundEntry, HistoryLog, KeptEntry, PackFailure, PackRequest, Placing,
  Relocation, Reread, RereadOptions, RestoreOutcome, RestoreRequest, SpoiledFiles, StagedLink, StagedStreamRequest, StoreTraits,
} from '../store/content-store.ts'
import { storableTime, isTimeAsSet } from '../store/file-time.ts'
import { isNoisy, isPlain, sampleRanges } from '../store/noise.ts'
import { ALTERED, NOT_STAGED, WAS_NOTHING } from '../store/section.ts'
import type { Batch, EntryFailure, BatchOutcome, RemovalBatch, Section } from '../store/section.ts'
import { getOrInsert } from './get-or-insert.ts'
import { describeNode, inside, MemoryFolder } from './memory-folder.ts'
import type { MemoryFile, MemoryNode } from './memory-folder.ts'
import { MemoryPlacing } from './memory-placing.ts'
import { restoreInto } from './memory-restore.ts'
import type { MemorySource } from './memory-restore.ts'
import { MemoryStaging } from './memory-staging.ts'
import { MemoryVersions } from './memory-versions.ts'

export interface MemoryStoreInit {
  readonly hash: HashBytes
  readonly clock: Clock
  /** Limits of the file system that the store imitates; none by default. */
  readonly traits?: StoreTraits
  readonly freeBytes?: number
  /** Called before each operation on content; an error that it throws is reported as one of the disk. */
  readonly before?: (call: string) => void
}

/** In-memory counterpart of the on-disk store. Its content outlives an archive that uses it, so that crashes can be tested. */
export class MemoryStore implements ContentStore {
  readonly traits: StoreTraits
  /** The root of the archive, with the areas in it. */
  readonly root: MemoryFolder
  /** What was restored, by the directory that it was restored to. */
  readonly restored: Map<string, MemoryFolder> = new Map()
  readonly staging: Map<string, Map<number, MemoryFile>>
  readonly partial: Map<string, Map<string, Uint8Array>>
  readonly #init: MemoryStoreInit
  readonly #history = new Map<string, Map<number, Uint8Array>>()
  readonly #points = new Map<string, Uint8Array>()
  readonly #staging: MemoryStaging
  readonly #versions: MemoryVersions
  readonly #placing: MemoryPlacing

  constructor (init: MemoryStoreInit) {
    this.#init = init
    this.traits = init.traits ?? { foldsNames: false, windowsNames: false }
    this.root = this.#newFolder()
    this.#staging = new MemoryStaging(init)
    this.staging = this.#staging.files
    this.partial = this.#staging.partial
    this.#versions = new MemoryVersions(() => this.#newFolder())
    this.#placing = new MemoryPlacing({
      root: this.root,
      traits: this.traits,
      staging: this.#staging,
      versions: this.#versions,
      newFolder: () => this.#newFolder(),
      clock: init.clock,
    })
  }

  async openArea (area: string): Promise<void> {
    this.root.below(area, 'make')
  }

  async stagePack (request: PackRequest): Promise<PackFailure[]> {
    this.#before('stagePack')
    return this.#staging.stagePack(request)
  }

  async openStream (request: StagedStreamRequest): Promise<ContentStream> {
    this.#before('openStream')
    return this.#staging.openStream(request, {
      before: call => { this.#before(call) },
      present: () => this.#fileAt(request.area, request.present)?.content,
    })
  }

  async relocate (area: string, staging: string, relocations: readonly Relocation[]): Promise<EntryFailure[]> {
    this.#before('relocate')
    return relocations.flatMap(({ from, number, sizeBytes, mtimeNs, mode: wanted }, entry) => {
      const file = this.#fileAt(area, from)
      const { times } = this.traits
      if (file?.content.length !== sizeBytes || !isTimeAsSet(mtimeNs, storableTime(file.mtimeNs, times), times)) {
        return [{ section: 0, entry, ...ALTERED }]
      }
      const mode = wanted & 0o777 | 0o400
      this.#staging.put(staging, number, { ...file, mode, sinceMs: this.#init.clock.nowMs() })
      return []
    })
  }

  async linkStaged (staging: string, from: number, links: readonly StagedLink[]): Promise<number[]> {
    this.#before('linkStaged')
    const file = this.#staging.get(staging, from)
    if (file === undefined) throw new Error(`Nothing is staged as ${String(from)}.`)
    for (const { number, mode } of links) this.#staging.put(staging, number, { ...file, mode: mode & 0o777 | 0o400 })
    return []
  }

  async findSpoiled (area: string, staging: string, sections: readonly Section[]): Promise<SpoiledFiles> {
    this.#before('findSpoiled')
    const spoiled: EntryPosition[] = []
    let replacing = 0
    sections.forEach(({ directory, entries, staged }, section) => {
      let entry = -1
      for (const { name } of readListing(entries)) {
        const fresh = this.#staging.get(staging, staged[++entry] ?? NOT_STAGED)
        const old = this.#fileAt(area, inside(directory, name))
        if (fresh === undefined || old === undefined) continue
        replacing++
        if (isNoisy(samplesOf(fresh.content)) && isPlain(samplesOf(old.content))) spoiled.push({ section, entry })
      }
    })
    return { replacing, spoiled }
  }

  async place (area: string, batch: Batch, how: Placing): Promise<BatchOutcome> {
    const outcome = newOutcome(batch.sections.reduce((sum, { staged }) => sum + staged.length, 0))
    let at = 0
    batch.sections.forEach(({ directory, entries, staged }, section) => {
      let entry = -1
      for (const listed of readListing(entries)) {
        entry++
        this.#before('place')
        const placed = this.#placing.place(listed, staged[entry] ?? NOT_STAGED, { area, directory, batch, how })
        if (typeof placed === 'number') outcome.before[at] = placed
        else outcome.failures.push({ section, entry, ...typeof placed === 'string' ? { message: placed } : placed })
        at++
      }
    })
    return outcome
  }

  async remove (area: string, { count, stampMs, removals }: RemovalBatch): Promise<BatchOutcome> {
    const outcome = newOutcome(removals.reduce((sum, { names }) => sum + names.length, 0))
    let at = 0
    for (const { directory, names } of removals) {
      const folder = this.root.below(inside(area, directory))
      for (const name of names) {
        this.#before('remove')
        const node = folder?.remove(name)
        outcome.before[at++] = node === undefined ? WAS_NOTHING : this.#versions.keep({ area, directory, count, stampMs }, name, node)
      }
    }
    return outcome
  }

  async renameArea (from: string, to: string): Promise<boolean> {
    const target = this.root.below(to)
    const source = this.root.below(from)
    if (source !== undefined && target !== undefined && target !== source && !target.isEmpty) return false
    const homes = [this.partial, this.#versions.folders, this.#history]
    if (homes.some(home => (source !== undefined || home.has(from)) && (home.get(to)?.size ?? 0) > 0)) return false
    this.#before('renameArea')
    if (source !== undefined) {
      this.root.remove(from)
      this.root.remove(to)
      this.root.put(to, source)
    }
    for (const home of [...homes, this.#points] as Map<string, unknown>[]) {
      this.#before('renameArea')
      if (home.has(from)) home.set(to, home.get(from))
      home.delete(from)
    }
    return true
  }

  async removeArea (area: string): Promise<boolean> {
    if (this.root.below(area)?.isEmpty === false) return false
    for (const home of [this.#history, this.#points, this.#versions.folders, this.partial]) {
      this.#before('removeArea')
      home.delete(area)
    }
    this.root.remove(area)
    return true
  }

  async applyDirectoryStates (area: string, directories: readonly DirectoryState[]): Promise<void> {
    this.#before('applyDirectoryStates')
    for (const { directory, mtimeNs, mode } of directories) {
      const folder = this.root.below(inside(area, directory))
      if (folder !== undefined) Object.assign(folder, { mtimeNs, mode: mode | 0o700 })
    }
  }

  async makeDurable (): Promise<void> {
    this.#before('makeDurable')
  }

  async reclaim (area: string, staging: string): Promise<void> {
    this.#before('reclaim')
    this.#staging.reclaim(area, staging)
  }

  async discard (staging: string | undefined): Promise<void> {
    this.#before('discard')
    this.#staging.discard(staging)
  }

  async partials (area: string): Promise<ReadonlyMap<string, number>> {
    return new Map([...this.partial.get(area) ?? []].map(([name, { length }]) => [name, length]))
  }

  async retainPartials (area: string, kept: ReadonlySet<string>): Promise<void> {
    this.#staging.retainPartials(area, kept)
  }

  async areaBirthtimeMs (area: string): Promise<number> {
    return this.root.below(area)?.sinceMs ?? 0
  }

  async list (area: string, directory: RelativePath): Promise<FoundEntry[]> {
    this.#before('list')
    const folder = this.root.below(inside(area, directory))
    if (folder === undefined) throw new Error(`There is no directory ${JSON.stringify(directory)}.`)
    return folder.entries().map(({ name, node }) => this.#describe(name, node))
  }

  async find (area: string, directory: RelativePath, names: readonly string[]): Promise<(FoundEntry | undefined)[]> {
    this.#before('find')
    return names.map(name => {
      const node = this.root.at(inside(area, inside(directory, name)))
      return node === undefined ? undefined : this.#describe(name, node)
    })
  }

  async reread (area: string, path: RelativePath, { signal, inTurn }: RereadOptions = {}): Promise<Reread | undefined> {
    this.#before('reread')
    signal?.throwIfAborted()
    const file = this.#fileAt(area, path)
    if (file === undefined) return undefined
    const read = async (): Promise<Reread> => ({ digest: this.#init.hash(file.content), from: 'disk' })
    return inTurn === undefined ? await read() : await inTurn(read)
  }

  async digests (area: string, directory: RelativePath, names: readonly string[]): Promise<(Digest | undefined)[]> {
    this.#before('digests')
    return names.map(name => {
      const file = this.#fileAt(area, inside(directory, name))
      return file === undefined ? undefined : this.#init.hash(file.content)
    })
  }

  async versions (area: string, path: RelativePath): Promise<KeptEntry[]> {
    this.#before('versions')
    return this.#versions.list(area, path)
  }

  async dropVersions (area: string, versions: readonly KeptEntry[]): Promise<void> {
    for (const version of versions) {
      this.#before('dropVersions')
      this.#versions.drop(area, version)
    }
  }

  async appendHistory (area: string, { count, bytes }: HistoryLog): Promise<void> {
    this.#before('appendHistory')
    const logs = getOrInsert(this.#history, area, () => new Map<number, Uint8Array>())
    logs.set(count, appended(logs.get(count), bytes))
  }

  async history (area: string): Promise<HistoryLog[]> {
    return [...this.#history.get(area) ?? []].map(([count, bytes]) => ({ count, bytes })).sort((a, b) => a.count - b.count)
  }

  async appendPoints (area: string, bytes: Uint8Array): Promise<void> {
    this.#before('appendPoints')
    this.#points.set(area, appended(this.#points.get(area), bytes))
  }

  async points (area: string): Promise<Uint8Array> {
    return this.#points.get(area) ?? new Uint8Array(0)
  }

  async replacePoints (area: string, bytes: Uint8Array): Promise<void> {
    this.#before('replacePoints')
    this.#points.set(area, bytes)
  }

  async dropHistory (area: string, counts: readonly number[]): Promise<void> {
    this.#before('dropHistory')
    for (const count of counts) this.#history.get(area)?.delete(count)
  }

  async restore (area: string, { to, ...request }: RestoreRequest): Promise<RestoreOutcome> {
    const out = getOrInsert(this.restored, to, () => this.#newFolder())
    const find: MemorySource['find'] = ({ path, from = path, folder }) => {
      const home = folder === undefined ? this.root.below(area) : this.#versions.at(area, folder)
      return home?.at(from)
    }
    return restoreInto(out, request, { find, hash: this.#init.hash })
  }

  async ensurePresent (check: 'path' | 'disk'): Promise<void> {
    this.#before(`ensurePresent ${check}`)
  }

  async freeBytes (): Promise<{ readonly freeBytes: number, readonly totalBytes: number }> {
    const freeBytes = this.#init.freeBytes ?? 2 ** 40
    return { freeBytes, totalBytes: freeBytes }
  }

  async close (): Promise<void> {
    // Nothing to release.
  }

  #fileAt (area: string, path: string): MemoryFile | undefined {
    const node = this.root.at(inside(area, path))
    return node?.kind === 'file' ? node : undefined
  }

  #describe (name: string, node: MemoryNode): FoundEntry {
    const found = describeNode(name, node)
    return { ...found, mtimeNs: storableTime(found.mtimeNs, this.traits.times) }
  }

  #newFolder (): MemoryFolder {
    return new MemoryFolder(this.traits.foldsNames, this.#init.clock.nowMs())
  }

  #before (call: string): void {
    this.#init.before?.(call)
  }
}

function newOutcome (entries: number): BatchOutcome {
  return { failures: [], before: new Uint16Array(entries), agesMs: new Float64Array(entries) }
}

function appended (old: Uint8Array | undefined, bytes: Uint8Array): Uint8Array {
  if (old === undefined) return bytes
  const grown = new Uint8Array(old.length + bytes.length)
  grown.set(old)
  grown.set(bytes, old.length)
  return grown
}

function samplesOf (content: Uint8Array): Uint8Array[] {
  return sampleRanges(content.length).map(({ offset, lengthBytes }) => content.subarray(offset, offset + lengthBytes))
}
