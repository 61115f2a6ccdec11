import { closeSync, mkdtempSync, openSync, rmSync } from 'node:fs'
import { createServer, connect } from 'node:net'
import type { AddressInfo, Socket } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { once } from 'node:events'
import { performance } from 'node:perf_hooks'
import { ListingResponder, openConnection, PACK_RECORD_BYTES } from '@filesync/protocol'
import type { Connection, FileEntry, RelativePath, StagingArea } from '@filesync/protocol'
import { socketStream, systemClock } from '@filesync/protocol/node'
import { receiveFiles, sendFiles } from '@filesync/transfer'
import type { WantedFile } from '@filesync/transfer'
import { openFileSource, openSigner } from '@filesync/transfer/node'
import { makeLargeFile, makeSmallFiles } from './listed-files.ts'
import type { ListedFiles } from './listed-files.ts'

/** The figures of one case. */
export interface TransferFigure {
  readonly work: string
  readonly files: number
  readonly bytes: number
  readonly durationMs: number
  /** User and system time of the whole process, which a busy machine affects less than the duration. */
  readonly cpuMs: number
  readonly filesPerSecond: number
  readonly bytesPerSecond: number
}

export interface BenchTransferInit {
  /** Where the data sets are made and removed; use a memory file system to leave out the disk. */
  readonly directory?: string
  readonly files?: number
  readonly largeBytes?: number
  readonly workers?: number
}

/**
 * Reads, packs, hashes and sends over a plain socket on the loopback interface to a receiver that drops the bytes, to measure this
 * package alone.
 */
export async function benchTransfer (init: BenchTransferInit = {}): Promise<readonly TransferFigure[]> {
  const directory = mkdtempSync(join(init.directory ?? tmpdir(), 'filesync-bench-'))
  const workers = init.workers ?? 2
  try {
    const small = makeSmallFiles(join(directory, 'small'), init.files ?? 100_000)
    const large = makeLargeFile(join(directory, 'large'), init.largeBytes ?? 2 ** 31)
    return [
      await readOnly('small files, read and packed', small, workers),
      await push('small files, sent', small, workers),
      await readLarge('one large file, read and hashed', large),
      await push('one large file, sent', large, workers),
      await sign('one large file, signed', large),
    ]
  } finally {
    rmSync(directory, { recursive: true })
  }
}

async function readOnly (work: string, set: ListedFiles, workers: number): Promise<TransferFigure> {
  const source = openFileSource({ root: set.root, workers })
  const answers = new ListingResponder(set.tree, undefined)
  listEverything(answers)
  const wanted = set.tasks.map(([listing, index], task) => {
    const { directory, entry } = answers.entry(listing, index)
    return { task, directory, entry: entry as FileEntry }
  })
  await source.readPack(wanted.slice(0, 1), false)
  const stop = measure(work, set)
  const under = new Set<Promise<unknown>>()
  for (const batch of batches(wanted)) {
    const read = source.readPack(batch, false).finally(() => { under.delete(read) })
    under.add(read)
    if (under.size >= 6) await Promise.race(under)
  }
  await Promise.all(under)
  const result = stop()
  await source.close()
  return result
}

async function readLarge (work: string, set: ListedFiles): Promise<TransferFigure> {
  const source = openFileSource({ root: set.root, workers: 1 })
  const answers = new ListingResponder(set.tree, undefined)
  listEverything(answers)
  const { directory, entry } = answers.entry(0, 0)
  const file = { task: 0, directory, entry: entry as FileEntry }
  await source.readPack([], false)
  const stop = measure(work, set)
  const stream = source.openStream({ file, content: 'DATA', offset: 0, pieceBytes: 2 ** 20 })
  const steps = Array.from({ length: 4 }, async () => await stream.next(false))
  for (let step = await steps.shift(); step !== undefined && step.kind !== 'END'; step = await steps.shift()) {
    if (step.kind === 'FAULT') throw new Error(`${work}: ${step.fault.code}`)
    steps.push(stream.next(false))
  }
  const result = stop()
  stream.close()
  await Promise.all(steps)
  await source.close()
  return result
}

function * batches (wanted: readonly WantedFile[]): Generator<WantedFile[], void, undefined> {
  let batch: WantedFile[] = []
  let bytes = 0
  for (const file of wanted) {
    if (bytes + file.entry.sizeBytes + PACK_RECORD_BYTES > 2 ** 20) {
      yield batch
      batch = []
      bytes = 0
    }
    batch.push(file)
    bytes += file.entry.sizeBytes + PACK_RECORD_BYTES
  }
  yield batch
}

async function push (work: string, set: ListedFiles, workers: number): Promise<TransferFigure> {
  const [client, server] = await connectedPair()
  const source = openFileSource({ root: set.root, workers })
  const answers = new ListingResponder(set.tree, undefined)
  listEverything(answers)
  const stop = measure(work, set)
  const receive = async (): Promise<void> => {
    const { files, bytes } = await receiveFiles({
      connection: server, tasks: set.tasks, staging: new Drain(set.sizes), clock: systemClock,
      describe: task => ({ path: 'file' as RelativePath, sizeBytes: set.sizes[task] ?? 0 }),
    })
    await server.send({
      type: 'NEXT_SYNC', inMs: 1000, result: 'OK', stored: { files, bytes, deleted: 0, renamed: 0 }, problems: [], problemCount: 0,
    })
  }
  const [next] = await Promise.all([sendFiles({ connection: client, answers, source, clock: systemClock }), receive()])
  const result = stop()
  if (next.stored.files !== set.tasks.length) throw new Error(`${work}: only ${next.stored.files} of ${set.tasks.length} files arrived.`)
  await Promise.all([client.close(), server.close(), source.close()])
  return result
}

async function sign (work: string, set: ListedFiles): Promise<TransferFigure> {
  const signer = openSigner()
  const fd = openSync(join(set.root, 'large'), 'r')
  const stop = measure(work, set)
  await signer.sign(fd, set.tree.bytes)
  const result = stop()
  closeSync(fd)
  await signer.close()
  return result
}

/** Accepts everything, checks nothing and keeps nothing. */
class Drain implements StagingArea {
  readonly #sizes: readonly number[]

  constructor (sizes: readonly number[]) {
    this.#sizes = sizes
  }

  async stagePack (pack: Uint8Array<ArrayBuffer>): Promise<{ task: number, bytes: number }[]> {
    const view = new DataView(pack.buffer, pack.byteOffset, pack.length)
    const outcomes = []
    for (let at = 0; at < pack.length;) {
      const bytes = view.getUint32(at + 4)
      outcomes.push({ task: view.getUint32(at), bytes })
      at += PACK_RECORD_BYTES + bytes
    }
    return outcomes
  }

  async compareDigests (): Promise<never> {
    throw new Error('No digest is asked for.')
  }

  async beginFile (task: number): ReturnType<StagingArea['beginFile']> {
    return {
      write: async () => { /* dropped */ },
      copy: async () => { /* dropped */ },
      hole: async () => { /* dropped */ },
      finish: async () => ({ task, bytes: this.#sizes[task] ?? 0 }),
      abandon: async () => { /* nothing was kept */ },
    }
  }
}

async function connectedPair (): Promise<[Connection, Connection]> {
  const server = createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  const accepted = once(server, 'connection') as Promise<[Socket]>
  const client = connect({ port: (server.address() as AddressInfo).port, host: '127.0.0.1', noDelay: true })
  const [other] = await accepted
  server.close()
  return [
    openConnection({ stream: socketStream(client), clock: systemClock }),
    openConnection({ stream: socketStream(other), clock: systemClock }),
  ]
}

function listEverything (answers: ListingResponder): void {
  for (const root of answers.answer([])) {
    if (root.number !== 0) throw new Error('The root is not the first listing.')
  }
}

/** Starts measuring; the returned function stops it. */
function measure (work: string, set: ListedFiles): () => TransferFigure {
  const startMs = performance.now()
  const cpu = process.cpuUsage()
  return () => {
    const { user, system } = process.cpuUsage(cpu)
    return figure(work, set, { durationMs: performance.now() - startMs, cpuMs: (user + system) / 1000 })
  }
}

function figure (work: string, set: ListedFiles, { durationMs, cpuMs }: { durationMs: number, cpuMs: number }): TransferFigure {
  const bytes = set.tree.bytes
  return {
    work, files: set.tasks.length, bytes, durationMs, cpuMs, filesPerSecond: set.tasks.length * 1000 / durationMs,
    bytesPerSecond: bytes * 1000 / durationMs,
  }
}
