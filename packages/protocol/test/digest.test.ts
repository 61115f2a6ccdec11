import { DIGEST_BYTES, equalDigests, toDigest, toHex } from '@filesync/protocol'
import { createHasher, hashBytes } from '@filesync/protocol/node'
import { memoryTree } from '@filesync/protocol/testing'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { pieces } from './support/arbitrary.ts'

describe('digests', () => {
  it('are BLAKE3, by the published digests of no bytes and of three', () => {
    expect(toHex(hashBytes(new Uint8Array(0)))).toBe('af1349b9f5f9a1a6a0404dea36dcc9499bcb25c9adc112b7cc9a93cae41f3262')
    expect(toHex(hashBytes(Uint8Array.of(0, 1, 2)))).toBe('e1be4d7a8ab5560aa4199eea339849ba8e293d55ca0a81006726d184519e647f')
  })

  it('do not depend on how the bytes are split', () => {
    fc.assert(fc.property(fc.uint8Array({ maxLength: 5000 })
      .chain(bytes => pieces(bytes).map(cut => ({ bytes, cut }))), ({ bytes, cut }) => {
      const hasher = createHasher()
      for (const piece of cut) hasher.update(piece)
      expect(equalDigests(hasher.digest(), hashBytes(bytes))).toBe(true)
    }))
  })

  it('have 32 bytes, and are equal if all of them are', () => {
    expect(toDigest(new Uint8Array(DIGEST_BYTES - 1))).toBeUndefined()
    expect(toDigest(new Uint8Array(DIGEST_BYTES + 1))).toBeUndefined()
    const digest = hashBytes(Uint8Array.of(1))
    for (let at = 0; at < DIGEST_BYTES; at++) {
      const other = Uint8Array.from(digest)
      expect(equalDigests(digest, other)).toBe(true)
      other[at] = (other[at] ?? 0) ^ 1
      expect(equalDigests(digest, other)).toBe(false)
    }
    expect(equalDigests(digest, digest.subarray(1))).toBe(false)
  })

  it('of the root covers the whole tree', () => {
    const tree = memoryTree({ a: { b: { c: '1' } } }, hashBytes)
    expect(equalDigests(tree.rootDigest, memoryTree({ a: { b: { c: '1' } } }, hashBytes).rootDigest)).toBe(true)
    expect(equalDigests(tree.rootDigest, memoryTree({ a: { b: { c: '12' } } }, hashBytes).rootDigest)).toBe(false)
  })
})
