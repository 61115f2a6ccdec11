import { expect, it } from 'vitest'
import { BufferPool, FrameDecoder, encodeFrame } from '../src/index.ts'

it('takes a buffer again that is long enough and not twice as long', () => {
  const pool = new BufferPool(4)
  const first = pool.take(1_000_000)
  expect(first.length).toBe(1_000_000)
  pool.give(first.buffer)
  expect(pool.take(100_000).buffer).not.toBe(first.buffer)
  expect(pool.take(2_000_000).buffer).not.toBe(first.buffer)
  expect(pool.take(1_000_001).buffer).toBe(first.buffer)
  expect(pool.takeFree(1_000_000)).toBeUndefined()
})

it('keeps no more than it was told, and nothing small', () => {
  const pool = new BufferPool(1)
  const [left, right] = [new ArrayBuffer(1 << 20), new ArrayBuffer(1 << 20)]
  pool.give(new ArrayBuffer(1024))
  pool.give(left)
  pool.give(right)
  expect(pool.takeFree(1024)).toBeUndefined()
  expect(pool.takeFree(1 << 20)).toBe(left)
  expect(pool.takeFree(1 << 20)).toBeUndefined()
})

it('shows nothing of an earlier frame in a later one', () => {
  const pool = new BufferPool(4)
  const decoder = new FrameDecoder(sizeBytes => pool.take(sizeBytes))
  const decode = (content: Uint8Array): Uint8Array<ArrayBuffer> | undefined => [...decoder.push(encodeFrame('PACK', [content]))][0]?.payload
  const long = decode(new Uint8Array(200_000).fill(1))
  if (long === undefined) throw new Error('the frame is not whole')
  pool.give(long.buffer)
  const short = decode(new Uint8Array(190_000).fill(2))
  expect(short?.buffer).toBe(long.buffer)
  expect(short?.length).toBe(190_000)
  expect(short?.every(byte => byte === 2)).toBe(true)
})
