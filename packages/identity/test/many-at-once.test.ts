import { once } from 'node:events'
import { connect as connectTcp, createServer as createTcpServer } from 'node:net'
import type { AddressInfo, Socket } from 'node:net'
import { connect as connectSocket } from 'node:tls'
import { ALPN_PAIR, ALPN_SYNC, openConnection } from '@filesync/protocol'
import type { Connection } from '@filesync/protocol'
import { socketStream, systemClock } from '@filesync/protocol/node'
import { ManualClock } from '@filesync/protocol/testing'
import { describe, expect, onTestFinished, test } from 'vitest'
import { parseEnrollmentToken, provePairing } from '../src/index.ts'
import type { ListenLimits } from '../src/node/listen.ts'
import { LISTEN_LIMITS } from '../src/node/listen.ts'
import { connectTls, nodeCrypto } from '../src/node/index.ts'
import { allowHalfClose } from '../src/node/authenticated-socket.ts'
import { HOST, makeClient, startServer, until } from './support/machines.ts'
import type { ClientMachine, ServerMachine } from './support/machines.ts'

/** So few that nearly all have to wait. */
const NARROW = { handshakes: 8, handshakesPerAddress: 4, handshakesOfStrangers: 6 }
/** On Linux the whole of 127.0.0.0/8 is this machine. Elsewhere it has one address, and these tests need several. */
const HAS_ADDRESSES = process.platform === 'linux'

interface Scene {
  readonly clock: ManualClock
  readonly server: ServerMachine
  readonly friend: ClientMachine
}

async function setScene (limits: Partial<ListenLimits> = {}, knownAddresses: readonly string[] = []): Promise<Scene> {
  const clock = new ManualClock()
  const server = await startServer({ clock, listen: { limits, knownAddresses } })
  const friend = await makeClient()
  await server.peers.admit({ id: friend.identity.id, requestedName: 'friend', via: 'manual' })
  return { clock, server, friend }
}

/** A session of the friend from an address of its own. Resolves when the server has greeted it. */
async function visit ({ server, friend }: Scene, from: string): Promise<Connection> {
  const socket = connectSocket({
    socket: await dial(server, from), rejectUnauthorized: false, ALPNProtocols: [ALPN_SYNC], minVersion: 'TLSv1.3',
    key: friend.identity.privateKey, cert: friend.identity.certificate,
  })
  const connection = openConnection({ stream: socketStream(allowHalfClose(socket)), clock: systemClock })
  await connection.receive(['HELLO'])
  return connection
}

/** A plain connection; strangers send something, or nothing. */
async function dial (server: ServerMachine, from: string, first?: Buffer): Promise<Socket> {
  const socket = connectTcp({ port: server.listener.port, host: HOST, localAddress: from })
  socket.on('error', () => { /* a reset is as good as an end */ })
  onTestFinished(() => { socket.destroy() })
  await once(socket, 'connect')
  // Read, so that its end is noticed.
  if (first !== undefined) socket.resume().write(first)
  return socket
}

/** The ClientHello of a TLS client. Sent alone, it makes a server work, and wait for an answer that never comes. */
async function clientHello (): Promise<Buffer> {
  const listener = createTcpServer().listen(0, HOST)
  await once(listener, 'listening')
  const { port } = listener.address() as AddressInfo
  const client = connectSocket({ host: HOST, port, ALPNProtocols: [ALPN_SYNC], minVersion: 'TLSv1.3' })
  client.on('error', () => { /* it gets no answer */ })
  const [socket] = await once(listener, 'connection') as [Socket]
  const [bytes] = await once(socket, 'data') as [Buffer]
  client.destroy()
  socket.destroy()
  listener.close()
  return bytes
}

/** The address with this number on the loopback network, apart from the usual one. */
function address (n: number): string {
  return `127.1.${String(n >> 8)}.${String(n & 255)}`
}

async function flood (server: ServerMachine, addresses: readonly string[], first?: Buffer): Promise<Socket[]> {
  return await Promise.all(addresses.map(async from => await dial(server, from, first)))
}

test('200 clients that come at once from one address all prove themselves and are served, none is cut', { timeout: 60_000 }, async () => {
  const { server, friend } = await setScene(NARROW)
  const visits = Array.from({ length: 200 }, async () => {
    // The client's own code; with one try, so that a cut one is not mended by another.
    const { connection } = await connectTls({
      identity: friend.identity, address: HOST, port: server.listener.port, alpn: ALPN_SYNC, clock: systemClock,
      signal: new AbortController().signal, onOpen: () => { opened++ },
    })
    await connection.receive(['HELLO'])
    await connection.close()
  })
  let opened = 0
  await Promise.all(visits)
  expect([opened, server.refusals]).toEqual([200, []])
  await until(async () => await server.listener.connectionCount() === 0)
})

test('60 machines that enroll at once with one token are all admitted', { timeout: 60_000 }, async () => {
  const server = await startServer({ listen: { limits: NARROW } })
  const { token } = await server.tokens.create(server.identity.id, { uses: 60, ttlMs: 60_000 })
  const secret = { kind: 'token', token: parseEnrollmentToken(token) } as const
  const clients = await Promise.all(Array.from({ length: 60 }, makeClient))
  const granted = await Promise.all(clients.map(async client => {
    const channel = await client.connect(server.listener.port, { alpn: ALPN_PAIR })
    return await provePairing(channel, { crypto: nodeCrypto, secret, name: 'machine', remember: async () => { /* not asked here */ } })
  }))
  expect(new Set(granted.map(({ area }) => area)).size).toBe(60)
  expect((await server.peers.list()).map(({ id }) => id).sort()).toEqual(clients.map(({ identity }) => identity.id).sort())
  expect((await server.tokens.list())[0]?.usedBy).toHaveLength(60)
  expect(server.refusals).toEqual([])
})

test('one that leaves while it waits is forgotten at once, and is no refusal', async () => {
  const { server } = await setScene({ ...NARROW, handshakes: 1, handshakesOfStrangers: 1, handshakesPerAddress: 1 })
  const sockets = await flood(server, Array.from({ length: 10 }, () => HOST), await clientHello())
  await until(async () => await server.listener.connectionCount() === 10)
  for (const socket of sockets) socket.destroy()
  await until(async () => await server.listener.connectionCount() === 0)
  expect(server.refusals).toEqual([])
})

test('a ClientHello in many pieces, and one with more after it, is answered', async () => {
  const { server, friend } = await setScene()
  const pieces = createTcpServer(socket => {
    const onward = connectTcp(server.listener.port, HOST)
    onward.setNoDelay(true).pipe(socket)
    void (async () => {
      for await (const chunk of socket as AsyncIterable<Buffer>) {
        for (const byte of chunk) await new Promise<unknown>(resolve => { onward.write(Uint8Array.of(byte), resolve) })
      }
      onward.end()
    })()
  }).listen(0, HOST)
  await once(pieces, 'listening')
  onTestFinished(() => { pieces.close() })
  const { connection } = await friend.connect((pieces.address() as AddressInfo).port, { alpn: ALPN_SYNC })
  expect((await connection.receive(['HELLO'])).software).toBe('test')
})

describe.skipIf(!HAS_ADDRESSES)('with several addresses', () => {
  test('60 clients that come at once from as many addresses are all served, and none is cut', { timeout: 60_000 }, async () => {
    const scene = await setScene(NARROW)
    const sessions = await Promise.all(Array.from({ length: 60 }, async (_, n) => await visit(scene, address(n))))
    await Promise.all(sessions.map(async session => { await session.close() }))
    expect(scene.server.refusals).toEqual([])
  })

  test('a flood of handshakes from one address delays nobody else, and its address only until it has timed out', async () => {
    const waiting = 64
    const scene = await setScene({ ...NARROW, waiting })
    const { clock, server } = scene
    const count = async (): Promise<number> => await server.listener.connectionCount()
    const sockets = await flood(server, Array.from({ length: 2_000 }, () => '127.0.0.66'), await clientHello())
    await until(async () => await count() === waiting + NARROW.handshakesPerAddress)
    // The clock does not move.
    await (await visit(scene, '127.0.0.2')).close()
    await until(() => sockets.filter(({ destroyed }) => !destroyed).length <= waiting + NARROW.handshakesPerAddress)
    // Nor does it hold its slots for longer than a handshake may take.
    await until(async () => {
      clock.advance(LISTEN_LIMITS.handshakeTimeoutMs / 10)
      return await count() === 0
    })
    await (await visit(scene, '127.0.0.66')).close()
  })

  test('a flood from many addresses does not delay a client from an address where one was before', async () => {
    const scene = await setScene({ ...NARROW, waiting: 64 }, ['127.0.0.2'])
    const { server } = scene
    await flood(server, Array.from({ length: 500 }, (_, n) => address(n)), await clientHello())
    // From the record of the server, and the second time because a client was there; the clock does not move.
    for (const from of ['127.0.0.2', '127.0.0.2']) await (await visit(scene, from)).close()
    expect(await server.listener.connectionCount()).toBeLessThanOrEqual(64 + NARROW.handshakes + 1)
  })

  test('a new address waits for its first handshake only as long as a contested one may take', async () => {
    const scene = await setScene(NARROW)
    const { clock, server } = scene
    const hello = await clientHello()
    const crowd = await flood(server, Array.from({ length: 20 }, (_, n) => `127.0.0.${String(60 + n % 2)}`), hello)
    await until(async () => await server.listener.connectionCount() === 20)
    const session = visit(scene, '127.0.0.2')
    await until(async () => await server.listener.connectionCount() === 21)
    // The check may have begun with the flood; one more follows.
    for (let n = 0; n < 2; n++) {
      await new Promise(resolve => { setTimeout(resolve, 50) })
      clock.advance(LISTEN_LIMITS.contestedMs)
    }
    await (await session).close()
    expect(server.refusals.map(({ error: { message } }) => message)).toEqual([expect.stringContaining('another address was waiting')])
    expect(crowd.length).toBe(20)
  })
})
