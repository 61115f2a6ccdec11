import type { Relocation, StagedLink } from '../store/content-store.ts'
import { isTimeAsSet } from '../store/file-time.ts'
import type { TimeRange } from '../store/file-time.ts'
import { ALTERED } from '../store/section.ts'
import type { EntryFailure } from '../store/section.ts'
import type { Beneath } from './beneath.ts'
import type { DiskWorkerData } from './disk-calls.ts'
import { describeFileError, describeNoRoom, isFull, throwIfStoreError } from './disk-errors.ts'
import type { DiskFlushing } from './disk-flushing.ts'
import { inside, split, STAGING, stagedName } from './disk-places.ts'
import * as disk from './disk.ts'
import { copyAt, inodeKey, linkOrCopy, removeAt, tryLink } from './hard-link.ts'

/** Gives files that are stored or staged further names in staging. */
export class DiskLinking {
  readonly #beneath: Beneath
  readonly #flushing: DiskFlushing
  readonly #times: TimeRange | undefined

  constructor (beneath: Beneath, flushing: DiskFlushing, { times }: Pick<DiskWorkerData, 'times'>) {
    this.#beneath = beneath
    this.#flushing = flushing
    this.#times = times
  }

  relocate (area: string, folder: string, relocations: readonly Relocation[]): EntryFailure[] {
    const failures: EntryFailure[] = []
    /** Names in staging of copies, by inode and mode. */
    const copies = new Map<string, string>()
    relocations.forEach((relocation, entry) => {
      this.#beneath.trim()
      try {
        const isGiven = this.#relocateOne(inside(area, relocation.from), { relocation, folder, copies })
        if (!isGiven) failures.push({ section: 0, entry, ...ALTERED })
      } catch (error) {
        if (!isFull(error)) throwIfStoreError(error)
        failures.push({ section: 0, entry, message: isFull(error) ? describeNoRoom(error) : describeFileError(error) })
      }
    })
    return failures
  }

  linkStaged (folder: string, from: number, links: readonly StagedLink[]): number[] {
    this.#beneath.trim()
    const prefix = this.#beneath.open(inside(STAGING, folder), 'make')
    const fd = disk.readAt(prefix, stagedName(from))
    try {
      const { mode: given, mtimeNs } = disk.statOf(fd)
      // The name to link next, by mode: after a copy that was made because a file can have no more names, the copy.
      const names = new Map([[given, stagedName(from)]])
      return links.flatMap(({ number, mode: wanted }, at) => {
        const mode = wanted & 0o777 | disk.OWNER_READS
        const to = [prefix, stagedName(number)] as const
        const known = names.get(mode)
        try {
          removeAt(to)
          if (known !== undefined && tryLink([prefix, known], to)) return []
          copyAt(fd, to, { mode, mtimeNs, flushing: this.#flushing })
          names.set(mode, to[1])
          return []
        } catch (error) {
          if (!isFull(error)) throw error
          return [at]
        }
      })
    } finally {
      disk.close(fd)
    }
  }

  /** Returns false if the file was changed outside FileSync. */
  #relocateOne (
    from: string,
    { relocation, folder, copies }: { readonly relocation: Relocation, readonly folder: string, readonly copies: Map<string, string> },
  ): boolean {
    const { number, sizeBytes, mtimeNs, mode: wanted } = relocation
    const staging = this.#beneath.open(inside(STAGING, folder), 'make')
    const [directory, name] = split(from)
    const prefix = this.#beneath.open(directory)
    const fd = disk.readAt(prefix, name)
    try {
      const stat = disk.statOf(fd)
      if (stat.sizeBytes !== sizeBytes || !isTimeAsSet(mtimeNs, stat.mtimeNs, this.#times)) return false
      const mode = wanted & 0o777 | disk.OWNER_READS
      const to = [staging, stagedName(number)] as const
      if (stat.mode === mode) linkOrCopy(fd, [[prefix, name], to], this.#flushing)
      else {
        // Other names of the file keep its mode: those in versions, and the one that it has now, which may stay.
        const key = `${inodeKey(stat)}:${String(mode)}`
        const copy = copies.get(key)
        removeAt(to)
        if (copy === undefined || !tryLink([staging, copy], to)) copyAt(fd, to, { mode, mtimeNs: stat.mtimeNs, flushing: this.#flushing })
        copies.set(key, to[1])
      }
      return true
    } finally {
      disk.close(fd)
    }
  }
}
