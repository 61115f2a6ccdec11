import { Worker } from 'node:worker_threads'
import { FileSyncError } from '@filesync/protocol'
import { endWorker } from '@filesync/protocol/node'
import type { DirectoryReader, DirectoryReading, ReadRequest } from '../directory-reading.ts'
import type { RuleSet } from '../rule-set.ts'
import type { FromReader, ReaderData, RuleDefinition, ToReader } from './reader-messages.ts'

// A flag that was meant for the program itself (--input-type, --eval) can keep a thread from starting.
const OWN_FLAGS = process.execArgv.filter(flag => flag.startsWith('--conditions='))

/** Threads that read directories with synchronous calls, which cost a quarter of the asynchronous ones. */
export class ReaderThreads implements DirectoryReader {
  readonly parallel: number
  readonly #threads: ReaderThread[]

  constructor (threads: number, data: ReaderData) {
    this.parallel = threads
    this.#threads = Array.from({ length: threads }, () => new ReaderThread(data))
  }

  async read (batch: readonly ReadRequest[]): Promise<readonly DirectoryReading[]> {
    const idlest = this.#threads.reduce((best, thread) => thread.waiting < best.waiting ? thread : best)
    return await idlest.read(batch)
  }

  // Threads that are not needed must not keep a program alive; a scan that waits for files to settle must.
  stay (): () => void {
    const [first] = this.#threads
    first?.keepAlive(1)
    return () => { first?.keepAlive(-1) }
  }

  rest (): void {
    for (const thread of this.#threads) thread.rest()
  }

  async close (): Promise<void> {
    await Promise.all(this.#threads.map(async thread => { await thread.close() }))
  }
}

class ReaderThread {
  readonly #worker: Worker
  readonly #known = new Set<number>()
  readonly #answers = new Map<number, PromiseWithResolvers<readonly DirectoryReading[]>>()
  #asked = 0
  #reasonsToLive = 0
  #broken: FileSyncError | undefined

  constructor (data: ReaderData) {
    this.#worker = new Worker(new URL('./reader-worker.ts', import.meta.url), { workerData: data, execArgv: OWN_FLAGS })
    this.#worker.on('message', (message: FromReader) => { this.#take(message) })
    this.#worker.on('error', (cause: unknown) => { this.#break(cause) })
    this.#worker.on('exit', () => { this.#break(undefined) })
    this.#worker.unref()
  }

  /** Batches that it has not answered. */
  get waiting (): number {
    return this.#answers.size
  }

  async read (batch: readonly ReadRequest[]): Promise<readonly DirectoryReading[]> {
    if (this.#broken !== undefined) throw this.#broken
    const id = this.#asked++
    const answer = Promise.withResolvers<readonly DirectoryReading[]>()
    this.#answers.set(id, answer)
    this.keepAlive(1)
    this.#worker.postMessage({
      type: 'read', id,
      rules: batch.flatMap(({ rules }) => this.#introduce(rules)),
      directories: batch.map(({ directory }) => directory),
      rulesIds: batch.map(({ rules }) => rules.id),
      nowMs: batch[0]?.nowMs ?? 0,
      settleMs: batch[0]?.settleMs ?? 0,
    } satisfies ToReader)
    return await answer.promise
  }

  keepAlive (reasons: 1 | -1): void {
    this.#reasonsToLive += reasons
    if (this.#reasonsToLive > 0) this.#worker.ref()
    else this.#worker.unref()
  }

  rest (): void {
    if (this.#broken === undefined) this.#worker.postMessage({ type: 'rest' } satisfies ToReader)
  }

  async close (): Promise<void> {
    this.#break(undefined)
    await endWorker(this.#worker)
  }

  #introduce (rules: RuleSet): RuleDefinition[] {
    if (this.#known.has(rules.id)) return []
    this.#known.add(rules.id)
    const above = rules.parent === undefined ? [] : this.#introduce(rules.parent)
    return [...above, { id: rules.id, parentId: rules.parent?.id, file: rules.file }]
  }

  #take (message: FromReader): void {
    const answer = this.#answers.get(message.id)
    this.#answers.delete(message.id)
    this.keepAlive(-1)
    if ('error' in message) {
      answer?.reject(new FileSyncError('INTERNAL', 'A thread that reads directories failed.', { cause: message.error }))
      return
    }
    const { block } = message
    answer?.resolve(message.readings.map(reading => reading.status === 'read' ? { ...reading, block } : reading))
  }

  #break (cause: unknown): void {
    this.#broken ??= new FileSyncError('INTERNAL', 'A thread that reads directories ended.', cause === undefined ? {} : { cause })
    for (const answer of this.#answers.values()) answer.reject(this.#broken)
    this.#answers.clear()
  }
}
