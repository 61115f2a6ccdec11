import { joinPath } from '@filesync/protocol'
import type { WholeContent } from './directory-visit.ts'
import type { DirectoryVisit, DirectoryVisitInit } from './directory-visit.ts'

export interface VisitQueueInit {
  /** Returns the visit if the directory is to be read. */
  readonly enter: (init: DirectoryVisitInit) => DirectoryVisit | undefined
  /** Takes a subdirectory from the previous tree. */
  readonly keep: (parent: DirectoryVisit, content: WholeContent, at: { readonly index: number, readonly oldIndex: number }) => void
}

/** The subdirectories of one directory that are still to be entered. */
interface Children {
  readonly parent: DirectoryVisit
  readonly content: WholeContent
  left: number
}

/**
 * The directories to read. The subdirectories of a directory become visits only when they are taken: one directory may have a
 * million of them.
 */
export class VisitQueue {
  readonly #init: VisitQueueInit
  readonly #visits: DirectoryVisit[] = []
  readonly #children: Children[] = []
  #queued = 0
  #taken = 0

  constructor (init: VisitQueueInit) {
    this.#init = init
  }

  /** Directories that are queued or being read. Some of the queued ones may turn out to need no reading. */
  get unfinished (): number {
    return this.#queued + this.#taken
  }

  push (visit: DirectoryVisit): void {
    this.#queued++
    this.#visits.push(visit)
  }

  /** Queues all subdirectories of a directory. */
  pushChildren (parent: DirectoryVisit, content: WholeContent): void {
    if (content.childNames.length === 0) return
    this.#queued += content.childNames.length
    this.#children.push({ parent, content, left: content.childNames.length })
  }

  /**
   * Takes directories to read, at most `max` and a share of what is queued. From the end: neighbors are next to each other
   * there, and the queue stays short.
   */
  take (shares: number, max: number): DirectoryVisit[] {
    const batch: DirectoryVisit[] = []
    const size = Math.min(Math.ceil(this.#queued / shares), max)
    while (batch.length < size && this.#queued > 0) {
      const next = this.#visits.pop() ?? this.#nextChild()
      this.#queued--
      if (next !== undefined) batch.push(next)
    }
    this.#taken += batch.length
    return batch
  }

  /** Directories that were taken are finished. */
  finish (count: number): void {
    this.#taken -= count
  }

  clear (): void {
    this.#visits.length = 0
    this.#children.length = 0
    this.#queued = 0
    this.#taken = 0
  }

  #nextChild (): DirectoryVisit | undefined {
    const children = this.#children.at(-1)
    if (children === undefined) throw new Error('a queue counted more directories than it has')
    const { parent, content } = children
    const index = --children.left
    if (index === 0) this.#children.pop()
    const name = content.childNames[index]
    if (name === undefined) throw new Error('a directory has fewer subdirectories than it said')
    const dirty = parent.dirty?.below.get(name)
    const mustReread = parent.mustReread || dirty?.isSubtree === true
    const oldIndex = content.oldIndex(index)
    if (oldIndex >= 0 && !mustReread && dirty === undefined) {
      this.#init.keep(parent, content, { index, oldIndex })
      return undefined
    }
    return this.#init.enter({
      path: joinPath(parent.path, name), name, ...content.childId(index), parent, index, old: content.oldChild(oldIndex),
      mustReread, dirty, rules: content.rules,
    })
  }
}
