import { FileSyncError, isRelativePath, pathDepth, ROOT_PATH } from '@filesync/protocol'
import type { HashBytes, RelativePath } from '@filesync/protocol'
import type { AdoptOptions, AdoptOutcome, Archive, ArchiveSettings, Area, DiskRoom } from './archive.ts'
import type { ArchiveIndex } from './store/archive-index.ts'
import { StoredArea } from './area.ts'
import type { ContentStore } from './store/content-store.ts'
import type { ExistingCopy } from './store/existing-copy.ts'
import { diskRoom } from './compare/room.ts'

export interface StoredArchiveInit extends ArchiveSettings {
  readonly id: string
  readonly index: ArchiveIndex
  readonly store: ContentStore
  readonly hash: HashBytes
  /** Returns a new folder name in staging, never used before. */
  readonly newStaging: () => string
  /** Opens a directory of this machine as a copy to adopt. Throws USAGE. Absent if the archive is not stored on this machine. */
  readonly openCopy?: (place: string, directory: string) => ExistingCopy | 'in place'
  readonly close: () => Promise<void>
}

/** Whether a text is a valid name of an area. */
function isAreaName (name: string): name is RelativePath {
  return isRelativePath(name) && pathDepth(name) <= 2
}

/** An archive on top of a content store and an index. */
export class StoredArchive implements Archive {
  readonly #init: StoredArchiveInit
  readonly #areas = new Map<string, StoredArea>()
  #isClosed = false

  constructor (init: StoredArchiveInit) {
    this.#init = init
  }

  get id (): string {
    return this.#init.id
  }

  get isReadOnly (): boolean {
    return this.#init.store.traits.isReadOnly === true
  }

  async area (name: string): Promise<Area> {
    return await this.#area(name)
  }

  async #area (name: string): Promise<StoredArea> {
    if (!isAreaName(name)) {
      throw new FileSyncError('NAME_INVALID', `${JSON.stringify(name)} is not a valid name for a client's directory in the archive.`)
    }
    if (this.#isClosed) throw new FileSyncError('ABORTED', 'The archive is closed.')
    const open = this.#areas.get(name)
    if (open !== undefined) return open
    if (!this.isReadOnly) await this.#init.store.openArea(name)
    const area = this.#areas.get(name) ?? new StoredArea({ ...this.#init, name })
    this.#areas.set(name, area)
    return area
  }

  async renameArea (from: string, to: string): Promise<void> {
    if (!isAreaName(from) || !isAreaName(to)) {
      throw new FileSyncError('NAME_INVALID', `${JSON.stringify(to)} is not a valid name for a client's directory in the archive.`)
    }
    await this.#init.store.ensurePresent('path')
    await this.#existing(from).rename(to)
    for (const name of [from, to]) this.#areas.delete(name)
  }

  async retireArea (name: string): Promise<number> {
    await this.#init.store.ensurePresent('path')
    return this.areas().includes(name) ? await (await this.#area(name)).retire() : 0
  }

  async inheritArea (name: string): Promise<void> {
    await this.#init.store.ensurePresent('path')
    if (this.areas().includes(name)) await (await this.#area(name)).inherit()
  }

  async dropArea (name: string): Promise<boolean> {
    await this.#init.store.ensurePresent('path')
    if (!isAreaName(name)) return true
    const isDropped = await this.#existing(name).drop()
    if (isDropped) this.#areas.delete(name)
    return isDropped
  }

  /** Unlike opening an area, this does not create its directory, which may just have been renamed or removed. */
  #existing (name: RelativePath): StoredArea {
    const area = this.#areas.get(name) ?? new StoredArea({ ...this.#init, name })
    this.#areas.set(name, area)
    return area
  }

  areas (): readonly string[] {
    return this.#init.index.areas()
  }

  async takenNames (): Promise<readonly string[]> {
    const areas = this.areas()
    // An area may be one directory deep; its parent's name is then taken too.
    const parents = areas.map(name => name.split('/')[0] ?? name)
    const found = (await this.#init.store.list('', ROOT_PATH)).map(({ name }) => name)
    return [...new Set([...areas, ...parents, ...found])]
  }

  async ensurePresent (check: 'path' | 'disk'): Promise<void> {
    await this.#init.store.ensurePresent(check)
  }

  async room (): Promise<DiskRoom> {
    await this.#init.store.ensurePresent('path')
    return await diskRoom(this.#init.store, this.#init.reserveBytes)
  }

  async adopt (area: string, directory: string, options: AdoptOptions = {}): Promise<AdoptOutcome> {
    const { openCopy } = this.#init
    if (openCopy === undefined) {
      throw new FileSyncError('USAGE', 'This archive is not stored on this machine, so it cannot adopt a directory.')
    }
    const { folder } = options
    const copy = openCopy(folder === undefined ? area : `${area}/${folder}`, directory)
    try {
      return await (await this.area(area)).adopt(copy, options)
    } finally {
      if (copy !== 'in place') copy.close()
    }
  }

  async close (): Promise<void> {
    this.#isClosed = true
    await this.#init.close()
  }
}
