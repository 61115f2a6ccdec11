import { connect as connectTcp, createServer } from 'node:net'
import type { AddressInfo, Server, Socket } from 'node:net'
import { connect as connectTls, createServer as createTlsServer } from 'node:tls'
import { socketStream } from '@filesync/protocol/node'
import { byteStreamConformance, connectionConformance, ManualClock, memoryStreamPair } from '@filesync/protocol/testing'
import type { StreamPair } from '@filesync/protocol/testing'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { rejection } from './support/refusal.ts'
import { selfSigned } from './support/self-signed.ts'

const cases = [...byteStreamConformance, ...connectionConformance]

describe('over memory', () => {
  for (const conformance of cases) {
    it(conformance.name, async () => { await conformance.run(memoryStreamPair()) })
    it(`${conformance.name}, in small chunks`, async () => {
      await conformance.run(memoryStreamPair({ chunkBytes: 4099, capacityBytes: 64 << 10 }))
    })
  }
})

describe.each(['TCP', 'TLS'])('over %s on 127.0.0.1', transport => {
  let server: Server
  let dial: () => Socket
  const sockets: Socket[] = []
  const waiting: ((socket: Socket) => void)[] = []

  beforeAll(async () => {
    const accept = (socket: Socket): void => { waiting.shift()?.(socket) }
    if (transport === 'TCP') {
      server = createServer({ allowHalfOpen: true }, accept)
      dial = () => connectTcp({ port: (server.address() as AddressInfo).port, host: '127.0.0.1', allowHalfOpen: true })
    } else {
      const credentials = selfSigned()
      server = createTlsServer({ ...credentials, allowHalfOpen: true, minVersion: 'TLSv1.3' }, accept)
      // The types do not know that a TLS socket can be half open too.
      const options = { host: '127.0.0.1', allowHalfOpen: true, minVersion: 'TLSv1.3' as const, rejectUnauthorized: false }
      dial = () => connectTls({ ...options, port: (server.address() as AddressInfo).port })
    }
    await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve))
  })

  afterAll(async () => {
    for (const socket of sockets) socket.destroy()
    await new Promise<void>(resolve => { server.close(() => { resolve() }) })
  })

  async function pair (): Promise<StreamPair> {
    const accepted = new Promise<Socket>(resolve => waiting.push(resolve))
    const dialled = dial()
    const other = await accepted
    sockets.push(dialled, other)
    return [socketStream(dialled), socketStream(other)]
  }

  for (const conformance of cases) it(conformance.name, async () => { await conformance.run(await pair()) })

  it('rejects at once if the socket has already ended', async () => {
    const accepted = new Promise<Socket>(resolve => waiting.push(resolve))
    const dialled = dial()
    const other = await accepted
    const closed = new Promise<void>(resolve => { dialled.once('close', () => { resolve() }) })
    sockets.push(other)
    dialled.destroy()
    await closed
    const stream = socketStream(dialled)
    expect(await rejection(stream.read())).toBe('PEER_GONE')
    expect(await rejection(stream.write(Uint8Array.of(1)))).toBe('PEER_GONE')
    expect(await rejection(stream.end())).toBe('PEER_GONE')
  })

  it('stops reading from a socket whose data is not consumed', async () => {
    const [left, right] = await pair()
    let taken = 0
    const writing = (async () => {
      for (; taken < 256; taken++) await left.write(new Uint8Array(1 << 20))
    })().catch(() => { /* destroyed below */ })
    let seen: number
    // It has come to rest when nothing more is taken between two looks at it; each look lets all that is ready run.
    for (let still = 0; still < 50; still = taken === seen ? still + 1 : 0) {
      seen = taken
      await new Promise<void>(resolve => { setImmediate(resolve) })
    }
    expect(taken).toBeLessThan(64)
    left.destroy(new Error('enough'))
    right.destroy(new Error('enough'))
    await writing
  })
})

describe('memory streams', () => {
  it('break both ways after so many bytes, and return what arrived before', async () => {
    const [left, right] = memoryStreamPair({ cutAfterBytes: [3, undefined] })
    expect(await rejection(left.write(Uint8Array.of(1, 2, 3, 4, 5)))).toBe('PEER_GONE')
    expect((await right.read())?.map(chunk => [...chunk])).toEqual([[1, 2, 3]])
    expect(await rejection(right.read())).toBe('PEER_GONE')
    expect(await rejection(right.write(Uint8Array.of(1)))).toBe('PEER_GONE')
    expect(await rejection(left.read())).toBe('PEER_GONE')
  })

  it('deliver with a delay', async () => {
    const clock = new ManualClock()
    const [left, right] = memoryStreamPair({ delay: { clock, delayMs: 20 } })
    let arrived: number | undefined
    const reading = right.read().then(() => { arrived = clock.monotonicMs() })
    await left.write(Uint8Array.of(1))
    clock.advance(19)
    await Promise.resolve()
    expect(arrived).toBeUndefined()
    clock.advance(1)
    await reading
    expect(arrived).toBe(20)
  })

  it('are not affected by later changes to the written bytes', async () => {
    const [left, right] = memoryStreamPair()
    const bytes = Uint8Array.of(1)
    await left.write(bytes)
    bytes[0] = 9
    expect((await right.read())?.[0]?.[0]).toBe(1)
  })
})
