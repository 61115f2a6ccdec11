import { openConnection } from '../wire/connection.ts'
import type { Connection } from '../wire/connection.ts'
import { FileSyncError, isFileSyncError } from '../errors.ts'
import { LIMITS } from '../limits.ts'
import type { StreamPair } from './byte-stream-conformance.ts'
import { ensure } from './conformance-case.ts'
import type { ConformanceCase } from './conformance-case.ts'
import { ManualClock } from './manual-clock.ts'

function connectBoth ([near, far]: StreamPair): readonly [Connection, Connection] {
  const clock = new ManualClock()
  return [openConnection({ stream: near, clock }), openConnection({ stream: far, clock })]
}

async function codeOf (work: Promise<unknown>): Promise<string> {
  return await work.then(() => 'none', (error: unknown) => isFileSyncError(error) ? error.code : 'other')
}

async function sendMany (connection: Connection, frames: number): Promise<void> {
  for (let i = 0; i < frames; i++) await connection.sendRaw('DATA', [new Uint8Array(1 << 20).fill(i)])
}

async function receiveMany (connection: Connection, frames: number): Promise<void> {
  for (let i = 0; i < frames; i++) {
    const incoming = await connection.next()
    ensure(incoming.kind === 'raw' && incoming.payload.length === 1 << 20, `frame ${i} is not whole`)
    ensure(incoming.payload[0] === i && incoming.payload.at(-1) === i, `frame ${i} holds something else`)
  }
}

/** Cases that a connection must pass over every byte stream. Each case gets a new pair of streams; its clock does not advance. */
export const connectionConformance: readonly ConformanceCase<StreamPair>[] = [
  {
    name: 'carries messages and raw frames both ways, in order',
    async run (streams) {
      const [left, right] = connectBoth(streams)
      await left.send({ type: 'STORED', files: 1, bytes: 2 })
      await left.sendRaw('DELTA', [Uint8Array.of(3)])
      await right.send({ type: 'PAIR_DONE' })
      ensure((await right.receive(['STORED'])).bytes === 2, 'the message is another one')
      const raw = await right.next()
      ensure(raw.kind === 'raw' && raw.type === 'DELTA' && raw.payload[0] === 3, 'the raw frame is another one')
      await left.receive(['PAIR_DONE'])
      ensure(left.bytesSent === right.bytesReceived && right.bytesSent === left.bytesReceived, 'the two ends count different bytes')
      await Promise.all([left.close(), right.close()])
    },
  },
  {
    name: 'carries many frames both ways at once',
    async run (streams) {
      const [left, right] = connectBoth(streams)
      await Promise.all([sendMany(left, 24), sendMany(right, 24), receiveMany(left, 24), receiveMany(right, 24)])
      await left.close()
    },
  },
  {
    name: 'makes a sender wait for a session that receives nothing',
    async run (streams) {
      const [left, right] = connectBoth(streams)
      const frames = 4 * LIMITS.inboxBytes / (1 << 20)
      let isDone = false
      const sending = sendMany(left, frames).then(() => { isDone = true })
      await right.next()
      ensure(!isDone, 'everything was taken although almost nothing was used')
      for (let i = 1; i < frames; i++) await right.next()
      await sending
      await left.close()
    },
  },
  {
    name: 'sends the reason to a peer that is still sending',
    async run (streams) {
      const [left, right] = connectBoth(streams)
      const sending = codeOf(sendMany(left, 1000))
      await right.next()
      await right.close(new FileSyncError('ARCHIVE_FULL', 'The archive has no room.'))
      const code = await sending
      ensure(code === 'ARCHIVE_FULL', `the sender learnt ${code} instead`)
      ensure(await codeOf(right.next()) === 'ARCHIVE_FULL', 'the end that closed has another reason')
    },
  },
  {
    name: 'returns what arrived before the end',
    async run (streams) {
      const [left, right] = connectBoth(streams)
      await left.send({ type: 'STORED', files: 7, bytes: 0 })
      await left.close()
      ensure((await right.receive(['STORED'])).files === 7, 'the last message was lost')
      ensure(await codeOf(right.next()) === 'PEER_GONE', 'the end did not come')
    },
  },
  {
    name: 'ends both ends when one is destroyed',
    async run (streams) {
      const [left, right] = connectBoth(streams)
      const waiting = codeOf(right.next())
      left.destroy(new FileSyncError('ABORTED', 'Stopped.'))
      ensure(await codeOf(left.next()) === 'ABORTED', 'the destroyed end has another reason')
      ensure(await waiting === 'PEER_GONE', 'the other end did not notice')
    },
  },
]
