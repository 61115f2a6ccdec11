import { equalDigests, problem, toHex } from '@filesync/protocol'
import type { Digest, ProblemList } from '@filesync/protocol'
import { FIRST_LINK } from '../compare/moves.ts'
import type { TaskList } from '../compare/task-list.ts'
import type { ContentStore } from '../store/content-store.ts'

export interface LinkedFilesInit {
  readonly tasks: TaskList
  readonly store: Pick<ContentStore, 'linkStaged'>
  readonly staging: string
  readonly problems: ProblemList
  /** Whether the client has answered a task. */
  readonly isAnswered: (task: number) => boolean
}

/** A name whose content arrived under another name of its file, and the number that it has in staging. */
export interface LinkedFile {
  readonly task: number
  readonly number: number
  readonly digest: Digest
}

/** What is known of the names of one file. */
interface Group {
  /** Digest of the content that arrived first, and the names for which it has further names in staging. */
  arrived: { readonly digest: Digest, readonly linked: ReadonlySet<number> } | undefined
  /** Tasks whose digest has come while no such content has, with that digest. */
  readonly waiting: Map<number, Digest>
}

/** Digests that may wait for content. The content is asked for first, so an honest client hardly lets any wait. */
const WAITING_MAX = 262_144

/**
 * Names of one file whose content travels once. When it has arrived under one name, it gets further names in staging before it is placed;
 * each is used once the client has sent the same digest for it. So files are never mixed, whatever file ids a client claims.
 */
export class LinkedFiles {
  readonly #init: LinkedFilesInit
  readonly #groups = new Map<number, Group>()
  readonly #retried = new Set<number>()
  #waitingCount = 0

  constructor (init: LinkedFilesInit) {
    this.#init = init
  }

  /** The digest of a name has come. `waiting`: its content has not, or not yet. Undefined if it is to be asked for whole. */
  compare (task: number, digest: Digest): LinkedFile | 'waiting' | undefined {
    const group = this.#groupOf(task)
    if (group === undefined) return undefined
    if (group.arrived?.linked.has(task) === true && equalDigests(group.arrived.digest, digest)) {
      return { task, number: FIRST_LINK + task, digest }
    }
    if (this.#waitingCount >= WAITING_MAX) return undefined
    this.#waitingCount++
    // A copy, which does not keep the whole frame.
    group.waiting.set(task, digest.slice() as Digest)
    return 'waiting'
  }

  /** Content was staged; it is to be placed after this resolves. Resolves to the names that waited for it. */
  async arrived (staged: number, digest: Digest): Promise<LinkedFile[]> {
    const { tasks, store, staging, isAnswered } = this.#init
    const original = tasks.originalOf(staged)
    const group = this.#groupOf(original)
    if (group === undefined) return []
    this.#endWait(group, original)
    const isDue = (task: number): boolean => {
      const known = group.waiting.get(task)
      return task !== original && (known === undefined ? !isAnswered(task) : equalDigests(known, digest))
    }
    const due = [...tasks.links.followersOf(tasks.links.groupOf(original) ?? 0)].filter(isDue)
    if (due.length === 0) return []
    const links = due.map(task => ({ number: FIRST_LINK + task, mode: tasks.describe(task).mode }))
    const failed = new Set(await store.linkStaged(staging, staged, links))
    const linked = new Set(due.filter((_, at) => !failed.has(at)))
    group.arrived ??= { digest, linked }
    return [...group.waiting].filter(([task, known]) => linked.has(task) && equalDigests(known, digest)).map(([task]) => {
      this.#endWait(group, task)
      return { task, number: FIRST_LINK + task, digest }
    })
  }

  /** Of the names that still wait, one for each content: it has to be asked for after all. */
  * toRetry (): Generator<number, void, undefined> {
    for (const { waiting } of this.#groups.values()) {
      const asked = new Set<string>()
      for (const [task, digest] of waiting) {
        const key = toHex(digest)
        if (asked.has(key)) continue
        asked.add(key)
        this.#retried.add(task)
        yield task
      }
    }
  }

  /** Reports names whose content did not arrive under any name; to be called at the end. */
  reportMissing (): void {
    const { tasks, problems } = this.#init
    for (const { waiting } of this.#groups.values()) {
      for (const task of waiting.keys()) {
        if (!this.#retried.has(task)) problems.add(problem(tasks.describe(task).path, 'STORE_FAILED', MISSING))
      }
    }
  }

  #endWait (group: Group, task: number): void {
    if (group.waiting.delete(task)) this.#waitingCount--
  }

  #groupOf (task: number): Group | undefined {
    const number = this.#init.tasks.links.groupOf(task)
    if (number === undefined) return undefined
    const known = this.#groups.get(number)
    if (known !== undefined) return known
    const group = { arrived: undefined, waiting: new Map<number, Digest>() }
    this.#groups.set(number, group)
    return group
  }
}

const MISSING = 'it has the content of another file, which did not arrive; the next sync asks for it again'
