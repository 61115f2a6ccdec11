import { Worker } from 'node:worker_threads'
import { FileSyncError } from '@filesync/protocol'
import { WorkerCalls } from '@filesync/protocol/node'
import type { DirectoryReader, DirectoryReading, ReadRequest } from '../directory-reading.ts'
import type { RuleSet } from '../rule-set.ts'
import { fromColumns } from './reading-columns.ts'
import type { FromReader, ReadCall, ReaderData, RuleDefinition, ToReader } from './reader-messages.ts'

// A flag that is meant for the program itself (--input-type, --eval) can keep a thread from starting.
const OWN_FLAGS = process.execArgv.filter(flag => flag.startsWith('--conditions='))

/** Threads that read directories with synchronous calls, which cost a quarter of the asynchronous ones. Several scanners may share them. */
export class ReaderThreads {
  readonly #threads: ReaderThread[]

  constructor (threads: number, data: ReaderData) {
    this.#threads = Array.from({ length: threads }, () => new ReaderThread(data))
  }

  /** A reader of the directories of one root, which does not close the threads. */
  readerOf (root: string): DirectoryReader {
    const threads = this.#threads
    return {
      parallel: threads.length,
      read: async batch => {
        const idlest = threads.reduce((best, thread) => thread.waiting < best.waiting ? thread : best)
        return await idlest.read(root, batch)
      },
      // An idle thread must not keep a program alive; a scan that waits for files to settle must.
      hold: () => {
        const [first] = threads
        first?.hold()
        return () => { first?.release() }
      },
      releaseHandles: () => { for (const thread of threads) thread.releaseHandles(root) },
    }
  }

  async close (): Promise<void> {
    await Promise.all(this.#threads.map(async thread => { await thread.close() }))
  }
}

class ReaderThread {
  /** Ids of the rule sets that the worker has. */
  readonly #known = new Set<number>()
  readonly #calls: WorkerCalls<ReadCall, FromReader>

  constructor (data: ReaderData) {
    this.#calls = new WorkerCalls({
      startWorker: () => new Worker(new URL('./reader-worker.ts', import.meta.url), { workerData: data, execArgv: OWN_FLAGS }),
      onMessage: message => { this.#receive(message) },
      errorOfFailure: cause => new FileSyncError('INTERNAL', 'A thread that reads directories failed.', { cause }),
      errorOfExit: ended,
    })
    this.#calls.start()
  }

  /** Batches without an answer. */
  get waiting (): number {
    return this.#calls.pending
  }

  async read (root: string, batch: readonly ReadRequest[]): Promise<readonly DirectoryReading[]> {
    return await this.#calls.call({
      type: 'read',
      id: this.#calls.nextId(),
      root,
      rules: batch.flatMap(({ rules, named }) => [...this.#define(rules), ...named === undefined ? [] : this.#define(named.rules)]),
      directories: batch.map(({ directory }) => directory),
      rulesIds: batch.map(({ rules }) => rules.id),
      nowMs: batch[0]?.nowMs ?? 0,
      settleMs: batch[0]?.settleMs ?? 0,
      links: batch[0]?.links ?? 'keep',
      excluded: batch[0]?.excluded ?? [],
      marked: batch.flatMap(({ isMarked }, at) => isMarked === true ? [at] : []),
      named: new Map(batch.flatMap(({ named }, at) => {
        if (named === undefined) return []
        const { rules, ...entries } = named
        return [[at, { ...entries, rulesId: rules.id }]]
      })),
      omitted: new Map(batch.flatMap(({ omitted }, at) => omitted === undefined ? [] : [[at, omitted]])),
    })
  }

  hold (): void {
    this.#calls.hold()
  }

  release (): void {
    this.#calls.release()
  }

  releaseHandles (root: string): void {
    this.#calls.post({ type: 'release', root } satisfies ToReader)
  }

  async close (): Promise<void> {
    await this.#calls.close(ended())
  }

  #define (rules: RuleSet): RuleDefinition[] {
    if (this.#known.has(rules.id)) return []
    this.#known.add(rules.id)
    const above = rules.parent === undefined ? [] : this.#define(rules.parent)
    return [...above, { id: rules.id, parentId: rules.parent?.id, file: rules.file }]
  }

  #receive (message: FromReader): void {
    if ('error' in message) {
      const error = new FileSyncError('INTERNAL', 'A thread that reads directories failed.', { cause: message.error })
      this.#calls.reject(message.id, error)
      return
    }
    const { id, block, columns } = message
    this.#calls.resolve(id, fromColumns(columns, block))
  }
}

function ended (): FileSyncError {
  return new FileSyncError('INTERNAL', 'A thread that reads directories has ended.')
}
