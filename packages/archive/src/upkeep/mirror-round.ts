import { compareNames, joinPath, ROOT_PATH, splitPath } from '@filesync/protocol'
import type { Clock, DirectoryEntry, HashBytes, Name, RelativePath } from '@filesync/protocol'
import type { ExternalChanges } from '../archive.ts'
import type { ArchiveIndex } from '../store/archive-index.ts'
import type { ContentStore, FoundEntry } from '../store/content-store.ts'
import { isTimeAsSet } from '../store/file-time.ts'
import { EMPTY_DIRECTORY } from '../store/fold.ts'
import { ListingCursor } from '../store/listing-cursor.ts'
import { directoriesOf } from '../store/lookup.ts'
import { compareDirectory, externalChangeWrites } from './mirror-check.ts'
import type { SeenEntries } from './mirror-check.ts'
import type { AreaLock } from './area-lock.ts'
import { isUnknown } from '../store/unknown-entry.ts'

/** A root directory with more entries than one quick check may look at is listed at most this often. */
const LARGE_ROOT_EVERY_MS = 3_600_000

export interface MirrorRoundInit {
  readonly area: RelativePath
  readonly index: ArchiveIndex
  readonly store: ContentStore
  readonly hash: HashBytes
  readonly clock: Clock
  readonly signal: AbortSignal
  readonly deletions: 'mirror' | 'archive'
  readonly lock: AreaLock
}

/** Limits of one quick check. */
export interface QuickCheckLimits {
  /** Directories whose mtime is compared; it changes when names in them are added, removed or exchanged. */
  readonly directories: number
  /** Entries that are checked one by one, because overwriting a file does not change the mtime of its directory. */
  readonly entries: number
}

/** A directory, and the first of its names that may follow those that were checked. */
interface EntriesPosition {
  readonly directory: RelativePath
  readonly from: Name
}

/**
 * Compares the mirror with the index in rounds, a few directories at a time. The archive sets the mtime of each directory to that of the
 * client's, so a directory that was changed by hand shows it without anything being remembered about it.
 */
export class MirrorRound {
  readonly #init: MirrorRoundInit
  #listedUpTo: RelativePath | undefined
  #timesUpTo: RelativePath | undefined
  /** The entries to check next. */
  #entries: EntriesPosition | undefined
  /** No listing has the mtime of the root. */
  #root: { readonly mtimeNs: bigint, readonly listedMs: number } | undefined
  #changes: ExternalChanges = { changed: [], removed: [], added: [] }

  constructor (init: MirrorRoundInit) {
    this.#init = init
  }

  /** Lists the next directories and compares all of their entries. Ends early if a sync begins, like {@link quickCheck}. */
  async checkDirectories (directories: number): Promise<ExternalChanges> {
    const { index, area } = this.#init
    const following = [...take(index.directories(area, this.#listedUpTo), directories)]
    // After the last directory a new round begins.
    for (const { directory } of following.length > 0 ? following : [...take(index.directories(area), directories)]) {
      // While a sync runs, the rest waits.
      if (this.#init.lock.isSyncing || await this.#checkWhole(directory) === undefined) break
      this.#listedUpTo = directory
    }
    return this.#takeChanges()
  }

  /** Compares the mtimes of directories, lists those that differ, and checks a few entries of the others. */
  async quickCheck ({ directories, entries }: QuickCheckLimits): Promise<ExternalChanges> {
    const afterRoot = await this.#checkRoot(entries)
    const left = afterRoot === undefined ? 0 : await this.#checkTimes(directories, afterRoot)
    await this.#checkEntries(left)
    return this.#takeChanges()
  }

  /** Returns how many entries may still be checked; undefined if a sync came in between. */
  async #checkRoot (entries: number): Promise<number | undefined> {
    const { area, index, store, clock, lock } = this.#init
    if (lock.isSyncing) return undefined
    const { directory: above, name } = splitPath(area)
    const [found] = await store.find('', above, [name])
    if (found?.kind === 'directory' && found.mtimeNs === this.#root?.mtimeNs) return entries
    const size = new ListingCursor(index.listing({ area, directory: ROOT_PATH }) ?? EMPTY_DIRECTORY.listing).count
    if (size > entries && this.#root !== undefined && clock.monotonicMs() - this.#root.listedMs < LARGE_ROOT_EVERY_MS) return entries
    const checked = await this.#checkWhole(ROOT_PATH)
    if (checked === undefined) return undefined
    if (found !== undefined) this.#root = { mtimeNs: found.mtimeNs, listedMs: clock.monotonicMs() }
    return entries - checked
  }

  async #checkTimes (directories: number, entries: number): Promise<number> {
    const { index, area } = this.#init
    let [left, compared] = [entries, 0]
    for (const { directory, files } of [...take(index.directories(area, this.#timesUpTo), directories)]) {
      if (left <= 0 || compared >= directories) return left
      const listing = index.listing({ area, directory }) ?? EMPTY_DIRECTORY.listing
      // Most directories contain only files.
      const children = new ListingCursor(listing).count === files ? [] : directoriesOf(listing)
      const checked = children.length === 0 ? 0 : await this.#checkChildren(directory, children)
      if (checked === undefined) return 0
      this.#timesUpTo = directory
      compared += 1 + children.length
      left -= checked
    }
    // End of the round; the next quick check begins a new one.
    if (compared < directories) this.#timesUpTo = undefined
    return left
  }

  /** Compares the mtimes of the directories in a directory. Returns how many entries were checked because of them. */
  async #checkChildren (directory: RelativePath, children: readonly DirectoryEntry[]): Promise<number | undefined> {
    const { area, store, lock } = this.#init
    const found = await store.find(area, directory, children.map(({ name }) => name))
    let checked = 0
    for (const [i, child] of children.entries()) {
      const there = found[i]
      // It is known to be gone.
      if (isUnknown(child)) continue
      const { name, mtimeNs, mode } = child
      if (there?.kind === 'directory' && isTimeAsSet(mtimeNs, there.mtimeNs, store.traits.times)) continue
      const suspect = there?.kind === 'directory' ? joinPath(directory, name) : directory
      const before = this.#found
      const cost = lock.isSyncing ? undefined : await this.#checkWhole(suspect)
      if (cost === undefined) return undefined
      checked += cost
      // Only its mtime changed, by hand or by an interrupted sync. Setting it again clears the suspicion.
      if (this.#found === before && suspect !== directory) {
        await lock.step(() => store.applyDirectoryStates(area, [{ directory: suspect, mtimeNs, mode }]))
      }
    }
    return checked
  }

  async #checkEntries (entries: number): Promise<void> {
    const { index, area, store, lock } = this.#init
    for (let left = entries; left > 0 && !lock.isSyncing;) {
      const at = this.#entries ?? nextOf(index.directories(area))
      if (at === undefined) return
      const page = index.page({ area, directory: at.directory }, at.from)
      const { names, rest } = namesOf(page?.listing ?? EMPTY_DIRECTORY.listing, at.from, left)
      const { syncs } = lock
      const found = names.length === 0 ? [] : await store.find(area, at.directory, names)
      // A directory that is gone is noticed in its parent.
      const isThere = found.some(entry => entry !== undefined) || await this.#isDirectory(at.directory)
      const seen = { syncs, names, found: found.filter(entry => entry !== undefined) }
      if (isThere && names.length > 0 && !await this.#record(at.directory, seen)) return
      left -= names.length
      const from = rest ?? page?.before
      this.#entries = from === undefined ? nextOf(index.directories(area, at.directory)) : { directory: at.directory, from }
      // End of the round; the next quick check begins a new one.
      if (this.#entries === undefined) return
    }
  }

  async #isDirectory (directory: RelativePath): Promise<boolean> {
    if (directory === ROOT_PATH) return true
    const { directory: above, name } = splitPath(directory)
    const [found] = await this.#init.store.find(this.#init.area, above, [name])
    return found?.kind === 'directory'
  }

  /** Returns how many entries a directory has; undefined if a sync came in between, so that it was not compared. */
  async #checkWhole (directory: RelativePath): Promise<number | undefined> {
    const { signal, lock } = this.#init
    signal.throwIfAborted()
    const { syncs } = lock
    const found = await this.#list(directory)
    // A directory that is gone is noticed in its parent.
    if (found === undefined) return 0
    return await this.#record(directory, { syncs, found }) ? found.length : undefined
  }

  /** Records the changes of a directory. Returns false if a sync began since it was read. */
  async #record (directory: RelativePath, seen: SeenEntries & { readonly syncs: number }): Promise<boolean> {
    const { index, area, store, lock } = this.#init
    const check = { ...this.#init, traits: store.traits }
    return await lock.step(async () => {
      if (lock.syncs !== seen.syncs || (index.area(area)?.open === true && index.journal(area).length > 0)) return false
      const changes = compareDirectory(check, directory, seen)
      const writes = externalChangeWrites(check, directory, changes)
      if (writes.length > 0) await index.write(writes)
      for (const name of changes.changed) this.#changes.changed.push(joinPath(directory, name))
      for (const name of changes.removed) this.#changes.removed.push(joinPath(directory, name))
      for (const { name } of changes.added) this.#changes.added.push(joinPath(directory, name))
      return true
    })
  }

  /** Undefined if the directory cannot be listed. Throws for the root: without it nothing can be compared. */
  async #list (directory: RelativePath): Promise<FoundEntry[] | undefined> {
    try {
      return await this.#init.store.list(this.#init.area, directory)
    } catch (error) {
      if (directory === ROOT_PATH) throw error
      return undefined
    }
  }

  get #found (): number {
    return this.#changes.changed.length + this.#changes.removed.length + this.#changes.added.length
  }

  #takeChanges (): ExternalChanges {
    const changes = this.#changes
    this.#changes = { changed: [], removed: [], added: [] }
    return changes
  }
}

function * take<T> (items: Iterable<T>, count: number): Generator<T, void, undefined> {
  let taken = 0
  for (const item of items) {
    if (taken++ >= count) return
    yield item
  }
}

/** The first of the directories, with no entries checked yet. */
function nextOf (directories: Iterable<Pick<EntriesPosition, 'directory'>>): EntriesPosition | undefined {
  for (const { directory } of directories) return { directory, from: '' as Name }
  return undefined
}

/** Names of a page from one on, and the name after them, if there is one in the page. */
function namesOf (listing: Uint8Array, from: Name, atMost: number): { readonly names: Name[], readonly rest: Name | undefined } {
  const names: Name[] = []
  for (const cursor = new ListingCursor(listing); cursor.next();) {
    const name = cursor.name()
    if (compareNames(name, from) < 0) continue
    if (names.length === atMost) return { names, rest: name }
    names.push(name)
  }
  return { names, rest: undefined }
}
