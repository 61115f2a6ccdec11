import type { Task } from '@filesync/protocol'
import { averageBitsFor } from './signature.ts'

/** The server's present copy of a file that it asks for. */
export interface PresentCopy {
  readonly sizeBytes: number
  /** Its signature, kept or made anew. */
  sign (): Promise<Uint8Array>
}

export interface DeltaTasksInit {
  readonly tasks: Iterable<Task>
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

/** Tasks for `receiveFiles` that ask for large changed files as a difference, and the signatures that go with them. */
export interface DeltaTasks {
  readonly tasks: AsyncIterable<Task>
  /** May be taken once for each DELTA task; throws RangeError for others. */
  readonly signature: (task: number) => Uint8Array
}

/**
 * Turns tasks for whole large files into tasks for differences, wherever there is a copy to compare with that is not much
 * smaller. Signatures are made one by one, as the tasks are taken.
 */
export function deltaTasks (init: DeltaTasksInit): DeltaTasks {
  const signatures = new Map<number, Uint8Array>()
  return {
    tasks: withDeltas(init, signatures),
    signature: task => {
      const signature = signatures.get(task)
      if (signature === undefined) throw new RangeError(`Task ${String(task)} has no signature.`)
      signatures.delete(task)
      return signature
    },
  }
}

async function * withDeltas (init: DeltaTasksInit, signatures: Map<number, Uint8Array>): AsyncGenerator<Task, void, undefined> {
  const fromBytes = init.fromBytes ?? FROM_BYTES
  let number = 0
  for (const task of init.tasks) {
    const present = task.length === 2 && init.sizeOf(number) >= fromBytes ? await init.present(number) : undefined
    if (present !== undefined && paysOff(present.sizeBytes, fromBytes)) {
      const signature = await present.sign()
      signatures.set(number, signature)
      yield [task[0], task[1], 'DELTA', signature.length]
    } else yield task
    number++
  }
}

function paysOff (presentBytes: number, fromBytes: number): boolean {
  return presentBytes >= fromBytes / 4 && averageBitsFor(presentBytes) !== undefined
}
