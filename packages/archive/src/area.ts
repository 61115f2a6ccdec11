import { FileSyncError, isRelativePath, joinPath, pathDepth, readListing, ROOT_PATH, splitPath } from '@filesync/protocol'
import type { Clock, HashBytes, RelativePath } from '@filesync/protocol'
import type { ArchiveIndex, AreaRecord } from './archive-index.ts'
import type { Area, RestoreOptions, StoredFile, Sync, VerifyOptions, VerifyOutcome } from './archive.ts'
import type { ContentStore, DirectoryState, RestoreOutcome, Version } from './content-store.ts'
import { EMPTY_DIRECTORY } from './fold.ts'
import { fileLookup, knownFiles } from './lookup.ts'
import { rebuildIndex } from './rebuild.ts'
import { recover } from './recover.ts'
import { expiredVersions, versionsAt } from './retention.ts'
import { AreaSync } from './sync.ts'
import { verifyArea } from './verify.ts'

const MIN_RESERVE_BYTES = 2 ** 30
const RESERVE_SHARE = 0.05
const NEW_AREA: AreaRecord = { open: false, lastStampMs: 0 }

export interface AreaInit {
  readonly name: string
  readonly index: ArchiveIndex
  readonly store: ContentStore
  readonly clock: Clock
  readonly signal: AbortSignal
  readonly hash: HashBytes
  readonly keepMs: number
  readonly mode: 'mirror' | 'archive'
  readonly reserveBytes: number | undefined
  /** A folder name in staging that was never used. */
  readonly newStaging: () => string
}

/** Whether a text can name an area. */
export function isAreaName (name: string): boolean {
  return isRelativePath(name) && pathDepth(name) <= 2
}

/** One client's part of an archive, over the ports. */
export class StoredArea implements Area {
  readonly name: string
  readonly #init: AreaInit
  #busy: 'sync' | 'upkeep' | undefined

  constructor (init: AreaInit) {
    this.#init = init
    this.name = init.name
  }

  get halted (): Area['halted'] {
    return this.#record.halted
  }

  async beginSync (): Promise<Sync> {
    this.#begin('sync')
    try {
      const { index, store, hash, name, signal } = this.#init
      signal.throwIfAborted()
      await this.#makeReady()
      const root = index.listing({ area: name, directory: ROOT_PATH }) ?? EMPTY_DIRECTORY.listing
      return new AreaSync({
        ...this.#init,
        area: name,
        rootDigest: hash(root),
        partials: await store.partials(name),
        staging: this.#init.newStaging(),
        record: this.#record,
        roomBytes: await this.#room(),
        ended: () => { this.#busy = undefined },
      })
    } catch (error) {
      this.#busy = undefined
      throw error
    }
  }

  async release (): Promise<void> {
    const { halted: _, ...record } = this.#record
    await this.#init.index.write([{ area: this.name, record: { ...record, released: true } }])
  }

  stat (path: RelativePath): StoredFile | undefined {
    if (path === ROOT_PATH) return undefined
    const known = fileLookup(this.#init.index, this.name)(path)
    if (known === undefined) return undefined
    const { sizeBytes, mtimeNs } = known.entry
    return { ...known.fact, sizeBytes, mtimeNs }
  }

  async versions (path: RelativePath): Promise<readonly Version[]> {
    return await this.#init.store.versions(this.name, path)
  }

  async restore ({ path, atMs, to }: RestoreOptions): Promise<RestoreOutcome> {
    const { store, name } = this.#init
    const past = versionsAt(await store.versions(name, path), atMs)
    const files = new Map<RelativePath, number | undefined>()
    const directories = new Map<RelativePath, DirectoryState>()
    this.#present(path, atMs, { files, directories })
    for (const version of past) {
      if (version.kind === 'directory') directories.set(version.path, { directory: version.path, mtimeNs: version.mtimeNs, mode: 0o755 })
      else files.set(version.path, version.untilMs)
    }
    for (const file of files.keys()) directories.delete(file)
    if (files.size + directories.size === 0) {
      throw new FileSyncError('USAGE', `There is nothing under ${JSON.stringify(path)} at that time. "filesync-server versions ${name}" lists what can be restored.`)
    }
    return await store.restore(name, { files: [...files].map(([path, version]) => ({ path, version })), directories: [...directories.values()], to })
  }

  async verify (options: VerifyOptions = {}): Promise<VerifyOutcome> {
    const { index, store, hash, clock } = this.#init
    return await this.#upkeep(() => verifyArea({ area: this.name, index, store, hash, clock }, options))
  }

  async rebuild (): Promise<{ readonly files: number, readonly bytes: number }> {
    return await this.#upkeep(() => rebuildIndex({ ...this.#init, area: this.name }))
  }

  async prune (): Promise<number> {
    const { store, clock, keepMs, mode, name } = this.#init
    if (mode === 'archive') return 0
    return await this.#upkeep(async () => {
      const expired = expiredVersions(await store.versions(name, ROOT_PATH), { nowMs: clock.nowMs(), keepMs }).filter(version => version.kind !== 'directory')
      if (expired.length > 0) await store.dropVersions(name, expired)
      return expired.length
    })
  }

  get #record (): AreaRecord {
    return this.#init.index.area(this.name) ?? NEW_AREA
  }

  #present (path: RelativePath, atMs: number, into: { readonly files: Map<RelativePath, number | undefined>, readonly directories: Map<RelativePath, DirectoryState> }): void {
    const { index, name: area } = this.#init
    if (path !== ROOT_PATH) {
      const { directory, name } = splitPath(path)
      for (const known of knownFiles(index, area, directory)) if (known.entry.name === name && known.fact.storedAtMs <= atMs) into.files.set(path, undefined)
    }
    const below = [path]
    for (let next = below.pop(); next !== undefined; next = below.pop()) {
      for (const known of knownFiles(index, area, next)) if (known.fact.storedAtMs <= atMs) into.files.set(known.path, undefined)
      for (const entry of readListing(index.listing({ area, directory: next }) ?? EMPTY_DIRECTORY.listing)) {
        const child = joinPath(next, entry.name)
        if (entry.kind === 'symlink') into.files.set(child, undefined)
        if (entry.kind !== 'directory') continue
        into.directories.set(child, { directory: child, mtimeNs: entry.mtimeNs, mode: entry.mode })
        below.push(child)
      }
    }
  }

  /** Puts in order what a crash or a failed sync left, or makes the index of an area that has content but none. */
  async #makeReady (): Promise<void> {
    const { index, store, hash, name } = this.#init
    await store.openArea(name)
    if (index.area(name) === undefined && (await store.list(name, ROOT_PATH)).length > 0) await rebuildIndex({ ...this.#init, area: name })
    await recover({ area: name, index, store, hash })
  }

  async #room (): Promise<number> {
    const { freeBytes, totalBytes } = await this.#init.store.freeBytes()
    const reserve = this.#init.reserveBytes ?? Math.max(MIN_RESERVE_BYTES, totalBytes * RESERVE_SHARE)
    return Math.max(0, freeBytes - reserve)
  }

  async #upkeep<T> (work: () => Promise<T>): Promise<T> {
    this.#begin('upkeep')
    try {
      await this.#makeReady()
      return await work()
    } finally {
      this.#busy = undefined
    }
  }

  #begin (what: 'sync' | 'upkeep'): void {
    if (this.#busy !== undefined) {
      throw new FileSyncError('SERVER_BUSY', `${JSON.stringify(this.name)} is being ${this.#busy === 'sync' ? 'synced' : 'looked after'} already. Try again in a moment.`)
    }
    this.#busy = what
  }
}
