import { checkWindowsName, DIGEST_BYTES, equalDigests, readListing } from '@filesync/protocol'
import type { Clock, Digest, Entry, FileEntry, HashBytes, RelativePath } from '@filesync/protocol'
import type {
  ContentStore, ContentStream, DirectoryState, EntryPlace, FoundEntry, PackFailure, PackRequest, Relocation, Reread, RestoreOutcome, RestoreRequest, SpoiledFiles,
  StoreTraits, StreamRequest, Version,
} from '../content-store.ts'
import { INDEX_ONLY, isContent, NOT_STAGED } from '../section.ts'
import { isNoisy, isPlain, sampleRanges } from '../noise.ts'
import type { Batch, Failure, Removal, Section } from '../section.ts'
import { describeNode, MemoryFolder } from './memory-folder.ts'
import type { MemoryFile, MemoryNode } from './memory-folder.ts'
import { MemoryStream } from './memory-stream.ts'

export interface MemoryStoreInit {
  readonly hash: HashBytes
  readonly clock: Clock
  /** What the store cannot tell apart or hold; it tells and holds everything unless told. */
  readonly traits?: StoreTraits
  readonly freeBytes?: number
  /** Told before each call that touches content; what it throws is what a disk would have answered. */
  readonly before?: (call: string) => void
}

/** The twin of the store on disk. Its content outlives an archive that is opened over it, so crashes can be tested. */
export class MemoryStore implements ContentStore {
  readonly traits: StoreTraits
  /** What lies in the root: the areas. */
  readonly root: MemoryFolder
  /** What was restored, by the directory it was restored to. */
  readonly restored: Map<string, MemoryFolder> = new Map()
  readonly staging: Map<string, Map<number, MemoryFile>> = new Map()
  /** What large files in staging were called while they were unfinished. */
  readonly #unfinished = new Map<string, Map<number, string>>()
  readonly partial: Map<string, Map<string, Uint8Array>> = new Map()
  readonly #init: MemoryStoreInit
  readonly #versions = new Map<string, Map<number, MemoryFolder>>()

  constructor (init: MemoryStoreInit) {
    this.#init = init
    this.traits = init.traits ?? { foldsNames: false, windowsNames: false }
    this.root = this.#newFolder()
  }

  async openArea (area: string): Promise<void> {
    this.root.below(area, 'make')
  }

  async stagePack ({ staging, pack, sections }: PackRequest): Promise<PackFailure[]> {
    this.#before('stagePack')
    const failures: PackFailure[] = []
    sections.forEach(({ section: { entries, staged }, offsets, lengths }, section) => {
      let entry = -1
      for (const listed of readListing(entries)) {
        const [offset, length] = [offsets[++entry] ?? 0, lengths[entry] ?? 0]
        const content = pack.slice(offset, offset + length)
        if (listed.kind !== 'file' || listed.sizeBytes !== length) {
          failures.push({ section, entry, code: 'CHANGED_DURING_READ', message: 'its size is not the listed one' })
        } else if (!equalDigests(this.#init.hash(content), pack.subarray(offset - DIGEST_BYTES, offset))) {
          failures.push({ section, entry, code: 'DIGEST_MISMATCH', message: 'it is asked for again at the next sync' })
        } else {
          this.#stage(staging, staged[entry] ?? 0, this.#newFile(content, listed))
        }
      }
    })
    return failures
  }

  async openStream (request: StreamRequest): Promise<ContentStream> {
    this.#before('openStream')
    return new MemoryStream(request, {
      hash: this.#init.hash,
      before: call => { this.#before(call) },
      partials: entryOf(this.partial, request.area, () => new Map<string, Uint8Array>()),
      present: () => this.#fileAt(request.area, request.present)?.content,
      stage: content => {
        this.#stage(request.staging, request.number, this.#newFile(content, request))
        entryOf(this.#unfinished, request.staging, () => new Map<number, string>()).set(request.number, request.partial)
      },
    })
  }

  async relocate (area: string, staging: string, relocations: readonly Relocation[]): Promise<Failure[]> {
    this.#before('relocate')
    return relocations.flatMap(({ from, number }, entry) => {
      const file = this.#fileAt(area, from)
      if (file === undefined) return [{ section: 0, entry, message: 'it is missing' }]
      this.#stage(staging, number, { ...file })
      return []
    })
  }

  async findSpoiled (area: string, staging: string, sections: readonly Section[]): Promise<SpoiledFiles> {
    this.#before('findSpoiled')
    const spoiled: EntryPlace[] = []
    let replacing = 0
    sections.forEach(({ directory, entries, staged }, section) => {
      let entry = -1
      for (const { name } of readListing(entries)) {
        const fresh = this.staging.get(staging)?.get(staged[++entry] ?? NOT_STAGED)
        const old = this.#fileAt(area, inside(directory, name))
        if (fresh === undefined || old === undefined) continue
        replacing++
        if (isNoisy(samplesOf(fresh.content)) && isPlain(samplesOf(old.content))) spoiled.push({ section, entry })
      }
    })
    return { replacing, spoiled }
  }

  async place (area: string, batch: Batch, how: 'first' | 'again'): Promise<Failure[]> {
    const failures: Failure[] = []
    batch.sections.forEach(({ directory, entries, staged }, section) => {
      let entry = -1
      for (const listed of readListing(entries)) {
        entry++
        this.#before('place')
        const message = this.#placeEntry(listed, staged[entry] ?? NOT_STAGED, { area, directory, batch, how })
        if (message !== undefined) failures.push({ section, entry, message })
      }
    })
    return failures
  }

  async remove (area: string, stampMs: number, removals: readonly Removal[]): Promise<Failure[]> {
    for (const { directory, names } of removals) {
      const folder = this.root.below(inside(area, directory))
      for (const name of names) {
        this.#before('remove')
        const node = folder?.take(name)
        if (node !== undefined) this.#keep({ area, directory, stampMs }, name, node)
      }
    }
    return []
  }

  async settle (area: string, directories: readonly DirectoryState[]): Promise<void> {
    this.#before('settle')
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
    for (const [number, partial] of this.#unfinished.get(staging) ?? []) {
      const whole = this.staging.get(staging)?.get(number)
      if (whole !== undefined) entryOf(this.partial, area, () => new Map<string, Uint8Array>()).set(partial, whole.content)
    }
  }

  async discard (staging: string | undefined): Promise<void> {
    this.#before('discard')
    if (staging === undefined) this.staging.clear()
    else this.staging.delete(staging)
  }

  async partials (area: string): Promise<ReadonlyMap<string, number>> {
    return new Map([...this.partial.get(area) ?? []].map(([name, { length }]) => [name, length]))
  }

  async keepPartials (area: string, kept: ReadonlySet<string>): Promise<void> {
    const partials = this.partial.get(area)
    for (const name of partials?.keys() ?? []) if (!kept.has(name)) partials?.delete(name)
  }

  async list (area: string, directory: RelativePath): Promise<FoundEntry[]> {
    this.#before('list')
    const folder = this.root.below(inside(area, directory))
    if (folder === undefined) throw new Error(`There is no directory ${JSON.stringify(directory)}.`)
    return folder.entries().map(({ name, node }) => describeNode(name, node))
  }

  async find (area: string, directory: RelativePath, names: readonly string[]): Promise<(FoundEntry | undefined)[]> {
    this.#before('find')
    return names.map(name => {
      const node = this.root.at(inside(area, inside(directory, name)))
      return node === undefined ? undefined : describeNode(name, node)
    })
  }

  async reread (area: string, path: RelativePath, signal?: AbortSignal): Promise<Reread | undefined> {
    this.#before('reread')
    signal?.throwIfAborted()
    const file = this.#fileAt(area, path)
    return file === undefined ? undefined : { digest: this.#init.hash(file.content), from: 'disk' }
  }

  async digests (area: string, directory: RelativePath, names: readonly string[]): Promise<(Digest | undefined)[]> {
    this.#before('digests')
    return names.map(name => {
      const file = this.#fileAt(area, inside(directory, name))
      return file === undefined ? undefined : this.#init.hash(file.content)
    })
  }

  async versions (area: string, path: RelativePath): Promise<Version[]> {
    this.#before('versions')
    const stamps = [...this.#versions.get(area) ?? []].sort(([a], [b]) => b - a)
    return stamps.flatMap(([untilMs, folder]) => {
      if (path === '') return below(folder, '', untilMs)
      const node = folder.at(path)
      return node === undefined ? [] : [versionOf(path, node, untilMs), ...below(node, path, untilMs)]
    })
  }

  async dropVersions (area: string, versions: readonly Version[]): Promise<void> {
    const home = this.#versions.get(area)
    for (const { untilMs, path, kind } of versions) {
      this.#before('dropVersions')
      const stamp = home?.get(untilMs)
      if (stamp === undefined) continue
      if (kind !== 'directory') stamp.below(above(path))?.take(nameOf(path))
      for (let at: string = kind === 'directory' ? path : above(path); at !== ''; at = above(at)) {
        const folder = stamp.below(at)
        if (folder?.isEmpty === true) stamp.below(above(at))?.take(nameOf(at))
      }
      if (stamp.isEmpty) home?.delete(untilMs)
    }
  }

  async restore (area: string, { files, directories, to }: RestoreRequest): Promise<RestoreOutcome> {
    const out = entryOf(this.restored, to, () => this.#newFolder())
    for (const { directory } of directories) out.below(directory, 'make')
    const failures: { path: string, message: string }[] = []
    let bytes = 0
    for (const { path, version } of files) {
      const node = (version === undefined ? this.root.below(area) : this.#versions.get(area)?.get(version))?.at(path)
      if (node === undefined) failures.push({ path, message: 'it is missing' })
      else out.below(above(path), 'make')?.put(nameOf(path), node)
      if (node?.kind === 'file') bytes += node.content.length
    }
    for (const { directory, mtimeNs, mode } of directories) Object.assign(out.below(directory) ?? {}, { mtimeNs, mode })
    return { files: files.length - failures.length, bytes, failures }
  }

  async freeBytes (): Promise<{ readonly freeBytes: number, readonly totalBytes: number }> {
    const freeBytes = this.#init.freeBytes ?? 2 ** 40
    return { freeBytes, totalBytes: freeBytes }
  }

  async close (): Promise<void> {
    // What is in memory needs no closing.
  }

  #placeEntry (entry: Entry, number: number, to: { readonly area: string, readonly directory: RelativePath, readonly batch: Batch, readonly how: 'first' | 'again' }): string | undefined {
    const { area, directory, batch, how } = to
    const folder = this.root.below(inside(area, directory))
    if (folder === undefined) return 'its directory is missing'
    if (this.traits.windowsNames && checkWindowsName(entry.name) !== undefined) return 'the store cannot hold such a name'
    const old = folder.get(entry.name)
    const put = (node: MemoryNode): undefined => {
      if (old !== undefined) this.#keep({ area, directory, stampMs: batch.stampMs }, entry.name, old)
      folder.put(entry.name, node)
    }
    if (entry.kind === 'directory') return old?.kind === 'directory' ? undefined : put(this.#newFolder())
    if (entry.kind === 'symlink') {
      if (number === INDEX_ONLY) return undefined
      return put({ kind: 'symlink', target: entry.target, mtimeNs: entry.mtimeNs, sinceMs: this.#init.clock.nowMs() })
    }
    if (!isContent(number)) return touch(old, entry)
    const staged = this.staging.get(batch.staging)?.get(number)
    if (staged === undefined) return how === 'again' && isPlaced(old, entry) ? undefined : 'its content is not in staging'
    this.staging.get(batch.staging)?.delete(number)
    return put(staged)
  }

  #keep ({ area, directory, stampMs }: { readonly area: string, readonly directory: RelativePath, readonly stampMs: number }, name: string, node: MemoryNode): void {
    const home = entryOf(this.#versions, area, () => new Map<number, MemoryFolder>())
    for (let at = stampMs; ; at++) {
      const folder = entryOf(home, at, () => this.#newFolder()).below(directory, 'make')
      if (folder === undefined || folder.get(name) !== undefined) continue
      folder.put(name, node)
      return
    }
  }

  #fileAt (area: string, path: string): MemoryFile | undefined {
    const node = this.root.at(inside(area, path))
    return node?.kind === 'file' ? node : undefined
  }

  #stage (staging: string, number: number, file: MemoryFile): void {
    entryOf(this.staging, staging, () => new Map<number, MemoryFile>()).set(number, file)
  }

  #newFile (content: Uint8Array, { mtimeNs, mode }: { readonly mtimeNs: bigint, readonly mode: number }): MemoryFile {
    return { kind: 'file', content, mtimeNs, mode: mode & 0o777 | 0o400, sinceMs: this.#init.clock.nowMs() }
  }

  #newFolder (): MemoryFolder {
    return new MemoryFolder(this.traits.foldsNames, this.#init.clock.nowMs())
  }

  #before (call: string): void {
    this.#init.before?.(call)
  }
}

function samplesOf (content: Uint8Array): Uint8Array[] {
  return sampleRanges(content.length).map(({ offset, lengthBytes }) => content.subarray(offset, offset + lengthBytes))
}

function touch (old: MemoryNode | undefined, { sizeBytes, mtimeNs, mode }: FileEntry): string | undefined {
  if (old?.kind !== 'file' || old.content.length !== sizeBytes) return 'the archive has another content there; verify will put it right'
  Object.assign(old, { mtimeNs, mode: mode & 0o777 | 0o400 })
  return undefined
}

function isPlaced (node: MemoryNode | undefined, { sizeBytes, mtimeNs }: FileEntry): boolean {
  return node?.kind === 'file' && node.content.length === sizeBytes && node.mtimeNs === mtimeNs
}

function below (node: MemoryNode, path: string, untilMs: number): Version[] {
  if (node.kind !== 'directory') return []
  return node.entries().flatMap(({ name, node: child }) => {
    const at = inside(path, name)
    return [versionOf(at, child, untilMs), ...below(child, at, untilMs)]
  })
}

function versionOf (path: string, node: MemoryNode, untilMs: number): Version {
  const { kind, sizeBytes, mtimeNs } = describeNode(path, node)
  return { untilMs, sinceMs: node.sinceMs, path: path as RelativePath, kind, sizeBytes, mtimeNs }
}

function entryOf<K, V> (map: Map<K, V>, key: K, make: () => V): V {
  const value = map.get(key) ?? make()
  map.set(key, value)
  return value
}

function inside (directory: string, path: string): string {
  if (directory === '') return path
  return path === '' ? directory : `${directory}/${path}`
}

function above (path: string): string {
  return path.slice(0, Math.max(path.lastIndexOf('/'), 0))
}

function nameOf (path: string): string {
  return path.slice(path.lastIndexOf('/') + 1)
}
