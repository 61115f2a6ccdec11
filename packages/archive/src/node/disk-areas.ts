import { errnoOf } from '@filesync/protocol'
import type { Beneath } from './beneath.ts'
import type { DiskFlushing } from './disk-flushing.ts'
import { HISTORY, inside, PARTIAL, split, VERSIONS } from './disk-places.ts'
import * as disk from './disk.ts'

/** What an area has a directory in. Renamed in this order: the mirror first. */
const HOMES = ['', PARTIAL, VERSIONS, HISTORY]

/** Renames and removes the directories of whole areas. */
export class DiskAreas {
  readonly #beneath: Beneath
  readonly #flushing: DiskFlushing

  constructor (beneath: Beneath, flushing: DiskFlushing) {
    this.#beneath = beneath
    this.#flushing = flushing
  }

  /** Renames those directories that are not renamed yet. Returns false, and changes nothing, if one of them would replace content. */
  rename (from: string, to: string): boolean {
    // The mirror is renamed first: once it is, what has the new name was renamed too.
    const isBegun = this.#find(from) === undefined
    const moves = HOMES.map(home => {
      const [source, target] = [this.#find(inside(home, from)), this.#find(inside(home, to))]
      const isSame = source !== undefined && target?.inode === source.inode && target.device === source.device
      return { home, hasSource: source !== undefined, hasTarget: target !== undefined && !isSame }
    })
    const mayMeet = isBegun ? moves.filter(({ hasSource }) => hasSource) : moves
    if (mayMeet.some(({ home, hasTarget }) => hasTarget && !this.#isEmpty(inside(home, to)))) return false
    for (const { home, hasTarget } of moves.filter(({ hasSource }) => hasSource)) {
      if (hasTarget) this.#remove(inside(home, to))
      const [fromDirectory, fromName] = split(inside(home, from))
      const [toDirectory, toName] = split(inside(home, to))
      const toPrefix = this.#beneath.open(toDirectory, 'make')
      disk.renameAt(this.#beneath.open(fromDirectory), fromName, [toPrefix, toName])
      this.#beneath.closeHandles()
      this.#flushing.changed(fromDirectory)
      this.#flushing.changed(toDirectory)
    }
    return true
  }

  /** Removes the directories of an area. Returns false, and removes nothing, if its mirror is not empty. */
  remove (area: string): boolean {
    if (!this.#isEmpty(area)) return false
    for (const home of [...HOMES].reverse()) {
      const directory = inside(home, area)
      if (this.#find(directory) === undefined) continue
      // Only what this archive makes there: logs, and folders of versions that a crash left empty.
      const prefix = this.#beneath.open(directory)
      for (const name of disk.namesIn(prefix)) {
        if (disk.statAt(prefix, name)?.kind === 'directory') disk.removeDirectoryAt(prefix, name)
        else disk.unlinkAt(prefix, name)
      }
      this.#remove(directory)
    }
    return true
  }

  #find (directory: string): disk.Stat | undefined {
    const [above, name] = split(directory)
    try {
      return disk.statAt(this.#beneath.open(above), name)
    } catch (error) {
      if (errnoOf(error) !== 'ENOENT') throw error
      return undefined
    }
  }

  #isEmpty (directory: string): boolean {
    const found = this.#find(directory)
    if (found === undefined) return true
    return found.kind === 'directory' && disk.namesIn(this.#beneath.open(directory)).length === 0
  }

  #remove (directory: string): void {
    this.#beneath.closeHandles()
    const [above, name] = split(directory)
    disk.removeDirectoryAt(this.#beneath.open(above), name)
    this.#flushing.changed(above)
  }
}
