import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { checkMsgpack } from '../src/encoding/bounded-msgpack.ts'
import { decodeValue, encodeValue } from '../src/encoding/codec.ts'
import { LIMITS } from '../src/index.ts'
import { fromHex, refusal } from './support/refusal.ts'

// Numbers without a fraction are written as integers, which have one zero.
const positiveZero = (value: number): number => value + 0

const plain = fc.letrec<{ value: unknown }>(tie => ({
  value: fc.oneof(
    { maxDepth: 4 },
    fc.constant(null), fc.boolean(), fc.string({ unit: 'grapheme' }), fc.maxSafeInteger(), fc.double({ noNaN: true })
      .map(positiveZero), fc.uint8Array(),
    fc.array(tie('value'), { maxLength: 5 }),
    fc.dictionary(fc.string().filter(key => key !== '__proto__'), tie('value'), { maxKeys: 5, noNullPrototype: true }),
  ),
})).value

describe('codec', () => {
  it('round-trips every plain value', () => {
    fc.assert(fc.property(plain, value => {
      expect(comparable(decodeValue(encodeValue(value)))).toEqual(comparable(value))
    }))
  })

  it('writes integers above 32 bits as integers, for strict decoders', () => {
    expect([...encodeValue(2 ** 40)]).toEqual([0xd3, 0, 0, 1, 0, 0, 0, 0, 0])
    expect([...encodeValue([{ a: 2 ** 40 }])].slice(0, 5)).toEqual([0x91, 0x81, 0xa1, 0x61, 0xd3])
    expect(encodeValue(0.5)[0]).toBe(0xcb)
  })

  it.each([
    ['uint64', 'cf 0000000100000000', 2 ** 32],
    ['a small uint64', 'cf 0000000000000005', 5],
    ['float64', 'cb 41f0000000000000', 2 ** 32],
    ['int64', 'd3 ffffffffffffffff', -1],
    ['uint16 that needs fewer bytes', 'cd 0001', 1],
  ])('reads %s as a number', (_, hex, value) => { expect(decodeValue(fromHex(hex))).toBe(value) })

  it('reads an integer that a number cannot represent as an unsafe integer', () => {
    expect(Number.isSafeInteger(decodeValue(fromHex('cf ffffffffffffffff')))).toBe(false)
    expect(Number.isSafeInteger(decodeValue(fromHex('cf 0020000000000000')))).toBe(false)
    expect(Number.isSafeInteger(decodeValue(fromHex('d3 8000000000000000')))).toBe(false)
  })

  it.each([
    ['nothing', '', 'ENCODING_MALFORMED'],
    ['an array of 2^32 - 1', 'dd ffffffff', 'ENCODING_MALFORMED'],
    ['a map of 2^32 - 1', 'df ffffffff', 'ENCODING_MALFORMED'],
    ['bytes of 2^32 - 1', 'c6 ffffffff', 'ENCODING_MALFORMED'],
    ['text of 2^32 - 1', 'db ffffffff', 'ENCODING_MALFORMED'],
    ['a length that is cut', 'dd 0000', 'ENCODING_MALFORMED'],
    ['a number that is cut', 'cb 00', 'ENCODING_MALFORMED'],
    ['an array that is cut', '92 01', 'ENCODING_MALFORMED'],
    ['a byte after the value', '01 02', 'ENCODING_MALFORMED'],
    ['text that is not UTF-8', 'a2 c328', 'ENCODING_MALFORMED'],
    ['text with an encoded surrogate', 'a3 eda080', 'ENCODING_MALFORMED'],
    ['text with an overlong slash', 'a2 c0af', 'ENCODING_MALFORMED'],
    ['a record definition', 'd4 72 40', 'ENCODING_FORBIDDEN'],
    ['a record definition with a value', 'd4 72 40 91 a1 61 01', 'ENCODING_FORBIDDEN'],
    ['a set', 'd4 73 00', 'ENCODING_FORBIDDEN'],
    ['an error', 'c7 03 65 93 a0 a0', 'ENCODING_FORBIDDEN'],
    ['a structured clone', 'd6 69 00000001', 'ENCODING_FORBIDDEN'],
    ['a big integer', 'c7 01 42 01', 'ENCODING_FORBIDDEN'],
    ['a date', 'd6 ff 00000000', 'ENCODING_FORBIDDEN'],
    ['the type that does not exist', 'c1', 'ENCODING_FORBIDDEN'],
    ['a key __proto__', '81 a9 5f5f70726f746f5f5f 80', 'ENCODING_FORBIDDEN'],
    ['a key __proto__ of unusual length', '81 d909 5f5f70726f746f5f5f 80', 'ENCODING_FORBIDDEN'],
    ['a key twice', '82 a1 61 01 a1 61 02', 'ENCODING_FORBIDDEN'],
    ['a key twice in two spellings', '82 a1 61 01 d901 61 02', 'ENCODING_FORBIDDEN'],
    ['a key that is a number', '81 01 01', 'ENCODING_FORBIDDEN'],
    ['a key that is a map', '81 80 01', 'ENCODING_FORBIDDEN'],
    ['twenty arrays in each other', '91'.repeat(20), 'ENCODING_TOO_DEEP'],
  ])('refuses %s', (_, hex, code) => { expect(refusal(() => decodeValue(fromHex(hex)))).toBe(code) })

  it('rejects five megabytes of nested arrays without a stack overflow', () => {
    expect(refusal(() => decodeValue(new Uint8Array(5_000_000).fill(0x91)))).toBe('ENCODING_TOO_DEEP')
  })

  it('allows the depth that messages need, and no more', () => {
    const nested = (levels: number): Uint8Array => Uint8Array.of(...new Array<number>(levels).fill(0x91), 0xc0)
    expect(refusal(() => { checkMsgpack(nested(LIMITS.messageDepth)) })).toBe('accepted')
    expect(refusal(() => { checkMsgpack(nested(LIMITS.messageDepth + 1)) })).toBe('ENCODING_TOO_DEEP')
  })

  it('decodes correctly after a rejection', () => {
    for (const hex of ['d4 72 40', 'c1', '92 01', 'a2 c328']) refusal(() => decodeValue(fromHex(hex)))
    expect(decodeValue(encodeValue({ a: [1, 'b'] }))).toEqual({ a: [1, 'b'] })
  })

  it('throws only FileSyncError, whatever the bytes', () => {
    fc.assert(
      fc.property(
        fc.uint8Array({ maxLength: 200 }), bytes => { expect(refusal(() => decodeValue(bytes))).toMatch(/^(accepted|ENCODING_\w+)$/u) }
      ),
      { numRuns: 2000 }
    )
  })

  it('allocates memory in proportion to the input, not to what it claims', () => {
    // A thousand claims of four thousand million elements each, inside what is otherwise well formed.
    const before = process.memoryUsage().rss
    for (let i = 0; i < 1000; i++) refusal(() => decodeValue(fromHex('92 01 dd ffffffff')))
    expect(process.memoryUsage().rss - before).toBeLessThan(64 << 20)
  })
})

// Bytes may come back as a Buffer, which is a Uint8Array too but not equal to one here.
function comparable (value: unknown): unknown {
  if (value instanceof Uint8Array) return { bytes: [...value] }
  if (Array.isArray(value)) return value.map(comparable)
  if (typeof value === 'object' && value !== null) {
    return Object.fromEntries(Object.entries(value).map(([key, field]) => [key, comparable(field)]))
  }
  return value
}
