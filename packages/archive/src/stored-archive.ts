import { FileSyncError, ROOT_PATH } from '@filesync/protocol'
import type { HashBytes } from '@filesync/protocol'
import type { AdoptOptions, AdoptOutcome, Archive, ArchiveSettings, Area, DiskRoom } from './archive.ts'
import type { ArchiveIndex } from './store/archive-index.ts'
import { isAreaName, StoredArea } from './area.ts'
import type { ContentStore } from './store/content-store.ts'
import type { ExistingCopy } from './store/existing-copy.ts'
import { diskRoom } from './compare/room.ts'

export interface StoredArchiveInit extends ArchiveSettings {
  readonly id: string
  readonly index: ArchiveIndex
  readonly store: ContentStore
  readonly hash: HashBytes
  /** A folder name in staging that was never used. */
  readonly newStaging: () => string
  /** Opens a directory of this machine as the copy that an area takes over; throws USAGE. */
  readonly openCopy?: (area: string, directory: string) => ExistingCopy | 'in place'
  readonly close: () => Promise<void>
}

/** An archive over the ports. */
export class StoredArchive implements Archive {
  readonly #init: StoredArchiveInit
  readonly #areas = new Map<string, Area>()
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
    if (!isAreaName(name)) throw new FileSyncError('NAME_INVALID', `${JSON.stringify(name)} cannot be the name of a client's folder in the archive.`)
    if (this.#isClosed) throw new FileSyncError('ABORTED', 'The archive is closed.')
    const open = this.#areas.get(name)
    if (open !== undefined) return open
    if (!this.isReadOnly) await this.#init.store.openArea(name)
    const area = this.#areas.get(name) ?? new StoredArea({ ...this.#init, name, reserveBytes: this.#init.reserveBytes })
    this.#areas.set(name, area)
    return area
  }

  areas (): readonly string[] {
    return this.#init.index.areas()
  }

  async takenNames (): Promise<readonly string[]> {
    const areas = this.areas()
    // An area may lie one folder deep, and its first part is taken with it.
    return [...new Set([...areas, ...areas.map(name => name.split('/')[0] ?? name), ...(await this.#init.store.list('', ROOT_PATH)).map(({ name }) => name)])]
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
    if (openCopy === undefined) throw new FileSyncError('USAGE', 'This archive is not on a disk of this machine.')
    const copy = openCopy(area, directory)
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
