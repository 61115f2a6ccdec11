import { hashBytes } from '@filesync/protocol/node'
import { randomBytes } from '@filesync/protocol/testing'
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { DeltaEncoder } from '../src/delta-encoder.ts'
import { readDelta } from '../src/delta-frame.ts'
import type { DeltaOperation } from '../src/delta-frame.ts'
import { DerivedSignature } from '../src/derived-signature.ts'
import { plainCutFinder } from '../src/gear.ts'
import { createCutFinder } from '../src/node/cut-finder.ts'
import { Signature, SignatureBuilder } from '../src/signature.ts'

const BITS = 16
const FRAME_HEADER_BYTES = 8

function sign (file: Uint8Array): Uint8Array {
  const builder = new SignatureBuilder({ averageBits: BITS, cuts: plainCutFinder(BITS), hash: hashBytes })
  builder.push(file)
  return builder.finish()
}

function operationsOf (old: Uint8Array, file: Uint8Array): DeltaOperation[] {
  const encoder = new DeltaEncoder({ task: 1, signature: new Signature(sign(old)), cuts: plainCutFinder(BITS), hash: hashBytes })
  encoder.push(file)
  encoder.finish()
  const operations: DeltaOperation[] = []
  for (let frame = encoder.take(); frame !== undefined; frame = encoder.take()) {
    operations.push(...readDelta(frame.subarray(FRAME_HEADER_BYTES)).operations)
  }
  return operations
}

function derive (old: Uint8Array, operations: readonly DeltaOperation[]): Uint8Array | undefined {
  const derived = new DerivedSignature({ signature: sign(old), createCutFinder, hash: hashBytes })
  for (const operation of operations) {
    if (operation.kind === 'COPY') derived.copy(operation.offset, operation.lengthBytes)
    else {
      const bytes = operation.content.slice()
      derived.data(bytes)
      bytes.fill(0)
    }
  }
  return derived.finish()
}

function splice (file: Uint8Array, { at, cut, put }: { at: number, cut: number, put: Uint8Array }): Uint8Array<ArrayBuffer> {
  const from = Math.min(at, file.length)
  const rest = file.subarray(Math.min(from + cut, file.length))
  const spliced = new Uint8Array(from + put.length + rest.length)
  spliced.set(file.subarray(0, from))
  spliced.set(put, from)
  spliced.set(rest, from + put.length)
  return spliced
}

test('equals the signature of the new file after random edits', () => {
  const base = randomBytes(3 << 20, 7)
  const edit = fc.record({ at: fc.nat(3 << 20), cut: fc.nat(400_000), length: fc.nat(400_000), seed: fc.nat(1000) })
  fc.assert(fc.property(fc.array(edit, { minLength: 1, maxLength: 6 }), edits => {
    const file = edits.reduce((before, { at, cut, length, seed }) => {
      return splice(before, { at, cut, put: randomBytes(length, seed) })
    }, base)
    const derived = derive(base, operationsOf(base, file))
    expect(derived).toBeDefined()
    expect(Buffer.compare(derived ?? new Uint8Array(0), sign(file))).toBe(0)
  }), { numRuns: 40 })
})

test.each([
  ['an empty file', randomBytes(500_000, 1), new Uint8Array(0)],
  ['zeros', new Uint8Array(2_000_000), new Uint8Array(2_100_000)],
  ['unrelated content', randomBytes(600_000, 1), randomBytes(700_000, 2)],
  ['the same content', randomBytes(600_000, 1), randomBytes(600_000, 1)],
])('equals the signature of %s', (_name, old, file) => {
  expect(Buffer.compare(derive(old, operationsOf(old, file)) ?? new Uint8Array(0), sign(file))).toBe(0)
})

test('describes only true chunks, or is given up, whatever chunks the sender makes', () => {
  const old = randomBytes(1_000_000, 1)
  expect(derive(old, [{ kind: 'COPY', offset: 17, lengthBytes: 100_000 }])).toBeUndefined()
  expect(derive(old, [{ kind: 'COPY', offset: 0, lengthBytes: 2_000_000 }])).toBeUndefined()
  const parts: DeltaOperation[] = [{ kind: 'DATA', content: randomBytes(10, 2) }, { kind: 'COPY', offset: 0, lengthBytes: 1_000_000 }]
  const signature = new Signature(derive(old, parts) ?? new Uint8Array(0))
  expect(signature.fileBytes).toBe(1_000_010)
  expect(signature.find(hashBytes(randomBytes(10, 2)), 10)).toBe(0)
})

test('is given up if too much is new', () => {
  const old = randomBytes(100_000, 1)
  const piece: DeltaOperation = { kind: 'DATA', content: randomBytes(1 << 20, 3) }
  expect(derive(old, Array.from({ length: 64 }, () => piece))).toBeDefined()
  expect(derive(old, Array.from({ length: 65 }, () => piece))).toBeUndefined()
})

test('is given up if tiny operations would make it long', () => {
  const old = randomBytes(100_000, 1)
  const records = 40_000
  const operations: DeltaOperation[] = Array.from({ length: 2 * records }, (_, i) => (
    i % 2 === 0 ? { kind: 'DATA', content: Uint8Array.of(i) } : { kind: 'COPY', offset: 0, lengthBytes: 100_000 }
  ))
  expect(derive(old, operations.slice(0, 2000))).toBeDefined()
  expect(derive(old, operations)).toBeUndefined()
})

test('one cut finder serves several files in turn, even after one that was given up', () => {
  const old = randomBytes(1_000_000, 1)
  const shared = createCutFinder(BITS)
  const init = { signature: sign(old), createCutFinder: () => shared, hash: hashBytes }
  new DerivedSignature(init).data(randomBytes(70_001, 5))
  const file = splice(old, { at: 300_000, cut: 5, put: randomBytes(200_000, 6) })
  const second = new DerivedSignature(init)
  for (const operation of operationsOf(old, file)) {
    if (operation.kind === 'COPY') second.copy(operation.offset, operation.lengthBytes)
    else second.data(operation.content)
  }
  expect(Buffer.compare(second.finish() ?? new Uint8Array(0), sign(file))).toBe(0)
})
