import { readFileSync } from 'node:fs'
import { FRAME_HEADER_BYTES, isFileSyncError } from '@filesync/protocol'
import { hashBytes } from '@filesync/protocol/node'
import { expect, test } from 'vitest'
import { expandPayload } from '../src/compressed-frame.ts'
import { DeltaWriter, readDelta } from '../src/delta-frame.ts'
import { GEAR, plainCutFinder } from '../src/gear.ts'
import { createCutFinder, zstdDecompress } from '../src/node/index.ts'
import { Signature, SignatureBuilder } from '../src/signature.ts'
import { vectorContent } from './vectors/content.ts'

interface Content { readonly seed: number, readonly sizeBytes: number }
interface Cuts extends Content { readonly bits: number, readonly cuts: readonly number[] }
interface SignatureVector extends Content { readonly bits: number, readonly hex: string }
interface Refused { readonly hex: string, readonly refused: string, readonly why: string }
interface Operation { readonly copy?: readonly [offset: number, lengthBytes: number], readonly data?: string }
interface Delta { readonly hex: string, readonly task: number, readonly operations: readonly Operation[] }
interface Compressed { readonly hex: string, readonly content: string }

function vectors <T>(name: string): T[] {
  return JSON.parse(readFileSync(new URL(`vectors/${name}.json`, import.meta.url), 'utf8')) as T[]
}

const hexOf = (bytes: Uint8Array): string => Buffer.from(bytes).toString('hex')
const bytesOf = (hex: string): Uint8Array<ArrayBuffer> => new Uint8Array(Buffer.from(hex, 'hex'))

async function refusal (work: () => unknown): Promise<string> {
  try {
    await work()
    return 'accepted'
  } catch (error) {
    if (isFileSyncError(error)) return error.code
    throw error
  }
}

test('the gear table equals its vector', () => { expect(Array.from(GEAR, number => number >>> 0)).toEqual(vectors<number>('gear')) })

test('chunks end where the vectors say', () => {
  for (const { seed, sizeBytes, bits, cuts } of vectors<Cuts>('cuts')) {
    const content = vectorContent(seed, sizeBytes)
    expect(cuts.length).toBeGreaterThan(2)
    for (const finder of [plainCutFinder(bits), createCutFinder(bits)]) expect([...finder.push(content)]).toEqual(cuts)
  }
})

test('signatures equal their vectors', () => {
  for (const { seed, sizeBytes, bits, hex } of vectors<SignatureVector>('signatures').filter(vector => !('refused' in vector))) {
    const builder = new SignatureBuilder({ averageBits: bits, cuts: plainCutFinder(bits), hash: hashBytes })
    builder.push(vectorContent(seed, sizeBytes))
    expect(hexOf(builder.finish())).toBe(hex)
    expect(new Signature(bytesOf(hex)).fileBytes).toBe(sizeBytes)
  }
})

test('invalid signatures are rejected', async () => {
  const refused = vectors<Refused>('signatures').filter(vector => 'refused' in vector)
  expect(refused.length).toBeGreaterThan(3)
  for (const { hex, refused: code, why } of refused) expect(await refusal(() => new Signature(bytesOf(hex))), why).toBe(code)
})

test('deltas equal their vectors', () => {
  for (const { hex, task, operations } of vectors<Delta>('deltas').filter(vector => !('refused' in vector))) {
    const read = readDelta(bytesOf(hex))
    expect(read.task).toBe(task)
    const found = [...read.operations].map(operation => {
      return operation.kind === 'COPY' ? { copy: [operation.offset, operation.lengthBytes] } : { data: hexOf(operation.content) }
    })
    expect(found).toEqual(operations)
    const writer = new DeltaWriter(task)
    for (const { copy, data } of operations) {
      if (copy !== undefined) writer.copy(...copy)
      else writer.data(bytesOf(data ?? ''))
    }
    writer.flush()
    expect(hexOf(writer.take()?.subarray(FRAME_HEADER_BYTES) ?? new Uint8Array())).toBe(hex)
  }
})

test('invalid deltas are rejected', async () => {
  const refused = vectors<Refused>('deltas').filter(vector => 'refused' in vector)
  expect(refused.length).toBeGreaterThan(4)
  for (const { hex, refused: code, why } of refused) expect(await refusal(() => [...readDelta(bytesOf(hex)).operations]), why).toBe(code)
})

test('compressed payloads expand to their vectors', async () => {
  for (const { hex, content } of vectors<Compressed>('zstd').filter(vector => !('refused' in vector))) {
    expect(hexOf(await expandPayload(bytesOf(hex), zstdDecompress))).toBe(content)
  }
})

test('invalid compressed payloads are rejected', async () => {
  const refused = vectors<Refused>('zstd').filter(vector => 'refused' in vector)
  expect(refused.length).toBeGreaterThan(4)
  for (const { hex, refused: code, why } of refused) {
    expect(await refusal(async () => await expandPayload(bytesOf(hex), zstdDecompress)), why).toBe(code)
  }
  expect(await refusal(async () => await expandPayload(bytesOf(refused[0]?.hex ?? ''), undefined))).toBe('MESSAGE_UNEXPECTED')
})
