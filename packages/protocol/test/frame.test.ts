import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { encodeFrame, FLAG_ZSTD, FRAME_HEADER_BYTES, FrameDecoder, LIMITS, writeFrameHeader } from '../src/index.ts'
import { FRAME_TYPES } from '../src/wire/frame.ts'
import type { Frame, FrameType } from '../src/index.ts'
import { pieces } from './support/arbitrary.ts'
import { fromHex, join, refusal } from './support/refusal.ts'

const anyFrame: fc.Arbitrary<Frame> = fc.constantFrom(...Object.keys(FRAME_TYPES) as FrameType[]).chain(type => fc.record({
  type: fc.constant(type),
  flags: type === 'MESSAGE' || type === 'HEARTBEAT' ? fc.constant(0) : fc.constantFrom(0, FLAG_ZSTD),
  payload: (type === 'HEARTBEAT' ? fc.constant(new Uint8Array(0)) : fc.uint8Array({ minLength: 1, maxLength: 300 })),
}))

function decodeAll (cut: readonly Uint8Array[]): Frame[] {
  const decoder = new FrameDecoder()
  return cut.flatMap(piece => [...decoder.push(piece)])
}

describe('FrameDecoder', () => {
  it('finds the same frames however the bytes are split', () => {
    const anyCut = fc.array(anyFrame, { minLength: 1, maxLength: 8 }).chain(frames =>
      pieces(join(frames.map(frame => encodeFrame(frame.type, [frame.payload], frame.flags)))).map(cut => ({ frames, cut })))
    fc.assert(fc.property(anyCut, ({ frames, cut }) => { expect(decodeAll(cut)).toEqual(frames) }))
  })

  it('finds the same frames byte by byte', () => {
    const bytes = join([
      encodeFrame('DATA', [Uint8Array.of(1), Uint8Array.of(2, 3)], FLAG_ZSTD), encodeFrame('HEARTBEAT', []),
      encodeFrame('MESSAGE', [Uint8Array.of(0x80)]),
    ])
    const frames = decodeAll([...bytes].map(byte => Uint8Array.of(byte)))
    expect(frames.map(frame => [frame.type, frame.flags, [...frame.payload]])).toEqual([
      ['DATA', 1, [1, 2, 3]], ['HEARTBEAT', 0, []], ['MESSAGE', 0, [0x80]],
    ])
  })

  it('knows whether it is between frames', () => {
    const decoder = new FrameDecoder()
    expect(decoder.isBetweenFrames).toBe(true)
    const bytes = encodeFrame('DATA', [Uint8Array.of(1, 2)])
    for (let at = 0; at < bytes.length - 1; at++) {
      expect([...decoder.push(bytes.subarray(at, at + 1))]).toEqual([])
      expect(decoder.isBetweenFrames).toBe(false)
    }
    expect([...decoder.push(bytes.subarray(-1))]).toHaveLength(1)
    expect(decoder.isBetweenFrames).toBe(true)
  })

  it('gives each payload a separate buffer, so that it can be transferred', () => {
    const [first, second] = decodeAll([join([encodeFrame('DATA', [Uint8Array.of(1)]), encodeFrame('DATA', [Uint8Array.of(2)])])])
    expect(first?.payload.buffer).not.toBe(second?.payload.buffer)
    expect(first?.payload.buffer.byteLength).toBe(1)
  })

  it.each([
    ['a length of 2^32 - 1', 'ffffffff 01 00 0000', 'FRAME_TOO_LARGE'],
    ['a message of one byte too much', '00100001 01 00 0000', 'FRAME_TOO_LARGE'],
    ['a raw frame of one byte too much', '00110001 05 00 0000', 'FRAME_TOO_LARGE'],
    ['a heartbeat with a payload', '00000001 02 00 0000', 'FRAME_TOO_LARGE'],
    ['an empty message', '00000000 01 00 0000', 'FRAME_MALFORMED'],
    ['an empty raw frame', '00000000 05 00 0000', 'FRAME_MALFORMED'],
    ['type 0', '00000001 00 00 0000', 'FRAME_MALFORMED'],
    ['a type that is not known', '00000001 63 00 0000', 'FRAME_MALFORMED'],
    ['a compressed message', '00000001 01 01 0000', 'FRAME_MALFORMED'],
    ['a flag that is not known', '00000001 05 02 0000', 'FRAME_MALFORMED'],
    ['a reserved byte that is not zero', '00000001 05 00 0001', 'FRAME_MALFORMED'],
  ])('refuses %s by the header alone', (_, header, code) => {
    expect(refusal(() => new FrameDecoder().push(fromHex(header)))).toBe(code)
  })

  it('accepts the largest of each type', () => {
    for (const [type, bytes] of [['MESSAGE', LIMITS.messageFrameBytes], ['PACK', LIMITS.rawFrameBytes]] as const) {
      expect(decodeAll([encodeFrame(type, [new Uint8Array(bytes)])])[0]?.payload.length).toBe(bytes)
    }
  })

  it('keeps waiting, at the cost of a header, if less than a header arrives', () => {
    const decoder = new FrameDecoder()
    expect([...decoder.push(fromHex('ffffffff 01 00 00'))]).toEqual([])
  })
})

describe('encodeFrame', () => {
  it('refuses to encode a frame that no peer would accept', () => {
    expect(refusal(() => encodeFrame('MESSAGE', [new Uint8Array(LIMITS.messageFrameBytes + 1)]))).toBe('FRAME_TOO_LARGE')
    expect(refusal(() => encodeFrame('HEARTBEAT', [Uint8Array.of(1)]))).toBe('FRAME_TOO_LARGE')
  })

  it('encodes the same as writeFrameHeader before a payload', () => {
    const frame = new Uint8Array(FRAME_HEADER_BYTES + 2)
    frame.set([7, 8], FRAME_HEADER_BYTES)
    writeFrameHeader(frame, { type: 'PACK', flags: FLAG_ZSTD, payloadBytes: 2 })
    expect(frame).toEqual(encodeFrame('PACK', [Uint8Array.of(7, 8)], FLAG_ZSTD))
  })
})
