import type { Task } from '@filesync/protocol'
import { averageBitsFor } from './signature.ts'

/** The server's present copy of a file that it asks for. */
export interface PresentCopy {
  readonly sizeBytes: number
  /** Its signature, kept or made anew; undefined where the copy cannot be read to its end. */
  sign (): Promise<Uint8Array | undefined>
}

export interface DeltaTasksInit {
  readonly tasks: Iterable<Task>
  /** As of `receiveFiles`: tasks that follow all others. */
  readonly again?: () => Iterable<Task>
  /** Size of the file that a task asks for, as listed. */
  readonly sizeOf: (task: number) => number
  /** Undefined where there is no copy to compare with. Asked for large files alone. */
  readonly present: (task: number) => Promise<PresentCopy | undefined>
  /** Files below are asked for whole; 4 MiB unless told. */
  readonly fromBytes?: number
}

/**
 * Below, the round trip of a signature and reading the old copy cost more than sending the file does on a local network:
 * 4 MiB are 36 ms at 1 Gbit/s.
 */
const FROM_BYTES = 4 << 20
/**
 * So much of a begun file is worth more than what a difference may save: a difference starts anew, and over a connection
 * that breaks again and again it would never come to its end.
 */
const CONTINUE_FROM_BYTES = 32 << 20

/** Tasks for `receiveFiles` that ask for large changed files as a difference, and the signatures that go with them. */
export interface DeltaTasks {
  readonly tasks: Iterable<Task | Promise<Task>>
  readonly again: () => Iterable<Task | Promise<Task>>
  /** May be taken once for each DELTA task; throws RangeError for others. */
  readonly signature: (task: number) => Uint8Array
}

/**
 * Turns tasks for whole large files into tasks for differences, wherever there is a copy to compare with that is not much
 * smaller. A file that was begun is continued where most or much of it is there, and asked for as a difference otherwise.
 * Signatures are made one by one, as the tasks are taken.
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
  /** How many tasks have a number by now. */
  readonly taken: { count: number }
}

// A promise for large files alone: awaiting every task of a tree of small ones costs more than asking for them.
function * withDeltas (tasks: Iterable<Task>, init: DeltaTasksInit, { signatures, taken }: Bookkeeping): Generator<Task | Promise<Task>, void, undefined> {
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

async function withDelta ({ task, number, sizeBytes, fromBytes }: Candidate, init: DeltaTasksInit, signatures: Map<number, Uint8Array>): Promise<Task> {
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
