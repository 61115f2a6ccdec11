import { describe, expect, it } from 'vitest'
import { decodeMessage, encodeMessage, FEATURES, hello, negotiate, VERSIONS } from '../src/index.ts'
import type { Hello } from '../src/index.ts'
import { refusal } from './support/refusal.ts'

const here = hello('here/1', [FEATURES.ZSTD, FEATURES.RESUME])
const there = (versions: readonly number[], features: readonly string[]): Hello => (
  { type: 'HELLO', versions, features, software: 'there/9' }
)

describe('negotiate', () => {
  it('lets a newer peer and an older one speak the older version', () => {
    const newer = there([2, 3], [FEATURES.BLAKE3, FEATURES.ZSTD, 'time-travel'])
    const agreed = negotiate(here, newer)
    expect(agreed.version).toBe(2)
    expect([...agreed.features].sort()).toEqual([FEATURES.BLAKE3, FEATURES.ZSTD].sort())
  })

  it('has the same result on both ends, also after the messages were sent', () => {
    const newer = there([1, 3, 2], [FEATURES.ZSTD, 'x', FEATURES.BLAKE3, FEATURES.DELTA])
    const carried = decodeMessage(encodeMessage(newer)) as Hello
    const [left, right] = [negotiate(here, carried), negotiate(carried, here)]
    expect(left.version).toBe(right.version)
    expect([...left.features].sort()).toEqual([...right.features].sort())
  })

  it('chooses the highest version that both speak', () => {
    expect(negotiate(there([1, 2, 3], [FEATURES.BLAKE3]), there([3, 2], [FEATURES.BLAKE3])).version).toBe(3)
  })

  it('rejects a peer without a common version', () => {
    expect(refusal(() => negotiate(here, there([1], [FEATURES.BLAKE3])))).toBe('VERSION_UNSUPPORTED')
    expect(refusal(() => negotiate(here, there([3, 4], [FEATURES.BLAKE3])))).toBe('VERSION_UNSUPPORTED')
  })

  it('rejects a peer with other digests', () => { expect(refusal(() => negotiate(here, there([2], [])))).toBe('VERSION_UNSUPPORTED') })
})

describe('hello', () => {
  it('contains every version and always the digest', () => {
    expect(hello('x', [])).toEqual({ type: 'HELLO', versions: VERSIONS, features: ['digest-blake3'], software: 'x' })
  })

  it('contains the time if it is given, and is valid without', () => {
    const greeting = hello('x', [], 1_700_000_000_000)
    expect(decodeMessage(encodeMessage(greeting))).toEqual({ ...hello('x', []), timeMs: 1_700_000_000_000 })
    expect(decodeMessage(encodeMessage(hello('x', [])))).toEqual(hello('x', []))
    for (const timeMs of [-1, 0.5, 'now', null]) {
      expect(refusal(() => decodeMessage(encodeMessage({ ...greeting, timeMs } as Hello)))).toBe('MESSAGE_INVALID')
    }
  })
})
