import { DIGEST_BYTES, FileSyncError } from '@filesync/protocol'
import type { Digest, RelativePath, ReuseBuffer } from '@filesync/protocol'
import type {
  ContentStore, ContentStream, DirectoryState, FoundEntry, HistoryLog, KeptEntry, OpenOptions, PackFailure, PackRequest, Placing,
  Relocation, Reread, RereadOptions, RestoreOutcome, RestoreRequest, Scratch, SmallFile, SpoiledFiles, StagedLink, StagedStreamRequest,
  StoredFileHandle, StoreTraits,
} from '../store/content-store.ts'
import type { Batch, EntryFailure, BatchOutcome, RemovalBatch, Section } from '../store/section.ts'
import { Beneath } from './beneath.ts'
import type { FlushMode } from './disk-flushing.ts'
import { DiskThread } from './disk-pool.ts'
import { reread } from './disk-reread.ts'
import { statOf } from './disk.ts'
import { flushOnce, startFileSystemSync } from './durable.ts'
import type { FileSystemSync } from './durable.ts'
import { relaysFlushes, roomOf } from './file-system.ts'
import { LocalStream } from './local-stream.ts'
import { asAges, uniteOutcomes } from './outcomes.ts'
import { PartialProgress } from './partial-progress.ts'
import type { Presence, PresenceCheck } from './presence.ts'
import { openScratch } from './scratch-file.ts'
import { archiveError } from './disk-errors.ts'

/** Two threads keep two cores busy and leave a small server usable. */
const THREADS = 2
/** A large file is flushed this often while it arrives, unless batches of other files are flushed more often. */
const FLUSH_STREAMS_MS = 5000

export interface LocalStoreInit {
  /** Absolute path of the archive. */
  readonly root: string
  readonly traits: StoreTraits
  /** Checks whether the root is still the directory that is held open; by default this is assumed. */
  readonly presence?: Presence
  readonly threads?: number
}

/** Opens a store in a directory of this machine. The root must exist. */
export async function openLocalStore ({ root, traits, presence, threads = THREADS }: LocalStoreInit): Promise<ContentStore> {
  const beneath = new Beneath(root)
  const isRelayed = relaysFlushes(beneath.open(''))
  const sync = isRelayed ? undefined : await startFileSystemSync(root)
  const flushes: FlushMode = isRelayed ? 'relayed' : sync === undefined ? 'each' : 'whole'
  const { device, inode } = statOf(beneath.handle(''))
  const data = { root, device, inode, flushes, umask: process.umask(), foldsNames: traits.foldsNames, times: traits.times }
  return new LocalStore({ beneath, traits, sync, presence }, Array.from({ length: threads }, () => new DiskThread(data)))
}

interface Place {
  readonly beneath: Beneath
  readonly traits: StoreTraits
  readonly sync: FileSystemSync | undefined
  readonly presence: Presence | undefined
}

class LocalStore implements ContentStore {
  readonly traits: StoreTraits
  readonly #place: Place
  readonly #threads: readonly DiskThread[]
  readonly #partials = new PartialProgress()
  #streams = 0
  /** When the file system was last flushed as a whole. */
  #flushedMs = 0

  constructor (place: Place, threads: readonly DiskThread[]) {
    this.#place = place
    this.#threads = threads
    this.traits = place.traits
  }

  async openArea (area: string): Promise<void> {
    await this.#idlest().call('openArea', [area])
  }

  async stagePack (request: PackRequest, reuse?: ReuseBuffer): Promise<PackFailure[]> {
    return await this.#idlest().call('stagePack', [request], { buffer: request.pack.buffer, reuse })
  }

  async openStream (request: StagedStreamRequest): Promise<ContentStream> {
    const thread = this.#idlest()
    const id = this.#streams++
    const { area, partial } = request
    const keptBytes = await thread.call('openStream', [id, request])
    const progress = this.#partials.begin(area, partial, keptBytes)
    let sinceMs = performance.now()
    return new LocalStream(thread, id, {
      wrote: bytes => {
        progress.wrote(bytes)
        const nowMs = performance.now()
        if (nowMs - Math.max(sinceMs, this.#flushedMs) < FLUSH_STREAMS_MS) return
        sinceMs = nowMs
        this.#flushStream(thread, id)
      },
      ended: how => { progress.ended(how) },
    })
  }

  async openFile (area: string, path: RelativePath, options?: OpenOptions): Promise<StoredFileHandle | undefined> {
    const thread = this.#idlest()
    const opened = await thread.call('openFile', [area, path, options])
    return opened && { ...opened, close: () => thread.call('closeFile', [opened.fd]) }
  }

  async readSmall (area: string, files: readonly SmallFile[]): Promise<(Uint8Array | undefined)[]> {
    const digests = new Uint8Array(files.length * DIGEST_BYTES)
    files.forEach(({ digest }, i) => { digests.set(digest, i * DIGEST_BYTES) })
    const columns = {
      paths: files.map(({ path }) => path),
      folders: files.map(({ folder }) => folder),
      sizesBytes: Float64Array.from(files, ({ sizeBytes }) => sizeBytes),
      digests,
    }
    const { bytes, isWhole } = await this.#idlest().call('readSmall', [area, columns])
    let at = 0
    return files.map(({ sizeBytes }, i) => isWhole[i] === 1 ? bytes.subarray(at, at += sizeBytes) : undefined)
  }

  async relocate (area: string, staging: string, relocations: readonly Relocation[]): Promise<EntryFailure[]> {
    return await this.#idlest().call('relocate', [area, staging, relocations])
  }

  async linkStaged (staging: string, from: number, links: readonly StagedLink[]): Promise<number[]> {
    return await this.#idlest().call('linkStaged', [staging, from, links])
  }

  async findSpoiled (area: string, staging: string, sections: readonly Section[]): Promise<SpoiledFiles> {
    return await this.#idlest().call('findSpoiled', [area, staging, sections])
  }

  async place (area: string, batch: Batch, how: Placing): Promise<BatchOutcome> {
    if (how !== 'first') return asAges(await this.#idlest().call('place', [area, batch, how]))
    // Directories have to be created from the top, and links share a name in staging: only contents can be divided among threads.
    const contents = batch.sections.findIndex(isOfContents)
    const structure = batch.sections.slice(0, contents === -1 ? undefined : contents)
    const structureBatch = { ...batch, sections: structure, wholeFolders: [] }
    const first = structure.length === 0 ? undefined : await this.#idlest().call('place', [area, structureBatch, how])
    const shares = this.#share(batch.sections, structure.length)
    const outcomes = await Promise.all(shares.map(async (share, i) => {
      if (share.length === 0) return []
      const sections = share.map(at => batch.sections[at]).filter(section => section !== undefined)
      return [{ share, outcome: await this.#thread(i).call('place', [area, { ...batch, sections }, how]) }]
    }))
    const all = [...first === undefined ? [] : [{ share: structure.map((_, at) => at), outcome: first }], ...outcomes.flat()]
    return asAges(uniteOutcomes(batch.sections.map(({ staged }) => staged.length), all))
  }

  async remove (area: string, batch: RemovalBatch): Promise<BatchOutcome> {
    return asAges(await this.#idlest().call('remove', [area, batch]))
  }

  async renameArea (from: string, to: string): Promise<boolean> {
    return await this.#idlest().call('renameArea', [from, to])
  }

  async removeArea (area: string): Promise<boolean> {
    return await this.#idlest().call('removeArea', [area])
  }

  async applyDirectoryStates (area: string, directories: readonly DirectoryState[]): Promise<void> {
    await this.#idlest().call('applyDirectoryStates', [area, directories])
  }

  async makeDurable (): Promise<void> {
    if (this.#place.sync === undefined) await Promise.all(this.#threads.map(thread => thread.call('flush', [])))
    else await this.#flushAll(this.#place.sync)
  }

  /** Flushes the whole file system, and records that for the partials on it. */
  async #flushAll (sync: FileSystemSync): Promise<void> {
    this.#flushedMs = performance.now()
    const written = this.#partials.written()
    await sync.run()
    for (const [area, partials] of written) {
      // If this fails, more of them is sent again after a power cut. The failure of a worker is reported to those that wait for its work.
      void this.#idlest().call('flushedPartials', [area, partials]).then(
        () => { this.#partials.noted(new Map([[area, partials]])) },
        () => { /* as said */ },
      )
    }
  }

  /** So that a power cut costs at most a few seconds of a large file, even if nothing else is being stored. */
  #flushStream (thread: DiskThread, id: number): void {
    const { sync } = this.#place
    const flushed = sync === undefined ? thread.call('flushStream', [id]) : this.#flushAll(sync)
    flushed.catch(() => { /* the flush that the sync waits for fails too */ })
  }

  async reclaim (area: string, staging: string): Promise<void> {
    await this.#idlest().call('reclaim', [area, staging])
  }

  async discard (staging: string | undefined): Promise<void> {
    await this.#idlest().call('discard', [staging])
  }

  async partials (area: string): Promise<ReadonlyMap<string, number>> {
    const partials = await this.#idlest().call('partials', [area])
    this.#partials.found(area, partials)
    return partials
  }

  async retainPartials (area: string, kept: ReadonlySet<string>): Promise<void> {
    await this.#idlest().call('retainPartials', [area, kept])
  }

  async areaBirthtimeMs (area: string): Promise<number> {
    return await this.#idlest().call('bornMs', [area])
  }

  async list (area: string, directory: RelativePath, known?: Uint8Array): Promise<FoundEntry[]> {
    return await this.#idlest().call('list', [area, directory, known])
  }

  openScratch (): Scratch | undefined {
    const { beneath, traits } = this.#place
    return openScratch(traits.isReadOnly === true ? undefined : beneath)
  }

  async find (area: string, directory: RelativePath, names: readonly string[]): Promise<(FoundEntry | undefined)[]> {
    return await this.#idlest().call('find', [area, directory, names])
  }

  async reread (area: string, path: RelativePath, options: RereadOptions = {}): Promise<Reread | undefined> {
    return await reread(this.#idlest(), { id: this.#streams++, area, path }, options)
  }

  async digests (area: string, directory: RelativePath, names: readonly string[]): Promise<(Digest | undefined)[]> {
    const { bytes, isRead } = await this.#idlest().call('digests', [area, directory, names])
    return names.map((_, i) => isRead[i] === 1 ? bytes.subarray(i * DIGEST_BYTES, (i + 1) * DIGEST_BYTES) as Digest : undefined)
  }

  async versions (area: string, path: RelativePath): Promise<KeptEntry[]> {
    return await this.#idlest().call('versions', [area, path])
  }

  async dropVersions (area: string, versions: readonly KeptEntry[]): Promise<void> {
    await this.#idlest().call('dropVersions', [area, versions])
  }

  async appendHistory (area: string, log: HistoryLog): Promise<void> {
    await this.#idlest().call('appendHistory', [area, log])
  }

  async history (area: string): Promise<HistoryLog[]> {
    return await this.#idlest().call('history', [area])
  }

  async appendPoints (area: string, bytes: Uint8Array): Promise<void> {
    await this.#idlest().call('appendPoints', [area, bytes])
  }

  async points (area: string): Promise<Uint8Array> {
    return await this.#idlest().call('points', [area])
  }

  async replacePoints (area: string, bytes: Uint8Array): Promise<void> {
    await this.#idlest().call('replacePoints', [area, bytes])
  }

  async dropHistory (area: string, counts: readonly number[]): Promise<void> {
    await this.#idlest().call('dropHistory', [area, counts])
  }

  async restore (area: string, request: RestoreRequest): Promise<RestoreOutcome> {
    const thread = this.#idlest()
    const id = this.#streams++
    try {
      const unflushed = await thread.call('beginRestore', [id, area, request])
      return await thread.call('finishRestore', [id, unflushed === 0 || await flushOnce(request.to)])
    } finally {
      await thread.call('endRestore', [id])
    }
  }

  async ensurePresent (check: PresenceCheck): Promise<void> {
    await this.#place.presence?.ensure(check)
  }

  async freeBytes (): Promise<{ readonly freeBytes: number, readonly totalBytes: number }> {
    try {
      return await Promise.resolve(roomOf(this.#place.beneath.open('')))
    } catch (error) {
      throw archiveError(error) ?? error
    }
  }

  async close (): Promise<void> {
    this.#place.sync?.close()
    await Promise.all(this.#threads.map(thread => thread.close()))
    this.#place.beneath.close()
  }

  /** For each thread the indices of its sections, from `first` on. */
  #share (sections: readonly Section[], first: number): number[][] {
    const shares = this.#threads.map((): number[] => [])
    const loads = this.#threads.map(() => 0)
    const owners = new Map<RelativePath, number>()
    sections.forEach((section, at) => {
      if (at < first) return
      // All sections of a directory go to the same thread, because placing a folder replaces the directory that others would write to.
      const lightest = owners.get(section.directory) ?? loads.indexOf(Math.min(...loads))
      owners.set(section.directory, lightest)
      loads[lightest] = (loads[lightest] ?? 0) + section.staged.length
      shares[lightest]?.push(at)
    })
    return shares
  }

  #idlest (): DiskThread {
    return this.#threads.reduce((best, thread) => thread.waiting < best.waiting ? thread : best)
  }

  #thread (index: number): DiskThread {
    const thread = this.#threads[index]
    if (thread === undefined) throw new FileSyncError('INTERNAL', 'The archive has no such disk worker.')
    return thread
  }
}

function isOfContents ({ facts }: Section): boolean {
  return facts.length > 0
}
