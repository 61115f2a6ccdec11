import { joinPath, ROOT_PATH, splitPath } from '@filesync/protocol'
import type { Clock, DirectoryEntry, HashBytes, RelativePath } from '@filesync/protocol'
import type { ExternalChanges } from '../archive.ts'
import type { ArchiveIndex } from '../store/archive-index.ts'
import type { ContentStore, FoundEntry } from '../store/content-store.ts'
import { isTimeAsSet } from '../store/file-time.ts'
import { EMPTY_DIRECTORY } from '../store/fold.ts'
import { ListingCursor } from '../store/listing-cursor.ts'
import { directoriesOf } from '../store/lookup.ts'
import { compareDirectory, externalChangeWrites } from './mirror-check.ts'
import type { AreaLock } from './area-lock.ts'
import { isUnknown } from '../store/unknown-entry.ts'

/** A root directory that is larger than a glance may cost is listed this often at most. */
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

/** What a glance may cost. */
export interface QuickCheckLimits {
  /** Directories of which the time is compared: it tells that names in them were added, removed or exchanged. */
  readonly directories: number
  /** Entries that are looked at one by one: what is written over keeps its directory's time. */
  readonly entries: number
}

/**
 * Goes round and round the mirror, a few directories at a time, and compares it with the index. The archive gives each
 * directory the time that the client's has, so one that was changed by hand gives itself away, without a memory of how it was.
 */
export class MirrorRound {
  readonly #init: MirrorRoundInit
  #lookedUpTo: RelativePath | undefined
  #timesUpTo: RelativePath | undefined
  /** The directory whose entries are looked at next, and how many of them were. */
  #entries: { readonly directory: RelativePath, readonly done: number } | undefined
  /** The root's own time stands in no listing. */
  #root: { readonly mtimeNs: bigint, readonly listedMs: number } | undefined
  #changes: ExternalChanges = { changed: [], removed: [], added: [] }

  constructor (init: MirrorRoundInit) {
    this.#init = init
  }

  /** Lists and compares the next directories as a whole. Ends early for a sync, like {@link quickCheck}. */
  async checkDirectories (directories: number): Promise<ExternalChanges> {
    const { index, area } = this.#init
    const all = [...index.directories(area)].map(({ directory }) => directory)
    const next = this.#lookedUpTo === undefined ? 0 : all.indexOf(this.#lookedUpTo) + 1
    // After the last one it begins anew.
    for (const directory of all.slice(next < all.length ? next : 0).slice(0, directories)) {
      // A sync is under way: the rest can wait until after it.
      if (this.#init.lock.isSyncing || await this.#checkWhole(directory) === undefined) break
      this.#lookedUpTo = directory
    }
    return this.#takeChanges()
  }

  /** Compares the times of directories, lists those that give themselves away, and looks at a few entries of the others. */
  async quickCheck ({ directories, entries }: QuickCheckLimits): Promise<ExternalChanges> {
    const afterRoot = await this.#checkRoot(entries)
    const left = afterRoot === undefined ? 0 : await this.#checkTimes(directories, afterRoot)
    await this.#checkEntries(left)
    return this.#takeChanges()
  }

  /** How much may be looked at after it; undefined where a sync came in between. */
  async #checkRoot (entries: number): Promise<number | undefined> {
    const { area, index, store, clock, lock } = this.#init
    if (lock.isSyncing) return undefined
    const { directory: above, name } = splitPath(area)
    const [found] = await store.find('', above, [name])
    if (found?.kind === 'directory' && found.mtimeNs === this.#root?.mtimeNs) return entries
    const size = new ListingCursor(index.listing({ area, directory: ROOT_PATH }) ?? EMPTY_DIRECTORY.listing).count
    if (size > entries && this.#root !== undefined && clock.monotonicMs() - this.#root.listedMs < LARGE_ROOT_EVERY_MS) return entries
    const looked = await this.#checkWhole(ROOT_PATH)
    if (looked === undefined) return undefined
    if (found !== undefined) this.#root = { mtimeNs: found.mtimeNs, listedMs: clock.monotonicMs() }
    return entries - looked
  }

  async #checkTimes (directories: number, entries: number): Promise<number> {
    const { index, area } = this.#init
    let [left, compared] = [entries, 0]
    for (const { directory, files } of [...take(index.directories(area, this.#timesUpTo), directories)]) {
      if (left <= 0 || compared >= directories) return left
      const listing = index.listing({ area, directory }) ?? EMPTY_DIRECTORY.listing
      // Most directories have nothing but files.
      const children = new ListingCursor(listing).count === files ? [] : directoriesOf(listing)
      const looked = children.length === 0 ? 0 : await this.#checkChildren(directory, children)
      if (looked === undefined) return 0
      this.#timesUpTo = directory
      compared += 1 + children.length
      left -= looked
    }
    // The end of the round; the next one begins with the next glance.
    if (compared < directories) this.#timesUpTo = undefined
    return left
  }

  /** Compares the times of the directories in one directory. Returns how many entries were looked at because of them. */
  async #checkChildren (directory: RelativePath, children: readonly DirectoryEntry[]): Promise<number | undefined> {
    const { area, store, lock } = this.#init
    const found = await store.find(area, directory, children.map(({ name }) => name))
    let looked = 0
    for (const [i, child] of children.entries()) {
      const there = found[i]
      // What is known to be gone is no news.
      if (isUnknown(child)) continue
      const { name, mtimeNs, mode } = child
      if (there?.kind === 'directory' && isTimeAsSet(mtimeNs, there.mtimeNs, store.traits.times)) continue
      const suspect = there?.kind === 'directory' ? joinPath(directory, name) : directory
      const before = this.#found
      const cost = lock.isSyncing ? undefined : await this.#checkWhole(suspect)
      if (cost === undefined) return undefined
      looked += cost
      // Nothing was done but to its time, by hand or by a sync that was cut: once it is right again it is no suspect.
      if (this.#found === before && suspect !== directory) await lock.step(() => store.applyDirectoryStates(area, [{ directory: suspect, mtimeNs, mode }]))
    }
    return looked
  }

  async #checkEntries (entries: number): Promise<void> {
    const { index, area, store, lock } = this.#init
    for (let left = entries; left > 0 && !lock.isSyncing;) {
      const at = this.#entries ?? nextOf(index.directories(area))
      if (at === undefined) return
      const listing = index.listing({ area, directory: at.directory }) ?? EMPTY_DIRECTORY.listing
      const names = namesOf(listing, at.done, left)
      const { syncs } = lock
      const found = names.length === 0 ? [] : await store.find(area, at.directory, names)
      // What is gone as a whole is noticed in the directory above it.
      const isThere = found.some(entry => entry !== undefined) || await this.#isDirectory(at.directory)
      if (isThere && names.length > 0 && !await this.#note(at.directory, { syncs, names, found: found.filter(entry => entry !== undefined) })) return
      left -= names.length
      const done = at.done + names.length
      this.#entries = done < new ListingCursor(listing).count ? { directory: at.directory, done } : nextOf(index.directories(area, at.directory))
      // The end of the round; the next one begins with the next glance.
      if (this.#entries === undefined) return
    }
  }

  async #isDirectory (directory: RelativePath): Promise<boolean> {
    if (directory === ROOT_PATH) return true
    const { directory: above, name } = splitPath(directory)
    const [found] = await this.#init.store.find(this.#init.area, above, [name])
    return found?.kind === 'directory'
  }

  /** How many entries the directory has; undefined where a sync came in between, so that it was not compared. */
  async #checkWhole (directory: RelativePath): Promise<number | undefined> {
    const { signal, lock } = this.#init
    signal.throwIfAborted()
    const { syncs } = lock
    const found = await this.#list(directory)
    // What is gone as a whole is noticed in the directory above it.
    if (found === undefined) return 0
    return await this.#note(directory, { syncs, found }) ? found.length : undefined
  }

  /** Notes what was done to a directory; not where a sync came since it was looked at. `names` where only these were. */
  async #note (directory: RelativePath, seen: { readonly syncs: number, readonly found: readonly FoundEntry[], readonly names?: readonly string[] }): Promise<boolean> {
    const { index, area, store, lock } = this.#init
    const check = { ...this.#init, traits: store.traits }
    return await lock.step(async () => {
      if (lock.syncs !== seen.syncs || (index.area(area)?.open === true && index.journal(area).length > 0)) return false
      const made = compareDirectory(check, directory, seen)
      const writes = externalChangeWrites(check, directory, made)
      if (writes.length > 0) await index.write(writes)
      for (const name of made.changed) this.#changes.changed.push(joinPath(directory, name))
      for (const name of made.removed) this.#changes.removed.push(joinPath(directory, name))
      for (const { name } of made.added) this.#changes.added.push(joinPath(directory, name))
      return true
    })
  }

  /** Undefined for what cannot be listed; without the root nothing of the area can be judged. */
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

function nextOf (directories: Iterable<{ readonly directory: RelativePath }>): { readonly directory: RelativePath, readonly done: number } | undefined {
  for (const { directory } of directories) return { directory, done: 0 }
  return undefined
}

function namesOf (listing: Uint8Array, from: number, atMost: number): string[] {
  const names: string[] = []
  for (const cursor = new ListingCursor(listing); cursor.next() && names.length < atMost;) if (cursor.index >= from) names.push(cursor.name())
  return names
}
