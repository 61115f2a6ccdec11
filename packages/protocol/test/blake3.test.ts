import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { loadNativeBlake3 } from '../src/node/blake3-native.ts'
import { loadWasmBlake3 } from '../src/node/blake3-wasm.ts'
import { toHex } from '../src/index.ts'
import { digestEngine } from '../src/node/index.ts'

const SEED = Number(process.env.FILESYNC_SEED ?? 20261130)

// From the test vectors that the authors of BLAKE3 publish: byte i of the input is i modulo 251.
const VECTORS: readonly (readonly [bytes: number, digest: string])[] = [
  [0, 'af1349b9f5f9a1a6a0404dea36dcc9499bcb25c9adc112b7cc9a93cae41f3262'],
  [1, '2d3adedff11b61f14c886e35afa036736dcd87a74d27b5c1510225d0f592e213'],
  [1023, '10108970eeda3eb932baac1428c7a2163b0e924c9a9e25b35bba72b28f70bd11'],
  [1024, '42214739f095a406f3fc83deb889744ac00df831c10daa55189b5d121c855af7'],
  [1025, 'd00278ae47eb27b34faecf67b4fe263f82d5412916c1ffd97c8cb7fb814b8444'],
  [2048, 'e776b6028c7cd22a4d0ba182a8bf62205d2ef576467e838ed6f2529b85fba24a'],
  [31744, '62b6960e1a44bcc1eb1a611a8d6235b6b4b78f32e7abc4fb4c6cdcce94895c47'],
  [102400, 'bc3e3d41a1146b069abffad3c0d44860cf664390afce4d9661f7902e7943e085']
]

function vectorInput (length: number): Uint8Array {
  return Uint8Array.from({ length }, (_, i) => i % 251)
}

const native = loadNativeBlake3()
const wasm = loadWasmBlake3()
const engines = [...'engine' in native ? [['native', native.engine] as const] : [], ['WebAssembly', wasm] as const]

describe.each(engines)('BLAKE3, %s', (_, engine) => {
  it.each(VECTORS)('gives the published digest of %i bytes', (length, digest) => {
    expect(toHex(engine.hashBytes(vectorInput(length)))).toBe(digest)
  })

  it('keeps interleaved hashers independent, with whole buffers hashed in between', () => {
    const inputs = VECTORS.map(([length]) => vectorInput(length))
    const hashers = inputs.map(() => engine.createHasher())
    for (let at = 0; at < 102_400; at += 999) {
      for (const [i, input] of inputs.entries()) {
        if (at < input.length) hashers[i]?.update(input.subarray(at, at + 999))
        engine.hashBytes(input.subarray(0, at))
      }
    }
    expect(hashers.map(hasher => toHex(hasher.digest()))).toEqual(VECTORS.map(([, digest]) => digest))
  })
})

describe('The engines', () => {
  it.runIf('engine' in native)(`agree on 1,000 random inputs, whole and in pieces (seed ${SEED})`, { timeout: 60_000 }, () => {
    const expected = 'engine' in native ? native.engine.hashBytes : wasm.hashBytes
    const input = fc.uint8Array({ maxLength: 20_000, size: 'max' })
    fc.assert(fc.property(input, fc.integer({ min: 1, max: 5000 }), (bytes, pieceBytes) => {
      const pieces = wasm.createHasher()
      for (let at = 0; at < bytes.length; at += pieceBytes) pieces.update(bytes.subarray(at, at + pieceBytes))
      expect([toHex(wasm.hashBytes(bytes)), toHex(pieces.digest())]).toEqual([toHex(expected(bytes)), toHex(expected(bytes))])
    }), { seed: SEED, numRuns: 1000 })
  })

  it('are chosen at startup, and the choice is reported', () => {
    expect(digestEngine).toEqual('engine' in native ? { name: 'native' } : { name: 'webassembly', reason: native.reason })
  })
})
