import { FileSyncError, PartsDecoder } from '@filesync/protocol'
import type { Incoming, NextSync, Stored, Task, Tasks } from '@filesync/protocol'
import { Queue } from './queue.ts'
import { SIGNATURE_BYTES_MAX } from './signature.ts'
import { UNANSWERED_TASKS_MAX, WAITING_SIGNATURE_BYTES_MAX } from './task-window.ts'

export interface NumberedTask {
  readonly number: number
  readonly task: Task
}

/**
 * Receives and checks the server's messages while files are sent to it: pages of tasks, their signatures, and how much is
 * durable.
 */
export class TaskIntake {
  /** Tasks in order; ends after the last one. */
  readonly tasks: Queue<NumberedTask> = new Queue<NumberedTask>()
  readonly #signatures = new Queue<Uint8Array>()
  readonly #signaturesDue: { readonly number: number, readonly sizeBytes: number }[] = []
  readonly #parts = new PartsDecoder(SIGNATURE_BYTES_MAX)
  readonly #onStored: (stored: Stored) => void
  #signatureBytes = 0
  #expected = 0
  #answered = 0
  #isLast = false

  constructor (onStored: (stored: Stored) => void) {
    this.#onStored = onStored
  }

  /** Whether the last page was received. */
  get isComplete (): boolean {
    return this.#isLast
  }

  /** Processes a message and returns it if it is NEXT_SYNC. Throws the code of a protocol violation. */
  accept (incoming: Incoming): NextSync | undefined {
    if (incoming.kind === 'raw') {
      if (incoming.type !== 'SIGNATURE' || incoming.flags !== 0) throw unexpected(`a ${incoming.type} frame`)
      this.#acceptSignatures(incoming.payload)
      return undefined
    }
    const message = incoming.message
    if (message.type === 'TASKS') this.acceptPage(message)
    else if (message.type === 'STORED') this.#onStored(message)
    else if (message.type === 'NEXT_SYNC' && this.#answered === this.#expected) return message
    else throw unexpected(message.type)
    return undefined
  }

  acceptPage (page: Tasks): void {
    if (this.#isLast || page.first !== this.#expected) throw unexpected('a page of TASKS that does not follow the last one')
    if (page.tasks.length === 0 && !page.last) throw unexpected('an empty page of TASKS')
    for (const task of page.tasks) {
      const number = this.#expected++
      if (task[2] === 'DELTA') this.#expectSignature(number, task[3])
      this.tasks.push({ number, task })
    }
    if (this.#expected - this.#answered > UNANSWERED_TASKS_MAX) {
      const most = String(UNANSWERED_TASKS_MAX)
      throw new FileSyncError('LIMIT_EXCEEDED', `The other end asked for more than ${most} files without waiting for an answer.`)
    }
    this.#isLast = page.last
    if (page.last) this.tasks.end()
  }

  /** The signature for the next DELTA task, in the order of the tasks. */
  async takeSignature (): Promise<Uint8Array> {
    const signature = await this.#signatures.take()
    if (signature === undefined) throw new FileSyncError('INTERNAL', 'A signature was taken that no task announced.')
    this.#signatureBytes -= signature.length
    return signature
  }

  answered (tasks: number): void {
    this.#answered += tasks
  }

  fail (error: unknown): void {
    this.tasks.fail(error)
    this.#signatures.fail(error)
  }

  #expectSignature (number: number, sizeBytes: number): void {
    this.#signatureBytes += sizeBytes
    if (this.#signatureBytes > WAITING_SIGNATURE_BYTES_MAX || sizeBytes > SIGNATURE_BYTES_MAX) {
      throw new FileSyncError('LIMIT_EXCEEDED', 'The other end announced larger signatures than this one accepts.')
    }
    this.#signaturesDue.push({ number, sizeBytes })
  }

  #acceptSignatures (payload: Uint8Array): void {
    for (const whole of this.#parts.push(payload)) {
      const due = this.#signaturesDue.shift()
      const isDue = due?.number === whole.number && due.sizeBytes === whole.bytes.length
      if (!isDue) throw unexpected('a signature that no task announced')
      this.#signatures.push(whole.bytes)
    }
  }
}

function unexpected (what: string): FileSyncError {
  return new FileSyncError('MESSAGE_UNEXPECTED', `The other end sent ${what}, which is not allowed during the transfer of files.`)
}
