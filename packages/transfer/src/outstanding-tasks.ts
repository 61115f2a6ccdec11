import { FileSyncError } from '@filesync/protocol'
import type { RelativePath, Task } from '@filesync/protocol'
import { FIRST_TASKS_MAX, TASKS_PER_ANSWER, UNANSWERED_TASKS_MAX, WAITING_SIGNATURE_BYTES_MAX } from './task-window.ts'

/** What the server knows about a file that it asks for. */
export interface ExpectedFile {
  readonly path: RelativePath
  /** As the client listed it. */
  readonly sizeBytes: number
}

/** A task and the file that it asks for. */
export interface AnsweredTask {
  readonly task: Task
  readonly expected: ExpectedFile
}

/** Tasks that the client has not answered. */
export class OutstandingTasks {
  readonly #describe: (task: number) => ExpectedFile
  readonly #tasks = new Map<number, Task>()
  readonly #signatures = new Map<number, Uint8Array>()
  #asked = 0
  #signatureBytes = 0
  #isLast = false
  #failure: { readonly error: unknown } | undefined
  #wakeAsker: (() => void) | undefined
  #wakeTaker: (() => void) | undefined

  constructor (describe: (task: number) => ExpectedFile) {
    this.#describe = describe
  }

  /** Number of tasks sent so far. */
  get asked (): number {
    return this.#asked
  }

  /** Waits until the client has answered enough, and returns the number of the first of these tasks. */
  async add (tasks: readonly Task[], isLast: boolean): Promise<number> {
    const signatureBytes = tasks.reduce((sum, task) => sum + signatureBytesOf(task), 0)
    while (this.#tasks.size > 0 && !this.#mayAdd(tasks.length, signatureBytes)) {
      this.#throwIfFailed()
      await new Promise<void>(resolve => { this.#wakeAsker = resolve })
    }
    this.#throwIfFailed()
    const first = this.#asked
    for (const task of tasks) this.#tasks.set(this.#asked++, task)
    this.#signatureBytes += signatureBytes
    this.#isLast = isLast
    this.#wakeTaker?.()
    return first
  }

  /** Whether an answer is outstanding; waits while all tasks are answered and more may follow. */
  async isAnswerDue (): Promise<boolean> {
    for (;;) {
      this.#throwIfFailed()
      if (this.#tasks.size > 0) return true
      if (this.#isLast) return false
      await new Promise<void>(resolve => { this.#wakeTaker = resolve })
    }
  }

  /** Waits until nothing is outstanding. */
  async allAnswered (): Promise<void> {
    for (;;) {
      this.#throwIfFailed()
      if (this.#tasks.size === 0) return
      await new Promise<void>(resolve => { this.#wakeAsker = resolve })
    }
  }

  /** An outstanding task, which remains outstanding. Throws DATA_UNEXPECTED if it is not outstanding. */
  peek (number: number): AnsweredTask {
    const task = this.#tasks.get(number)
    if (task === undefined) {
      throw new FileSyncError('DATA_UNEXPECTED', 'The other end sent a file that it was not asked for, or sent a file twice.')
    }
    return { task, expected: this.#describe(number) }
  }

  /** Keeps the signature of a task until the task is answered. The answer may come before the signature was sent. */
  keepSignature (number: number, signature: Uint8Array): void {
    if (this.#tasks.has(number)) this.#signatures.set(number, signature)
  }

  signatureOf (number: number): Uint8Array | undefined {
    return this.#signatures.get(number)
  }

  /** Marks a task as answered. Throws DATA_UNEXPECTED if it is not outstanding. */
  answer (number: number): AnsweredTask {
    const answered = this.peek(number)
    this.#tasks.delete(number)
    this.#signatures.delete(number)
    this.#signatureBytes -= signatureBytesOf(answered.task)
    this.#wakeAsker?.()
    return answered
  }

  /** Rejects all waiting and later calls with the error. */
  fail (error: unknown): void {
    this.#failure ??= { error }
    this.#wakeAsker?.()
    this.#wakeTaker?.()
  }

  #mayAdd (tasks: number, signatureBytes: number): boolean {
    const answered = this.#asked - this.#tasks.size
    const max = Math.min(UNANSWERED_TASKS_MAX, FIRST_TASKS_MAX + TASKS_PER_ANSWER * answered)
    return this.#tasks.size + tasks <= max && this.#signatureBytes + signatureBytes <= WAITING_SIGNATURE_BYTES_MAX
  }

  #throwIfFailed (): void {
    if (this.#failure !== undefined) throw this.#failure.error
  }
}

/** Size of the signature of a task. */
export function signatureBytesOf (task: Task): number {
  return task[2] === 'DELTA' ? task[3] : 0
}
