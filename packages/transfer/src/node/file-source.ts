import { closeSync, constants, openSync } from 'node:fs'
import { availableParallelism } from 'node:os'
import { resolve } from 'node:path'
import { Worker } from 'node:worker_threads'
import { BufferPool, FileSyncError, FRAME_HEADER_BYTES, LIMITS } from '@filesync/protocol'
import { WorkerCalls } from '@filesync/protocol/node'
import type { FileSource, PackRead, SourceStream, StreamRequest, StreamStep, WantedFile } from '../file-source.ts'
import { toColumns } from './wanted-columns.ts'
import type { LentBuffer, SourceAnswer, SourceCall, SourceQuestion, SourceWorkerData } from './worker-protocol.ts'

export interface FileSourceInit {
  /** The directory whose files are read, or several, each under the name of its directory in the tree. */
  readonly root: string | ReadonlyMap<string, string>
  /** Number of threads that read. Default: the number of processors, at most four. */
  readonly workers?: number
}

const WORKERS_MAX = 4
/** Size of the largest frame. */
const FRAME_BYTES = FRAME_HEADER_BYTES + LIMITS.rawFrameBytes
/** As many buffers as frames are read ahead. */
const FREE_BUFFERS_MAX = 8

/**
 * Reads the files of directories in worker threads with synchronous calls, which cost a quarter to a fifth of the asynchronous
 * ones. Throws SOURCE_UNAVAILABLE if a single directory cannot be opened. One of several need not exist: its files are faults.
 */
export function openFileSource ({ root, workers }: FileSourceInit): FileSource {
  const roots = typeof root === 'string' ? new Map([['', openable(root)]]) : new Map([...root].map(([name, path]) => [name, resolve(path)]))
  const count = workers ?? Math.min(WORKERS_MAX, availableParallelism())
  return new WorkerSource(roots, count)
}

function openable (directory: string): string {
  const root = resolve(directory)
  try {
    closeSync(openSync(root, constants.O_RDONLY | constants.O_DIRECTORY))
  } catch (error) {
    const message = `The directory ${root} cannot be read. Check that it exists and that you may read it.`
    throw new FileSyncError('SOURCE_UNAVAILABLE', message, { cause: error })
  }
  return root
}

type Roots = SourceWorkerData['roots']

class WorkerSource implements FileSource {
  readonly #threads: readonly SourceThread[]
  readonly #buffers = new BufferPool(FREE_BUFFERS_MAX)

  constructor (roots: Roots, count: number) {
    this.#threads = Array.from({ length: count }, () => new SourceThread(roots, this.#buffers))
  }

  get parallelism (): number {
    return this.#threads.length
  }

  prepare (directories: number): void {
    // A single directory leads to only a few changes, for which one thread is enough.
    for (const thread of directories > 1 ? this.#threads : this.#threads.slice(0, 1)) thread.start()
  }

  refresh (): void {
    for (const thread of this.#threads) thread.releaseDirectories()
  }

  async readPack (files: readonly WantedFile[], compress: boolean): Promise<PackRead> {
    return await this.#leastBusy().call<PackRead>(id => ({ kind: 'PACK', id, files: toColumns(files), compress }))
  }

  async readDigests (files: readonly WantedFile[]): Promise<PackRead> {
    return await this.#leastBusy().call<PackRead>(id => ({ kind: 'DIGESTS', id, files: toColumns(files) }))
  }

  openStream (request: StreamRequest): SourceStream {
    return this.#leastBusy().openStream(request)
  }

  reuse (buffer: ArrayBuffer): void {
    this.#buffers.release(buffer)
  }

  async close (): Promise<void> {
    await Promise.all(this.#threads.map(async thread => { await thread.close() }))
  }

  #leastBusy (): SourceThread {
    return this.#threads.reduce((least, candidate) => candidate.load < least.load ? candidate : least)
  }
}

class SourceThread {
  readonly #buffers: BufferPool
  readonly #calls: WorkerCalls<SourceCall & LentBuffer, SourceAnswer>
  #openStreams = 0

  constructor (roots: Roots, buffers: BufferPool) {
    this.#buffers = buffers
    // Started by the first file to read: most syncs have none, and starting a thread takes longer than all else that they do.
    this.#calls = new WorkerCalls({
      startWorker: () => new Worker(new URL('./source-worker.ts', import.meta.url), { workerData: { roots } satisfies SourceWorkerData }),
      onMessage: answer => { this.#receive(answer) },
      errorOfFailure: cause => new FileSyncError('INTERNAL', 'A thread that reads files failed.', { cause }),
      errorOfExit: closed,
    })
  }

  /** Pending calls and open streams, which will ask for more. */
  get load (): number {
    return this.#calls.pending + this.#openStreams
  }

  start (): void {
    this.#calls.start()
  }

  releaseDirectories (): void {
    this.#calls.post({ kind: 'RELEASE' } satisfies SourceQuestion)
  }

  async call<T extends PackRead | StreamStep> (questionOf: (id: number) => SourceCall): Promise<T> {
    const question = questionOf(this.#calls.nextId())
    const buffer = this.#buffers.acquireFree(FRAME_BYTES)
    return await this.#calls.call<T>({ ...question, buffer }, buffer === undefined ? [] : [buffer])
  }

  openStream (request: StreamRequest): SourceStream {
    const stream = this.#calls.nextId()
    let isOpen = true
    this.#calls.start()
    this.#calls.post({ kind: 'OPEN', stream, request } satisfies SourceQuestion)
    this.#openStreams++
    return {
      next: async compress => await this.call<StreamStep>(id => ({ kind: 'NEXT', id, stream, compress })),
      close: () => {
        if (!isOpen) return
        isOpen = false
        this.#openStreams--
        this.#calls.post({ kind: 'CLOSE', stream } satisfies SourceQuestion)
      },
    }
  }

  async close (): Promise<void> {
    await this.#calls.close(closed())
  }

  #receive (answer: SourceAnswer): void {
    if (answer.spare !== undefined) this.#buffers.release(answer.spare)
    if ('result' in answer) this.#calls.resolve(answer.id, answer.result)
    else this.#calls.reject(answer.id, new FileSyncError(answer.error.code, answer.error.message))
  }
}

function closed (): FileSyncError {
  return new FileSyncError('ABORTED', 'The source is closed.')
}
