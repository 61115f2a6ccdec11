import { expect, it } from 'vitest'
import { BufferPool, FrameDecoder, encodeFrame } from '../src/index.ts'

it('reuses a buffer that is long enough and at most twice as long', () => {
  const pool = new BufferPool(4)
  const first = pool.acquire(1_000_000)
  expect(first.length).toBe(1_000_000)
  pool.release(first.buffer)
  expect(pool.acquire(100_000).buffer).not.toBe(first.buffer)
  expect(pool.acquire(2_000_000).buffer).not.toBe(first.buffer)
  expect(pool.acquire(1_000_001).buffer).toBe(first.buffer)
  expect(pool.acquireFree(1_000_000)).toBeUndefined()
})

it('keeps at most the configured number of buffers, and no small ones', () => {
  const pool = new BufferPool(1)
  const [left, right] = [new ArrayBuffer(1 << 20), new ArrayBuffer(1 << 20)]
  pool.release(new ArrayBuffer(1024))
  pool.release(left)
  pool.release(right)
  expect(pool.acquireFree(1024)).toBeUndefined()
  expect(pool.acquireFree(1 << 20)).toBe(left)
  expect(pool.acquireFree(1 << 20)).toBeUndefined()
})

it('does not expose an earlier frame in a later one', () => {
  const pool = new BufferPool(4)
  const decoder = new FrameDecoder(sizeBytes => pool.acquire(sizeBytes))
  const decode = (content: Uint8Array): Uint8Array<ArrayBuffer> | undefined => [...decoder.push(encodeFrame('PACK', [content]))][0]?.payload
  const long = decode(new Uint8Array(200_000).fill(1))
  if (long === undefined) throw new Error('the frame is not whole')
  pool.release(long.buffer)
  const short = decode(new Uint8Array(190_000).fill(2))
  expect(short?.buffer).toBe(long.buffer)
  expect(short?.length).toBe(190_000)
  expect(short?.every(byte => byte === 2)).toBe(true)
})
