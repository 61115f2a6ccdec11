import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { encodeParts, PACK_RECORD_BYTES, PART_HEADER_BYTES, PartsDecoder, readPack, toDigest, writePackRecord } from '../src/index.ts'
import type { NumberedBlob } from '../src/index.ts'
import { fromHex, join, refusal } from './support/refusal.ts'

const anyWhole: fc.Arbitrary<NumberedBlob> = fc.record({ number: fc.nat({ max: 0xffff_ffff }), bytes: fc.uint8Array({ maxLength: 200 }) })

function part (number: number, total: number, offset: number, bytes: readonly number[], length = bytes.length): Uint8Array {
  const header = new DataView(new ArrayBuffer(PART_HEADER_BYTES))
  for (const [i, value] of [number, total, offset, length].entries()) header.setUint32(i * 4, value)
  return join([new Uint8Array(header.buffer), Uint8Array.from(bytes)])
}

describe('parts', () => {
  it('are reassembled, whatever the size of the frames', () => {
    const anyPayloadBytes = fc.integer({ min: PART_HEADER_BYTES + 1, max: 400 })
    fc.assert(fc.property(fc.array(anyWhole, { maxLength: 12 }), anyPayloadBytes, (wholes, payloadBytes) => {
      const payloads = [...encodeParts(wholes, payloadBytes)]
      for (const payload of payloads) expect(payload.length).toBeLessThanOrEqual(payloadBytes)
      const decoder = new PartsDecoder(200)
      expect(payloads.flatMap(payload => [...decoder.push(payload)])).toEqual(wholes)
      expect(decoder.isComplete).toBe(true)
    }))
  })

  it('fill frames to their end', () => {
    const wholes = Array.from({ length: 50 }, (_, number) => ({ number, bytes: new Uint8Array(30) }))
    const payloads = [...encodeParts(wholes, 256)]
    for (const payload of payloads.slice(0, -1)) expect(payload.length).toBeGreaterThanOrEqual(256 - PART_HEADER_BYTES)
  })

  it('are not put into frames in which nothing fits', () => { expect(() => [...encodeParts([], PART_HEADER_BYTES)]).toThrow(RangeError) })

  it('know whether a blob is incomplete', () => {
    const decoder = new PartsDecoder(10)
    expect([...decoder.push(part(1, 4, 0, [1, 2]))]).toEqual([])
    expect(decoder.isComplete).toBe(false)
    expect([...decoder.push(part(1, 4, 2, [3, 4]))]).toEqual([{ number: 1, bytes: Uint8Array.of(1, 2, 3, 4) }])
    expect(decoder.isComplete).toBe(true)
  })

  it.each([
    ['a header that is cut', [fromHex('00000000 00000001 00000000 000000')], 'FRAME_MALFORMED'],
    ['a whole beyond the limit', [part(0, 101, 0, [1])], 'LIMIT_EXCEEDED'],
    ['a whole of 2^32 - 1', [part(0, 0xffff_ffff, 0, [1])], 'LIMIT_EXCEEDED'],
    ['a part that is longer than its payload', [part(0, 50, 0, [1], 2)], 'FRAME_MALFORMED'],
    ['a part that is longer than its whole', [part(0, 1, 0, [1, 2])], 'FRAME_MALFORMED'],
    ['an empty part', [part(0, 2, 0, [])], 'FRAME_MALFORMED'],
    ['a whole that starts in its middle', [part(0, 4, 1, [1])], 'FRAME_MALFORMED'],
    ['a hole', [part(0, 4, 0, [1]), part(0, 4, 2, [1])], 'FRAME_MALFORMED'],
    ['a part again', [part(0, 4, 0, [1]), part(0, 4, 0, [1])], 'FRAME_MALFORMED'],
    ['another whole in between', [part(0, 4, 0, [1]), part(1, 4, 1, [1])], 'FRAME_MALFORMED'],
    ['a whole that changes its length', [part(0, 4, 0, [1]), part(0, 5, 1, [1])], 'FRAME_MALFORMED'],
  ])('refuse %s', (_, payloads, code) => {
    const decoder = new PartsDecoder(100)
    expect(refusal(() => payloads.flatMap(payload => [...decoder.push(payload)]))).toBe(code)
  })

  it('take memory for what arrived, not for what is claimed, even with tiny parts', () => {
    const total = 100_000_000, arrived = 300_000
    const before = process.memoryUsage()
    const decoder = new PartsDecoder(total)
    for (let at = 0; at < arrived; at++) for (const _ of decoder.push(part(0, total, at, [1])));
    const after = process.memoryUsage()
    expect(decoder.isComplete).toBe(false)
    expect(after.heapUsed + after.arrayBuffers - before.heapUsed - before.arrayBuffers).toBeLessThan(48 << 20)
  })
})

describe('packs', () => {
  const anyFile = fc.record({
    task: fc.nat({ max: 0xffff_ffff }), digest: fc.uint8Array({ minLength: 32, maxLength: 32 }), content: fc.uint8Array({ maxLength: 60 }),
  })

  function pack (files: readonly { task: number, digest: Uint8Array, content: Uint8Array }[]): Uint8Array {
    const bytes = new Uint8Array(files.reduce((sum, { content }) => sum + PACK_RECORD_BYTES + content.length, 0))
    let at = 0
    for (const { task, digest, content } of files) {
      writePackRecord(bytes, at, { task, sizeBytes: content.length, digest })
      bytes.set(content, at + PACK_RECORD_BYTES)
      at += PACK_RECORD_BYTES + content.length
    }
    return bytes
  }

  it('round-trip their files', () => {
    fc.assert(fc.property(fc.array(anyFile, { maxLength: 10 }), files => {
      expect([...readPack(pack(files))]).toEqual(files.map(file => ({ ...file, digest: toDigest(file.digest) })))
    }))
  })

  it('work at any offset of a buffer', () => {
    const whole = join([Uint8Array.of(9, 9, 9), pack([{ task: 1, digest: new Uint8Array(32), content: Uint8Array.of(5) }])])
    expect([...readPack(whole.subarray(3))].map(file => [file.task, ...file.content])).toEqual([[1, 5]])
  })

  it.each([
    ['a record that is cut', '00000000 00000000'],
    ['a file that is longer than the pack', `00000000 00000002 ${'00'.repeat(32)} 01`],
    ['a file of 2^32 - 1', `00000000 ffffffff ${'00'.repeat(32)} 01`],
    ['bytes after the last file', `00000000 00000001 ${'00'.repeat(32)} 01 02`],
  ])('refuse %s', (_, hex) => { expect(refusal(() => readPack(fromHex(hex)))).toBe('FRAME_MALFORMED') })

  it('reject a file that is too large to be packed', () => {
    expect(refusal(() => readPack(pack([{ task: 0, digest: new Uint8Array(32), content: new Uint8Array(262_144) }])))).toBe('accepted')
    expect(refusal(() => readPack(pack([{
      task: 0, digest: new Uint8Array(32), content: new Uint8Array(262_145),
    }])))).toBe('FRAME_MALFORMED')
  })
})
