import type { TaskList } from './task-list.ts'
import type { LinkGroup } from './links.ts'

const NO_TASKS = new Uint32Array(0)

/**
 * The tasks for names of one file. One task of each group asks for the content, the others for the digest alone; the first may be missing
 * because the file did not fit.
 */
export class TaskLinks {
  /** By task, the number of its group, from 1; 0 for none. */
  readonly #groups: Uint32Array
  /** By group, the tasks that ask for the digest. */
  readonly #followers: Uint32Array[] = []
  /** By group, the task that asks for the content; -1 if it is missing. */
  readonly #first: number[] = []

  constructor (tasks: Pick<TaskList, 'count' | 'numberOf' | 'askDigest' | 'describe'>, groups: readonly LinkGroup[]) {
    this.#groups = groups.length === 0 ? NO_TASKS : new Uint32Array(tasks.count)
    for (const { owners, places } of groups) {
      const followers: number[] = []
      const group = this.#followers.length + 1
      let first = -1
      owners.forEach((owner, at) => {
        const task = tasks.numberOf(owner, places[at] ?? 0)
        if (task === undefined) return
        this.#groups[task] = group
        if (at === 0) {
          first = task
          return
        }
        followers.push(task)
        tasks.askDigest(task, tasks.describe(task).sizeBytes)
      })
      this.#followers.push(Uint32Array.from(followers))
      this.#first.push(first)
    }
  }

  /** Undefined if the task is for a file with one name. */
  groupOf (task: number): number | undefined {
    const group = this.#groups[task] ?? 0
    return group === 0 ? undefined : group
  }

  /** Whether a task asks for the digest alone because another one of its group asks for the content. */
  isFollower (task: number): boolean {
    const group = this.groupOf(task)
    return group !== undefined && this.#first[group - 1] !== task
  }

  /** The tasks of a group that ask for the digest alone. */
  followersOf (group: number): Uint32Array {
    return this.#followers[group - 1] ?? NO_TASKS
  }
}

export const NO_LINKS: TaskLinks = new TaskLinks({
  count: 0,
  numberOf: () => undefined,
  askDigest: () => { /* there is no task */ },
  describe: () => { throw new RangeError('There is no task.') },
}, [])
