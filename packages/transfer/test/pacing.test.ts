import { zstdDecompressSync } from 'node:zlib'
import { wait } from '@filesync/protocol'
import type { ByteStream, RelativePath } from '@filesync/protocol'
import { createHasher, hashBytes } from '@filesync/protocol/node'
import { ManualClock, memoryStreamPair, memoryTree, randomBytes, seededRandom } from '@filesync/protocol/testing'
import { expect, test } from 'vitest'
import { CompressionChoice } from '../src/compression-choice.ts'
import type { Decompress, SendFilesInit, TransferProgress } from '../src/index.ts'
import { zstdCompress, zstdDecompress } from '../src/node/index.ts'
import { ProgressMeter } from '../src/progress.ts'
import { MemorySource, MemoryStore } from '../src/testing/index.ts'
import { TokenBucket } from '../src/token-bucket.ts'
import { sync } from './support/session.ts'

const MEBIBYTE = 1 << 20

/** Log lines, as instruments and servers write them. */
function logText (lines: number): Uint8Array {
  const random = seededRandom(71).below
  const words = ['request', 'from', 'client', 'took', 'and', 'was', 'stored', 'refused', 'retried', 'in', 'queue']
  return new TextEncoder().encode(Array.from({ length: lines }, (_, i) => {
    const text = Array.from({ length: 12 }, () => words[random(words.length)]).join(' ')
    return `2024-05-01T12:${String(i % 60).padStart(2, '0')}:00Z ${random(3) === 0 ? 'WARN' : 'INFO'} ${text} ${String(random(5000))}\n`
  }).join(''))
}

const decompress: Decompress = async (bytes, sizeBytes) => new Uint8Array(zstdDecompressSync(bytes, { maxOutputLength: sizeBytes }))

/** A stream that carries this many bytes per second of the clock. */
function slowLink (stream: ByteStream, bytesPerSecond: number, clock: ManualClock): ByteStream {
  return {
    read: async () => await stream.read(),
    write: async bytes => {
      await stream.write(bytes)
      if (bytesPerSecond !== Infinity) await wait(clock, bytes.length * 1000 / bytesPerSecond)
    },
    end: async () => { await stream.end() },
    destroy: reason => { stream.destroy(reason) },
  }
}

interface TimedSyncInit {
  readonly content: Uint8Array
  readonly bytesPerSecond: number
  readonly client: Partial<SendFilesInit>
}

/** Runs a sync on a clock that advances whenever everything waits. Returns its duration and what went over the link. */
async function timedSync (init: TimedSyncInit): Promise<{ durationMs: number, bytesReceived: number }> {
  const clock = new ManualClock()
  const tree = memoryTree({ log: init.content }, hashBytes)
  const [left, right] = memoryStreamPair({ capacityBytes: 64 << 20 })
  const store = new MemoryStore()
  const source = new MemorySource({ content: path => tree.content(path), hashBytes, createHasher, compress: zstdCompress })
  const syncing = sync({
    tree, store, source, clock, streams: [slowLink(left, init.bytesPerSecond, clock), right],
    client: init.client, server: { decompress },
  })
  const state = { isOver: false, durationMs: 0 }
  void syncing.then(() => { state.isOver = true })
  while (!state.isOver) {
    state.durationMs = clock.monotonicMs()
    await new Promise(resolve => { setImmediate(resolve) })
    await new Promise(resolve => { setImmediate(resolve) })
    clock.advance(2)
  }
  const { server, serverConnection } = await syncing
  expect(server).toMatchObject({ files: 1, problemCount: 0 })
  expect(Buffer.compare(store.files.get('log' as RelativePath) as Uint8Array, init.content)).toBe(0)
  return { durationMs: state.durationMs, bytesReceived: serverConnection.bytesReceived }
}

test('progress reports compression if content shrinks, and not if it was only tried', async () => {
  for (const [content, shrinks] of [[logText(100_000), true], [randomBytes(4 * MEBIBYTE, 72), false]] as const) {
    const reported: boolean[] = []
    const onProgress = ({ bytes, isCompressing }: TransferProgress): void => { if (bytes > 0) reported.push(isCompressing) }
    await timedSync({ content, bytesPerSecond: 2_500_000, client: { compression: 'always', onProgress } })
    expect(reported.length).toBeGreaterThan(2)
    expect(new Set(reported)).toEqual(new Set([shrinks]))
  }
})

test('a link of 20 Mbit/s carries text three times as fast when compression is automatic', async () => {
  const content = logText(150_000)
  const plain = await timedSync({ content, bytesPerSecond: 2_500_000, client: { compression: 'never' } })
  const automatic = await timedSync({ content, bytesPerSecond: 2_500_000, client: { compression: 'auto' } })
  expect(plain.durationMs).toBeGreaterThan(content.length / 2_500 * 0.98)
  expect(automatic.durationMs).toBeLessThan(plain.durationMs / 3)
})

test('automatic compression is switched off on a fast link', async () => {
  const content = logText(200_000)
  const { bytesReceived } = await timedSync({ content, bytesPerSecond: Infinity, client: { compression: 'auto' } })
  expect(bytesReceived).toBeGreaterThan(content.length / 2)
})

test('content that does not shrink is sent plain, even with compression', async () => {
  const content = randomBytes(3_000_000, 72)
  const { bytesReceived } = await timedSync({ content, bytesPerSecond: Infinity, client: { compression: 'always' } })
  expect(bytesReceived).toBeLessThan(content.length + 1000)
})

test('compressed packs and pieces arrive unchanged, also through the thread pool', async () => {
  const tree = memoryTree({
    log: logText(20_000), noise: randomBytes(2_000_000, 73), a: 'a'.repeat(5000), b: randomBytes(3000, 74), c: '',
  }, hashBytes)
  const store = new MemoryStore()
  const source = new MemorySource({ content: path => tree.content(path), hashBytes, createHasher, compress: zstdCompress })
  const { server, serverConnection } = await sync({
    tree, store, source, client: { compression: 'always' }, server: { decompress: zstdDecompress },
  })
  expect(server).toMatchObject({ files: 5, bytes: tree.bytes, problemCount: 0 })
  expect(serverConnection.bytesReceived).toBeLessThan(tree.bytes * 0.75)
  for (const [path, bytes] of store.files) expect(Buffer.compare(bytes, tree.content(path) as Uint8Array)).toBe(0)
})

test('a rate limit holds, however fast the link is', async () => {
  const content = randomBytes(3_000_000, 75)
  const { durationMs } = await timedSync({ content, bytesPerSecond: Infinity, client: { limitBytesPerSecond: 500_000 } })
  expect(durationMs).toBeGreaterThan(5_700)
  expect(durationMs).toBeLessThan(6_100)
})

test('a token bucket lets the burst pass, then the rate', () => {
  const bucket = new TokenBucket({ bytesPerSecond: 1000, burstBytes: 500, nowMs: 0 })
  expect(bucket.take(500, 0)).toBe(0)
  expect(bucket.take(100, 0)).toBe(100)
  expect(bucket.take(100, 100)).toBe(100)
  expect(bucket.take(500, 60_000)).toBe(0)
  // A clock that was set back neither adds nor removes tokens.
  expect(bucket.take(1000, 59_000)).toBe(1000)
  expect(() => new TokenBucket({ bytesPerSecond: 0, burstBytes: 1, nowMs: 0 })).toThrow(RangeError)
})

test('compression is on while the link is slow and the limit, and off otherwise', () => {
  const choice = new CompressionChoice('auto', 0)
  expect(choice.isOn).toBe(true)
  choice.sent({ bytes: 3 * MEBIBYTE, waitedMs: 1, nowMs: 10 })
  expect(choice.isOn).toBe(false)
  choice.sent({ bytes: MEBIBYTE, waitedMs: 10, nowMs: 20 })
  choice.sent({ bytes: 10 * MEBIBYTE, waitedMs: 900, nowMs: 1000 })
  expect(choice.isOn).toBe(true)
  // The reader is slower than the link: nothing is known about the link, except that it is not fast.
  choice.sent({ bytes: MEBIBYTE, waitedMs: 100, nowMs: 2000 })
  expect(choice.isOn).toBe(true)
  choice.sent({ bytes: 900 * MEBIBYTE, waitedMs: 900, nowMs: 3000 })
  expect(choice.isOn).toBe(false)
  for (const fixed of ['always', 'never'] as const) {
    const unmoved = new CompressionChoice(fixed, 0)
    unmoved.sent({ bytes: 1, waitedMs: 900, nowMs: 1000 })
    unmoved.sent({ bytes: 2 ** 30, waitedMs: 900, nowMs: 2000 })
    expect(unmoved.isOn).toBe(fixed === 'always')
  }
})

test('progress reports rate and remaining time, at most ten times a second', () => {
  const reports: TransferProgress[] = []
  const meter = new ProgressMeter(report => reports.push(report), 0)
  meter.filesWanted = 10
  meter.bytesWanted = 10_000
  for (let nowMs = 0; nowMs <= 5000; nowMs += 10) {
    meter.bytes = nowMs
    meter.carriedBytes = nowMs
    meter.update(nowMs)
  }
  expect(reports.length).toBe(51)
  expect(reports.at(-1)?.bytesPerSecond).toBeCloseTo(1000)
  expect(reports.at(-1)?.remainingMs).toBeUndefined()
  meter.isTotalKnown = true
  meter.finish(5000)
  expect(reports.at(-1)?.remainingMs).toBeCloseTo(5000)
})
