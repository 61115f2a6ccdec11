import type { ByteStream } from '../wire/byte-stream.ts'
import { ensure } from './conformance-case.ts'
import type { ConformanceCase } from './conformance-case.ts'

/** Two connected ends. */
export type StreamPair = readonly [ByteStream, ByteStream]

async function readAll (stream: ByteStream): Promise<Uint8Array> {
  const pieces: Uint8Array[] = []
  for (let chunks = await stream.read(); chunks !== undefined; chunks = await stream.read()) pieces.push(...chunks)
  const all = new Uint8Array(pieces.reduce((sum, piece) => sum + piece.length, 0))
  let at = 0
  for (const piece of pieces) {
    all.set(piece, at)
    at += piece.length
  }
  return all
}

async function rejects (work: Promise<unknown>): Promise<boolean> {
  return await work.then(() => false, () => true)
}

/** Cases that every {@link ByteStream} must pass. Each case gets a new pair. */
export const byteStreamConformance: readonly ConformanceCase<StreamPair>[] = [
  {
    name: 'carries bytes in order, both ways',
    async run ([left, right]) {
      await left.write(Uint8Array.of(1, 2))
      await left.write(Uint8Array.of(3))
      await right.write(Uint8Array.of(9))
      await Promise.all([left.end(), right.end()])
      ensure((await readAll(right)).join() === '1,2,3', 'the right end did not read what the left one wrote')
      ensure((await readAll(left)).join() === '9', 'the left end did not read what the right one wrote')
    },
  },
  {
    name: 'ends a side without ending the other',
    async run ([left, right]) {
      await left.end()
      ensure(await right.read() === undefined, 'the end did not arrive')
      await right.write(Uint8Array.of(5))
      await right.end()
      ensure((await readAll(left)).join() === '5', 'the other direction was ended too')
    },
  },
  {
    name: 'makes the writer wait for the reader',
    async run ([left, right]) {
      let written = 0
      const total = 64
      const writing = (async () => {
        for (; written < total; written++) await left.write(new Uint8Array(1 << 20).fill(written))
        await left.end()
      })()
      await right.read()
      ensure(written < total, 'everything was taken although almost nothing was read')
      ensure((await readAll(right)).length > 0, 'nothing more arrived')
      await writing
    },
  },
  {
    name: 'rejects what waits when it is destroyed',
    async run ([left, right]) {
      const reading = rejects(left.read())
      left.destroy(new Error('enough'))
      left.destroy(new Error('twice'))
      ensure(await reading, 'the read did not reject')
      ensure(await rejects(left.write(Uint8Array.of(1))), 'a later write did not reject')
      const otherEnd = await right.read().then(chunks => chunks === undefined, () => true)
      ensure(otherEnd, 'the other end did not notice')
    },
  },
]
