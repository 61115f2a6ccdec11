import type { StagedFile, StageOutcome, StagingArea } from '@filesync/protocol'
import { createHasher, hashBytes } from '@filesync/protocol/node'
import { memoryTree } from '@filesync/protocol/testing'
import { expect, test } from 'vitest'
import type { FileSource, WantedFile } from '../src/index.ts'
import { MemorySource, MemoryStore } from '../src/testing/index.ts'
import { sync } from './support/session.ts'

/** Bytes that may be in flight: read ahead, in the streams, in the inbox, and in the staging area. */
const IN_FLIGHT_BYTES = 32 << 20

/** Counts the bytes that are read from the source. */
function counted (source: FileSource): { readonly source: FileSource, readBytes: number } {
  const count = {
    readBytes: 0,
    source: {
      parallelism: source.parallelism,
      prepare: (directories: number) => { source.prepare(directories) },
      refresh: () => { source.refresh() },
      readDigests: async (files: readonly WantedFile[]) => await source.readDigests(files),
      reuse: (buffer: ArrayBuffer) => { source.reuse(buffer) },
      close: async () => { await source.close() },
      readPack: async (...question: Parameters<FileSource['readPack']>) => {
        const read = await source.readPack(...question)
        count.readBytes += read.bytes
        return read
      },
      openStream: (...question: Parameters<FileSource['openStream']>) => {
        const stream = source.openStream(...question)
        return {
          next: async (compress: boolean) => {
            const step = await stream.next(compress)
            if (step.kind === 'FRAME') count.readBytes += step.fileBytes
            return step
          },
          close: () => { stream.close() },
        }
      },
    },
  }
  return count
}

/** A staging area that blocks until it is opened. */
class Gate implements StagingArea {
  open: () => void = () => { /* set below */ }
  readonly #opened = new Promise<void>(resolve => { this.open = resolve })
  readonly #sizes: readonly number[]
  writtenBytes = 0

  constructor (sizes: readonly number[]) {
    this.#sizes = sizes
  }

  async stagePack (pack: Uint8Array<ArrayBuffer>): Promise<readonly StageOutcome[]> {
    await this.#opened
    const outcomes: StageOutcome[] = []
    const view = new DataView(pack.buffer, pack.byteOffset)
    for (let at = 0; at < pack.length; at += 40 + view.getUint32(at + 4)) {
      outcomes.push({ task: view.getUint32(at), bytes: view.getUint32(at + 4) })
    }
    this.writtenBytes += outcomes.reduce((sum, { bytes }) => sum + bytes, 0)
    return outcomes
  }

  async compareDigests (): Promise<readonly StageOutcome[]> {
    throw new Error('No digest is asked for.')
  }

  async beginFile (task: number): Promise<StagedFile> {
    return {
      write: async bytes => {
        await this.#opened
        this.writtenBytes += bytes.length
      },
      copy: async () => { throw new Error('Nothing is to be copied.') },
      hole: async () => { throw new Error('There are no holes.') },
      finish: async () => ({ task, bytes: this.#sizes[task] ?? 0 }),
      abandon: async () => { /* nothing is kept */ },
    }
  }
}

test.each([
  ['one large file', { large: new Uint8Array(150_000_000) }],
  ['many small files', Object.fromEntries(Array.from({ length: 1500 }, (_, i) => [`file${String(i)}`, new Uint8Array(100_000)]))],
])('a stalled disk stops the reading of %s', async (_, literal) => {
  const tree = memoryTree(literal, hashBytes)
  const count = counted(new MemorySource({ content: path => tree.content(path), hashBytes, createHasher }))
  const gate = new Gate(Object.values(literal).map(({ length }) => length))
  const syncing = sync({ tree, source: count.source, store: new MemoryStore(), server: { staging: gate } })
  // Everything here runs on promises and turns of the event loop: if nothing was read for many turns, nothing will be.
  for (let quietTurns = 0, before = -1; quietTurns < 100;) {
    await new Promise(resolve => { setImmediate(resolve) })
    quietTurns = count.readBytes === before ? quietTurns + 1 : 0
    before = count.readBytes
  }
  expect(count.readBytes).toBeGreaterThan(0)
  expect(count.readBytes).toBeLessThan(IN_FLIGHT_BYTES)
  expect(gate.writtenBytes).toBe(0)
  gate.open()
  const { client } = await syncing
  expect(client).toMatchObject({ result: 'OK', stored: { bytes: 150_000_000 } })
  expect(gate.writtenBytes).toBe(150_000_000)
}, 30_000)
