import { createCipheriv, createHash } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { deflateRawSync, gzipSync } from 'node:zlib'
import { describe, expect, test } from 'vitest'
import { estimateRatio, isNoisy, isPlain, sampleRanges } from '../src/store/noise.ts'

const TEXT = readFileSync(new URL('../src/commit/sync.ts', import.meta.url))
const SIZES = [128, 300, 1000, 6144, 20_000, 300_000]

function samplesOf (content: Uint8Array): Uint8Array[] {
  return sampleRanges(content.length).map(({ offset, lengthBytes }) => content.subarray(offset, offset + lengthBytes))
}

/** The same for the same key, so that a test that fails fails again. */
function encrypted (content: Uint8Array, key = 0): Uint8Array {
  const cipher = createCipheriv('aes-256-ctr', createHash('sha256').update(String(key)).digest(), Buffer.alloc(16))
  return Buffer.concat([cipher.update(content), cipher.final()])
}

function noise (sizeBytes: number, key = 0): Buffer {
  return Buffer.from(encrypted(new Uint8Array(sizeBytes), key))
}

/** Text of a size, from another place each time. */
function text (sizeBytes: number, from = 0): Uint8Array {
  const start = from * 997 % TEXT.length
  return Buffer.alloc(sizeBytes, Buffer.concat([TEXT.subarray(start), TEXT.subarray(0, start)]))
}

/** Numbers as an instrument writes them: a slow wave with a noise of two bits, 16 bits each. */
function measurements (sizeBytes: number): Uint8Array {
  const values = Int16Array.from({ length: Math.ceil(sizeBytes / 2) }, (_, i) => 2000 * Math.sin(i / 300) + i * i % 5)
  return new Uint8Array(values.buffer).subarray(0, sizeBytes)
}

/** As a camera writes it: a header that compresses, then what does not. */
function picture (sizeBytes: number, headerBytes: number): Uint8Array {
  return Buffer.concat([Buffer.alloc(headerBytes, '<x:xmpmeta>    '), noise(sizeBytes - headerBytes)])
}

describe.each(SIZES)('content of %i bytes', sizeBytes => {
  test('is noise if it is encrypted, whatever it was', () => {
    for (let round = 0; round < 200; round++) {
      expect(isNoisy(samplesOf(encrypted(text(Math.min(sizeBytes, 20_000), round), round)))).toBe(true)
    }
  })

  test('is plain and not noise if it is text or repeats one byte', () => {
    for (const content of [...Array.from({ length: 50 }, (_, from) => text(sizeBytes, from)), new Uint8Array(sizeBytes)]) {
      expect([isPlain(samplesOf(content)), isNoisy(samplesOf(content))]).toEqual([true, false])
    }
  })

  test('is not plain if it was encrypted or compressed before', () => {
    for (let round = 0; round < 50; round++) expect(isPlain(samplesOf(noise(sizeBytes, round)))).toBe(false)
  })
})

test.each([1000, 6144, 300_000])('%i bytes of numbers, or of a pattern of all bytes, are plain and not noise', sizeBytes => {
  for (const content of [measurements(sizeBytes), new Uint8Array(sizeBytes).map((_, i) => i * 7)]) {
    expect([isPlain(samplesOf(content)), isNoisy(samplesOf(content))]).toEqual([true, false])
  }
})

test('a file with only its beginning encrypted is noise, and so is an encrypted file after a readable note', () => {
  const whole = text(40_000)
  expect(isNoisy(samplesOf(Buffer.concat([encrypted(whole.subarray(0, 4096)), whole.subarray(4096)])))).toBe(true)
  expect(isNoisy(samplesOf(Buffer.concat([Buffer.from('YOUR FILES ARE ENCRYPTED '.repeat(40)), encrypted(whole)])))).toBe(true)
})

test('a picture with a long header is not plain, and base64 is not noise', () => {
  expect(isPlain(samplesOf(picture(200_000, 60_000)))).toBe(false)
  expect(isNoisy(samplesOf(Buffer.from(noise(30_000).toString('base64'))))).toBe(false)
})

test('a very short file is plain, an empty one is not, and neither is noise', () => {
  expect(isPlain([noise(60)])).toBe(true)
  expect(isPlain([new Uint8Array(0)])).toBe(false)
  expect(isNoisy([noise(60)])).toBe(false)
  expect(isNoisy([new Uint8Array(0)])).toBe(false)
})

test('estimates are in the same order as the ratios of a compressor', () => {
  const contents = [
    new Uint8Array(2048), text(2048), Buffer.from(noise(1536).toString('base64')), gzipSync(noise(4096)).subarray(100, 2148),
  ]
  const estimates = contents.map(content => estimateRatio(content))
  expect(estimates).toEqual([...estimates].sort((a, b) => a - b))
  for (const [i, content] of contents.entries()) {
    expect(Math.abs((estimates[i] ?? 0) - deflateRawSync(content).length / content.length)).toBeLessThan(0.2)
  }
})

test('samples at most six kilobytes of a file, all within it', () => {
  for (const sizeBytes of [0, 1, 6143, 6144, 6145, 1 << 30]) {
    const ranges = sampleRanges(sizeBytes)
    expect(ranges.reduce((sum, { lengthBytes }) => sum + lengthBytes, 0)).toBeLessThanOrEqual(6144)
    expect(ranges.every(({ offset, lengthBytes }) => offset >= 0 && offset + lengthBytes <= sizeBytes)).toBe(true)
  }
})
