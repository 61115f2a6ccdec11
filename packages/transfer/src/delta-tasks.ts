import type { Task } from '@filesync/protocol'
import { averageBitsFor } from './signature.ts'

/** The server's current copy of a file that it asks for. */
export interface PresentCopy {
  readonly sizeBytes: number
  /** Its signature, stored or computed; undefined if the copy cannot be read to its end. */
  sign (): Promise<Uint8Array | undefined>
}

export interface DeltaTasksInit {
  readonly tasks: Iterable<Task>
  /** As in `receiveFiles`: tasks that follow all others. */
  readonly again?: () => Iterable<Task>
  /** Size of the file that a task asks for, as listed. */
  readonly sizeOf: (task: number) => number
  /** Undefined if there is no copy to compare with. Called only for large files. */
  readonly present: (task: number) => Promise<PresentCopy | undefined>
  /** Smaller files are asked for whole. Default 4 MiB. */
  readonly fromBytes?: number
}

/**
 * For smaller files, the round trip of a signature and reading the old copy cost more than sending the file on a local
 * network: 4 MiB take 36 ms at 1 Gbit/s.
 */
const FROM_BYTES = 4 << 20
/**
 * A partial of this size is continued instead of using a delta: a delta starts from the beginning, so over a connection that
 * breaks again and again it would never complete.
 */
const CONTINUE_FROM_BYTES = 32 << 20

/** Tasks for `receiveFiles` that ask for large changed files as deltas, and their signatures. */
export interface DeltaTasks {
  readonly tasks: Iterable<Task | Promise<Task>>
  readonly again: () => Iterable<Task | Promise<Task>>
  /** To be called once for each DELTA task; throws RangeError for other tasks. */
  readonly signature: (task: number) => Uint8Array
}

/**
 * Turns tasks for whole large files into tasks for deltas if there is a copy to compare with that is not much smaller. A file
 * with a partial is continued if the partial is large, and asked for as a delta otherwise. Signatures are made one at a
 * time, as the tasks are taken.
 */
export function deltaTasks (init: DeltaTasksInit): DeltaTasks {
  const signatures = new Map<number, Uint8Array>()
  const taken = { count: 0 }
  return {
    tasks: withDeltas(init.tasks, init, { signatures, taken }),
    again: () => withDeltas(init.again?.() ?? [], init, { signatures, taken }),
    signature: task => {
      const signature = signatures.get(task)
      if (signature === undefined) throw new RangeError(`Task ${String(task)} has no signature.`)
      signatures.delete(task)
      return signature
    },
  }
}

interface Bookkeeping {
  readonly signatures: Map<number, Uint8Array>
  /** Number of tasks so far. */
  readonly taken: { count: number }
}

// Only large files get a promise: awaiting every task of a tree of small files costs more than asking for them.
function * withDeltas (
  tasks: Iterable<Task>, init: DeltaTasksInit, { signatures, taken }: Bookkeeping,
): Generator<Task | Promise<Task>, void, undefined> {
  const fromBytes = init.fromBytes ?? FROM_BYTES
  for (const task of tasks) {
    const number = taken.count++
    const sizeBytes = init.sizeOf(number)
    const isCandidate = sizeBytes >= fromBytes && (task[2] === undefined || task[2] === 'RESUME')
    yield isCandidate ? withDelta({ task, number, sizeBytes, fromBytes }, init, signatures) : task
  }
}

interface Candidate {
  readonly task: Task
  readonly number: number
  readonly sizeBytes: number
  readonly fromBytes: number
}

async function withDelta (candidate: Candidate, init: DeltaTasksInit, signatures: Map<number, Uint8Array>): Promise<Task> {
  const { task, number, sizeBytes, fromBytes } = candidate
  const present = await init.present(number)
  if (present === undefined || !paysOff(present.sizeBytes, fromBytes)) return task
  if (task[2] === 'RESUME' && task[3] >= Math.min(CONTINUE_FROM_BYTES, present.sizeBytes / 2, sizeBytes / 2)) return task
  const signature = await present.sign()
  if (signature === undefined) return task
  signatures.set(number, signature)
  return [task[0], task[1], 'DELTA', signature.length]
}

function paysOff (presentBytes: number, fromBytes: number): boolean {
  return presentBytes >= fromBytes / 4 && averageBitsFor(presentBytes) !== undefined
}
