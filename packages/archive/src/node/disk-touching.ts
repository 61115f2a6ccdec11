import { threadId } from 'node:worker_threads'
import { errnoOf } from '@filesync/protocol'
import type { FileEntry, RelativePath } from '@filesync/protocol'
import { isSameTime, isTimeAsSet, TOUCH_GRAIN_NS } from '../store/file-time.ts'
import type { TimeRange } from '../store/file-time.ts'
import { ALTERED, NOT_STAGED, STAYS_THERE } from '../store/section.ts'
import type { Batch, EntryFailure } from '../store/section.ts'
import type { Beneath } from './beneath.ts'
import { describeFileError, describeNoRoom, isFull, throwIfStoreError } from './disk-errors.ts'
import type { DiskFlushing } from './disk-flushing.ts'
import { inside, STAGING } from './disk-places.ts'
import type { Spot } from './disk-versions.ts'
import * as disk from './disk.ts'
import { copyAt, inodeKey, removeAt, tryLink } from './hard-link.ts'

/** The name in staging of a file that is separated from other names; each thread has its own. */
const TEMPORARY = `separate-${String(threadId)}`

/** A file that was to stay is no longer what was stored. */
class AlteredError extends Error {}

/** Why an entry could not be placed. */
export function describeFailure (error: unknown): Pick<EntryFailure, 'message' | 'isAltered'> {
  if (error instanceof AlteredError) return ALTERED
  return { message: isFull(error) ? describeNoRoom(error) : describeFileError(error) }
}

/** A name of a file that has several, and the metadata that this name is to get. */
interface SharedName {
  readonly area: string
  readonly directory: RelativePath
  readonly name: string
  readonly mode: number
  readonly mtimeNs: bigint
  readonly section: number
  readonly entry: number
}

interface TouchedEntry {
  /** As in `Section.staged`. */
  readonly number: number
  readonly section: number
  readonly entry: number
}

export interface TouchingInit {
  readonly batch: Batch
  readonly flushing: DiskFlushing
  readonly times: TimeRange | undefined
}

/**
 * Sets modes and times of files that keep their content, for one batch. A file with several names gets them only if all of its names
 * do; otherwise the names that do are separated from the others, which may be versions.
 */
export class DiskTouching {
  readonly #beneath: Beneath
  readonly #init: TouchingInit
  readonly #shared = new Map<string, SharedName[]>()

  constructor (beneath: Beneath, init: TouchingInit) {
    this.#beneath = beneath
    this.#init = init
  }

  /** Sets the mode and time of a file. Throws instead if its time shows that somebody changed the content. */
  touch ({ area, directory, prefix }: Spot, { name, sizeBytes, mtimeNs, mode: wanted }: FileEntry, touched: TouchedEntry): number {
    const { times, batch } = this.#init
    const fd = openStored(prefix, name)
    try {
      const stat = disk.statOf(fd)
      const isAltered = stat.sizeBytes !== sizeBytes || (touched.number === NOT_STAGED && !isTimeAsSet(mtimeNs, stat.mtimeNs, times))
      if (isAltered) throw new AlteredError()
      const mode = wanted & 0o777 | disk.OWNER_READS
      if (stat.links === 1 || batch.isRecorded === true) setMetadata(fd, { stat, mode, mtimeNs }, [prefix, name])
      else if (differs(stat, { mode, mtimeNs })) this.#addShared(inodeKey(stat), { area, directory, name, mode, mtimeNs, ...touched })
      return STAYS_THERE
    } finally {
      disk.close(fd)
    }
  }

  /** Sets what files with several names are to get. Call it after all entries of the batch were placed. */
  separate (): EntryFailure[] {
    const failures: EntryFailure[] = []
    for (const names of this.#shared.values()) {
      const alike = Map.groupBy(names, ({ mode, mtimeNs }) => `${String(mode)}:${String(mtimeNs)}`)
      for (const same of alike.values()) {
        this.#beneath.trim()
        try {
          this.#separateSome(same)
        } catch (error) {
          if (!isFull(error)) throwIfStoreError(error)
          for (const { section, entry } of same) failures.push({ section, entry, ...describeFailure(error) })
        }
      }
    }
    return failures
  }

  #addShared (key: string, name: SharedName): void {
    const names = this.#shared.get(key)
    if (names === undefined) this.#shared.set(key, [name])
    else names.push(name)
  }

  /** Gives names of one file the same metadata. */
  #separateSome (names: readonly SharedName[]): void {
    const [first] = names
    if (first === undefined) return
    const { batch, flushing } = this.#init
    const { mode, mtimeNs } = first
    const prefix = this.#beneath.open(inside(first.area, first.directory))
    const fd = openStored(prefix, first.name)
    try {
      const stat = disk.statOf(fd)
      if (stat.links === names.length) {
        setMetadata(fd, { stat, mode, mtimeNs }, [prefix, first.name])
        return
      }
      const staging = this.#beneath.open(inside(STAGING, batch.staging), 'make')
      removeAt([staging, TEMPORARY])
      copyAt(fd, [staging, TEMPORARY], { mode, mtimeNs, flushing })
      disk.replaceAt(staging, TEMPORARY, [prefix, first.name])
      flushing.named(first.area, first.directory, first.name)
    } finally {
      disk.close(fd)
    }
    for (const other of names.slice(1)) this.#linkTo(first, other)
  }

  #linkTo (first: SharedName, { area, directory, name, mode, mtimeNs }: SharedName): void {
    const { batch, flushing } = this.#init
    const from = [this.#beneath.open(inside(first.area, first.directory)), first.name] as const
    const staging = [this.#beneath.open(inside(STAGING, batch.staging)), TEMPORARY] as const
    removeAt(staging)
    if (!tryLink(from, staging)) {
      const fd = disk.readAt(...from)
      try {
        copyAt(fd, staging, { mode, mtimeNs, flushing })
      } finally {
        disk.close(fd)
      }
    }
    disk.replaceAt(...staging, [this.#beneath.open(inside(area, directory)), name])
    flushing.named(area, directory, name)
  }
}

interface Metadata {
  readonly mode: number
  readonly mtimeNs: bigint
}

function differs (stat: disk.Stat, { mode, mtimeNs }: Metadata): boolean {
  return stat.mode !== mode || !isSameTime(stat.mtimeNs, mtimeNs, TOUCH_GRAIN_NS)
}

function setMetadata (
  fd: number, { stat, mode, mtimeNs }: Metadata & { readonly stat: disk.Stat }, place: readonly [prefix: string, name: string],
): void {
  if (stat.mode !== mode) disk.setMode(fd, mode)
  if (!isSameTime(stat.mtimeNs, mtimeNs, TOUCH_GRAIN_NS)) disk.touchOpen(fd, mtimeNs, place)
}

function openStored (prefix: string, name: string): number {
  try {
    return disk.readAt(prefix, name)
  } catch (error) {
    if (['ENOENT', 'ELOOP', 'ENOTREG'].includes(errnoOf(error))) throw new AlteredError()
    throw error
  }
}
