import { execFile } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import type { Digest } from '@filesync/protocol'
import { createHasher, hashBytes } from '@filesync/protocol/node'
import { randomBytes, seededRandom } from '@filesync/protocol/testing'
import type { SeededRandom } from '@filesync/protocol/testing'
import { expect, test } from 'vitest'
import { DeltaEncoder } from '../src/delta-encoder.ts'
import { readDelta } from '../src/delta-frame.ts'
import { chunkSizes, GEAR, plainCutFinder } from '../src/gear.ts'
import type { CutFinder } from '../src/gear.ts'
import { averageBitsFor, Signature, SignatureBuilder } from '../src/signature.ts'
import { createCutFinder } from '../src/node/cut-finder.ts'

/** Splits bytes into pieces of random lengths. */
function * pieces (bytes: Uint8Array, random: SeededRandom['below']): Generator<Uint8Array, void, undefined> {
  for (let at = 0; at < bytes.length;) {
    const length = 1 + random(700_000)
    yield bytes.subarray(at, at + length)
    at += length
  }
}

function cutsOf (finder: CutFinder, bytes: Uint8Array, random: SeededRandom['below']): number[] {
  const cuts: number[] = []
  let at = 0
  for (const piece of pieces(bytes, random)) {
    cuts.push(...finder.push(piece).map(cut => cut + at))
    at += piece.length
  }
  return cuts
}

function sign (bytes: Uint8Array, random: SeededRandom['below']): Signature {
  const builder = new SignatureBuilder({ averageBits: 16, cuts: createCutFinder(16), hash: hashBytes })
  for (const piece of pieces(bytes, random)) builder.push(piece)
  return new Signature(builder.finish())
}

/** Builds the new bytes from the old ones and the delta. */
function reconstruct (old: Uint8Array, changed: Uint8Array, random: SeededRandom['below']): { result: Uint8Array, sentBytes: number } {
  const encoder = new DeltaEncoder({ task: 5, signature: sign(old, random), cuts: createCutFinder(16), hash: hashBytes })
  const result: Uint8Array[] = []
  let sentBytes = 0
  const drain = (): void => {
    for (let frame = encoder.take(); frame !== undefined; frame = encoder.take()) {
      sentBytes += frame.length
      const { task, operations } = readDelta(frame.subarray(8))
      expect(task).toBe(5)
      for (const operation of operations) {
        if (operation.kind === 'DATA') result.push(operation.content)
        else result.push(old.subarray(operation.offset, operation.offset + operation.lengthBytes))
      }
    }
  }
  for (const piece of pieces(changed, random)) {
    encoder.push(piece)
    drain()
  }
  encoder.finish()
  drain()
  return { result: Buffer.concat(result), sentBytes }
}

/** Cuts, copies, moves, overwrites, repeats and drops parts, at random. */
function edit (old: Uint8Array, random: SeededRandom['below']): Uint8Array {
  let bytes: Uint8Array = old
  for (let edits = 1 + random(4); edits > 0; edits--) {
    const from = random(bytes.length + 1)
    const to = Math.min(bytes.length, from + random(200_000))
    const part = bytes.subarray(from, to)
    const elsewhere = random(bytes.length + 1)
    const noise = randomBytes(random(100_000), random(2 ** 31))
    const changes: (() => Uint8Array[])[] = [
      () => [bytes.subarray(0, from), noise, bytes.subarray(from)],
      () => [bytes.subarray(0, from), bytes.subarray(to)],
      () => [bytes, noise],
      () => [bytes.subarray(0, elsewhere), part, bytes.subarray(elsewhere)],
      () => [bytes.subarray(0, from)],
      () => [bytes.subarray(0, from), noise, bytes.subarray(Math.min(bytes.length, from + noise.length))],
      () => [bytes.subarray(to), bytes.subarray(0, to)],
      () => [new Uint8Array(random(300_000)), bytes],
    ]
    bytes = Buffer.concat(changes[random(changes.length)]?.() ?? [])
  }
  return bytes
}

test('random edit scripts are reconstructed exactly', () => {
  const seed = Number(process.env['FUZZ_SEED'] ?? Date.now() % 2 ** 31)
  const random = seededRandom(seed).below
  console.info(`FUZZ_SEED=${String(seed)}`)
  for (let i = Number(process.env['FUZZ_CASES'] ?? 150); i > 0; i--) {
    const old = random(8) === 0 ? new Uint8Array(random(800_000)) : randomBytes(random(800_000), random(2 ** 31))
    const changed = edit(old, random)
    const { result, sentBytes } = reconstruct(old, changed, random)
    expect(Buffer.compare(result, changed), `case ${String(i)} of seed ${String(seed)}`).toBe(0)
    expect(sentBytes).toBeLessThan(changed.length + 1000)
  }
}, 1_200_000)

test('WebAssembly finds the same cuts as JavaScript, whatever the pieces are', () => {
  const random = seededRandom(51).below
  for (const averageBits of [16, 17, 18]) {
    const noise = randomBytes(6_000_000, averageBits)
    const text = new TextEncoder().encode('It was the best of times, it was the worst of times. '.repeat(50_000))
    for (const bytes of [noise, text, new Uint8Array(3_000_000)]) {
      const expected = plainCutFinder(averageBits).push(bytes)
      expect(expected.length).toBeGreaterThan(1)
      expect(cutsOf(createCutFinder(averageBits), bytes, random)).toEqual(expected)
      expect(cutsOf(plainCutFinder(averageBits), bytes, random)).toEqual(expected)
    }
  }
})

test('the WebAssembly file is what its source compiles to', async () => {
  const build = fileURLToPath(new URL('../assembly/build.js', import.meta.url))
  await expect(promisify(execFile)(process.execPath, [build, '--check'])).resolves.toMatchObject({ stderr: '' })
}, 30_000)

test('the gear table never changes', () => {
  const digest = Buffer.from(hashBytes(new Uint8Array(GEAR.buffer))).toString('hex')
  expect(digest).toBe('df4ff732ef5fa3e80fe27759097f8a9d879192d69122a6c957eaadfac4a98b58')
  expect(new Set(GEAR).size).toBe(256)
})

test('chunks have the specified minimum, average and maximum length', () => {
  const { minBytes, maxBytes, averageBytes } = chunkSizes(16)
  expect([minBytes, averageBytes, maxBytes]).toEqual([16_384, 65_536, 262_144])
  const cuts = createCutFinder(16).push(randomBytes(40_000_000, 52))
  const lengths = cuts.map((cut, i) => cut - (cuts[i - 1] ?? 0))
  expect(Math.min(...lengths)).toBeGreaterThanOrEqual(minBytes)
  expect(Math.max(...lengths)).toBeLessThanOrEqual(maxBytes)
  const mean = lengths.reduce((sum, length) => sum + length, 0) / lengths.length
  expect(mean).toBeGreaterThan(averageBytes * 0.75)
  expect(mean).toBeLessThan(averageBytes * 1.35)
})

test('a byte inserted at the start or in the middle, and a moved block, cost a few chunks', () => {
  const random = seededRandom(53).below
  const old = randomBytes(20_000_000, 54)
  const half = old.length / 2
  for (const changed of [
    Buffer.concat([Buffer.of(1), old]),
    Buffer.concat([old.subarray(0, half), Buffer.of(1), old.subarray(half)]),
    Buffer.concat([old, Buffer.of(1)]),
    Buffer.concat([old.subarray(half), old.subarray(0, half)]),
    old.subarray(0, half),
  ]) {
    const { result, sentBytes } = reconstruct(old, changed, random)
    expect(Buffer.compare(result, changed)).toBe(0)
    expect(sentBytes).toBeLessThan(3 * 262_144)
  }
})

test('zeros and repeated blocks cost almost nothing', () => {
  const random = seededRandom(55).below
  const block = randomBytes(100_000, 56)
  const zeros = new Uint8Array(10_000_000)
  const blocks = Buffer.concat(Array.from({ length: 100 }, () => block))
  for (const [old, changed] of [
    [zeros, new Uint8Array(30_000_000)], [zeros, Buffer.concat([Buffer.of(1), zeros])],
    [blocks, Buffer.concat([blocks, blocks, Buffer.of(2)])],
  ] as const) {
    const { result, sentBytes } = reconstruct(old, changed, random)
    expect(Buffer.compare(result, changed)).toBe(0)
    expect(sentBytes).toBeLessThan(1_000_000)
  }
})

interface Work {
  hashes: number
  hashedBytes: number
  searchedBytes: number
}

/** Counts the work of the encoder: what it hashes, and where it looks for cuts. */
function countWork (signature: Signature, changed: Uint8Array, random: SeededRandom['below']): Work {
  const work: Work = { hashes: 0, hashedBytes: 0, searchedBytes: 0 }
  const finder = plainCutFinder(16)
  const cuts: CutFinder = {
    push: bytes => {
      work.searchedBytes += bytes.length
      return finder.push(bytes)
    },
    restart: () => { finder.restart() },
  }
  const hash = (bytes: Uint8Array): Digest => {
    work.hashes++
    work.hashedBytes += bytes.length
    return hashBytes(bytes)
  }
  const encoder = new DeltaEncoder({ task: 1, signature, cuts, hash })
  for (const piece of pieces(changed, random)) encoder.push(piece)
  encoder.finish()
  return work
}

test('cuts are not searched for where the old chunks follow one another', () => {
  const random = seededRandom(58).below
  const old = randomBytes(20_000_000, 59)
  for (const changed of [old, Buffer.concat([Buffer.of(1), old]), Buffer.concat([old, Buffer.of(1)])]) {
    const { hashedBytes, searchedBytes } = countWork(sign(old, random), changed, random)
    expect(searchedBytes).toBeLessThan(4 * 262_144)
    expect(hashedBytes).toBeLessThan(changed.length + 4 * 262_144)
  }
})

test('content made so that every guess fails costs at most an eighth and a mebibyte more', () => {
  const random = seededRandom(60).below
  const old = randomBytes(20_000_000, 61)
  const ends = [0, ...plainCutFinder(16).push(old)]
  // Short chunks that are known, but never followed by the chunk that follows them in the old file.
  const known = ends.flatMap((end, i) => {
    const next = ends[i + 1] ?? 0
    return next - end < 40_000 && next > end ? [old.subarray(end, next)] : []
  })
  expect(known.length).toBeGreaterThan(10)
  const changed = Buffer.concat(Array.from({ length: 400 }, () => known[random(known.length)] ?? old))
  const { hashedBytes, searchedBytes } = countWork(sign(old, random), changed, random)
  expect(hashedBytes).toBeGreaterThan(changed.length * 1.05)
  expect(hashedBytes).toBeLessThan(changed.length * 1.125 + (1 << 20) + 262_144)
  expect(searchedBytes).toBeLessThan(changed.length * 1.125 + (1 << 20) + 262_144)
  const { result } = reconstruct(old, changed, random)
  expect(Buffer.compare(result, changed)).toBe(0)
})

/** A signature of arbitrary chunks, built by hand. */
function signatureOfChunks (chunks: readonly Uint8Array[]): Signature {
  const bytes = new Uint8Array(12 + 20 * chunks.length)
  const view = new DataView(bytes.buffer)
  view.setUint8(0, 1)
  view.setUint8(1, 16)
  view.setBigUint64(4, BigInt(chunks.reduce((sum, { length }) => sum + length, 0)))
  chunks.forEach((chunk, i) => {
    view.setUint32(12 + 20 * i, chunk.length)
    bytes.set(hashBytes(chunk).subarray(0, 16), 12 + 20 * i + 4)
  })
  return new Signature(bytes)
}

test('a signature of chunks that no cut finder makes costs no more work than another', () => {
  const random = seededRandom(62).below
  const zeros = new Uint8Array(10_000_000)
  const longest = zeros.subarray(0, 262_144)
  const [short] = plainCutFinder(16).push(randomBytes(1_000_000, 63))
  const known = randomBytes(1_000_000, 63).subarray(0, short)
  for (const [chunks, changed] of [
    // Chunks of one byte that all exist in the file.
    [[longest, ...Array.from({ length: 100_000 }, () => zeros.subarray(0, 1)), longest], zeros],
    // A guess of one byte, which always fails.
    [[known, Uint8Array.of(1), Uint8Array.of(2)], Buffer.concat(Array.from({ length: 200 }, () => known))],
    // The shortest possible guess.
    [[known, new Uint8Array(16_384), Uint8Array.of(2)], Buffer.concat(Array.from({ length: 200 }, () => known))],
  ] as const) {
    const { hashes, hashedBytes, searchedBytes } = countWork(signatureOfChunks(chunks), changed, random)
    expect(hashes).toBeLessThan(2 * changed.length / 16_384)
    expect(hashedBytes).toBeLessThan(changed.length * 1.125 + (1 << 20) + 262_144)
    expect(searchedBytes).toBeLessThan(changed.length * 1.125 + (1 << 20) + 262_144)
  }
})

test('a signature whose digests all start the same costs no more than another', () => {
  const chunks = 200_000
  const bytes = new Uint8Array(12 + 20 * chunks)
  const view = new DataView(bytes.buffer)
  view.setUint8(0, 1)
  view.setUint8(1, 16)
  view.setBigUint64(4, BigInt(chunks) * 65_536n)
  for (let i = 0; i < chunks; i++) {
    view.setUint32(12 + 20 * i, 65_536)
    view.setUint32(12 + 20 * i + 8, i)
  }
  const signature = new Signature(bytes)
  const digest = new Uint8Array(32)
  expect(signature.find(digest, 65_536)).toBe(0)
  // Past the slots that are probed; with a linear search this loop would take minutes.
  new DataView(digest.buffer).setUint32(4, chunks - 1)
  for (let i = 0; i < 100_000; i++) expect(signature.find(digest, 65_536)).toBeUndefined()
})

test('the chunk size grows with the file, until there is no signature', () => {
  expect([0, 2 ** 31, 2 ** 37, 2 ** 39, 2 ** 41].map(averageBitsFor)).toEqual([16, 16, 16, 18, undefined])
})

test('an empty file has a signature', () => {
  const signature = sign(new Uint8Array(0), seededRandom(57).below)
  expect(signature).toMatchObject({ chunks: 0, fileBytes: 0 })
  expect(signature.find(createHasher().digest(), 0)).toBeUndefined()
})
