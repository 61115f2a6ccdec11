import { connect as connectTcp } from 'node:net'
import type { Socket } from 'node:net'
import { connect as connectSocket } from 'node:tls'
import { ALPN_PAIR, ALPN_SYNC, LIMITS } from '@filesync/protocol'
import { ManualClock } from '@filesync/protocol/testing'
import { expect, onTestFinished, test } from 'vitest'
import { LISTEN_LIMITS } from '../src/node/listen.ts'
import { HOST, makeClient, openSession, startServer, until } from './support/machines.ts'
import type { ClientMachine, ServerMachine } from './support/machines.ts'

// The first record of a ClientHello, cut off in the middle.
const HALF_A_HELLO = Buffer.from([0x16, 3, 1, 2, 0, 1, 0, 1, 0xfc, 3, 3])

interface Scene {
  readonly clock: ManualClock
  readonly server: ServerMachine
  readonly friend: ClientMachine
}

async function setScene (): Promise<Scene> {
  const clock = new ManualClock()
  const server = await startServer({ clock })
  const friend = await makeClient()
  await server.peers.admit({ id: friend.identity.id, requestedName: 'friend', via: 'manual' })
  return { clock, server, friend }
}

/** Opens a TCP connection from one of the many addresses of the loopback network. */
async function dial ({ server }: Scene, from: string = HOST): Promise<Socket> {
  const socket = connectTcp({ port: server.listener.port, host: HOST, localAddress: from })
  socket.on('error', () => { /* a reset is as good as an end */ })
  onTestFinished(() => { socket.destroy() })
  await new Promise(resolve => { socket.once('connect', resolve) })
  return socket
}

async function untilClosed (socket: Socket): Promise<void> {
  if (!socket.destroyed) await new Promise(resolve => { socket.once('close', resolve).resume() })
}

test('a hundred that stay idle or stop half-way are gone at their deadline, and a friend is served meanwhile', async () => {
  const scene = await setScene()
  const { clock, server, friend } = scene
  const sockets = await Promise.all(Array.from({ length: 100 }, async (_, n) => {
    // On Linux the whole of 127.0.0.0/8 is this machine; elsewhere all come from one address.
    const socket = await dial(scene, process.platform === 'linux' ? `127.0.0.${String(2 + n % 10)}` : HOST)
    if (n % 2 === 1) socket.write(HALF_A_HELLO)
    return socket
  }))
  if (process.platform === 'linux') await until(async () => await server.listener.connectionCount() === 100)
  const session = await openSession(friend, server)
  clock.advance(LISTEN_LIMITS.handshakeTimeoutMs - 1)
  expect(session.connection.signal.aborted).toBe(false)
  clock.advance(1)
  await Promise.all(sockets.map(untilClosed))
  await until(async () => await server.listener.connectionCount() === 1)
  // Nor can they fill a log.
  expect(server.refusals.length).toBeLessThanOrEqual(20 * 10)
  for (const { remoteAddress, error } of server.refusals) expect([remoteAddress.slice(0, 4), error.code]).toEqual(['127.', 'PEER_TIMEOUT'])
  expect(session.connection.signal.aborted).toBe(false)
  await session.connection.close()
  await until(async () => await server.listener.connectionCount() === 0)
})

test('a client that only probes the port or leaves midway is no refusal, nor is the server that probes itself', async () => {
  const scene = await setScene()
  const { server } = scene
  for (const first of [undefined, HALF_A_HELLO]) {
    for (const end of ['end', 'resetAndDestroy'] as const) {
      const socket = await dial(scene)
      if (first !== undefined)
        await new Promise(resolve => {
          socket.write(first, resolve)
        })
      socket[end]()
      await untilClosed(socket)
    }
  }
  const self = connectSocket({
    port: server.listener.port,
    host: HOST,
    key: server.identity.privateKey,
    cert: server.identity.certificate,
    rejectUnauthorized: false,
    ALPNProtocols: [ALPN_SYNC],
  })
  await new Promise<void>(resolve => {
    self
      .once('close', () => {
        resolve()
      })
      .resume()
  })
  await until(async () => (await server.listener.connectionCount()) === 0)
  expect(server.refusals).toEqual([])
})

test('silent connections take no handshake slot, and if too many wait, the oldest of the most crowded address is closed', async () => {
  const clock = new ManualClock()
  const limits = { waiting: 8, handshakes: 2, handshakesPerAddress: 1, handshakesOfStrangers: 1 }
  const server = await startServer({ clock, listen: { limits } })
  const friend = await makeClient()
  await server.peers.admit({ id: friend.identity.id, requestedName: 'friend', via: 'manual' })
  const scene = { clock, server, friend }
  const elsewhere = await dial(scene, process.platform === 'linux' ? '127.0.0.2' : HOST)
  await until(async () => await server.listener.connectionCount() === 1)
  const crowd: Socket[] = []
  for (let n = 0; n < 20; n++) {
    crowd.push(await dial(scene))
    await until(async () => await server.listener.connectionCount() === Math.min(n + 2, 8))
  }
  const session = await openSession(friend, server)
  await Promise.all(crowd.slice(0, 12).map(untilClosed))
  expect(crowd.slice(14).filter(socket => socket.destroyed)).toEqual([])
  expect([elsewhere.destroyed, session.connection.signal.aborted]).toEqual([process.platform !== 'linux', false])
  expect(new Set(server.refusals.map(({ error }) => error.message))).toEqual(new Set(['Too many connections wait for their handshake.']))
})

test('one that comes to pair and says nothing is gone in time', async () => {
  const { clock, server } = await setScene()
  const stranger = await makeClient()
  const channel = await stranger.connect(server.listener.port, { alpn: ALPN_PAIR })
  await until(async () => await server.listener.connectionCount() === 1)
  const gone = new Promise(resolve => { channel.connection.signal.addEventListener('abort', resolve) })
  // Its heartbeats keep the connection alive, and do not buy it time.
  while (!channel.connection.signal.aborted && clock.monotonicMs() <= LISTEN_LIMITS.pairingTimeoutMs) {
    clock.advance(1_000)
    await new Promise(resolve => { setImmediate(resolve) })
  }
  await gone
  await until(async () => await server.listener.connectionCount() === 0)
})

test('a friend that falls silent after the handshake is gone in time', async () => {
  const { clock, server, friend } = await setScene()
  const socket = connectSocket({
    host: HOST,
    port: server.listener.port,
    rejectUnauthorized: false,
    ALPNProtocols: [ALPN_SYNC],
    key: friend.identity.privateKey,
    cert: friend.identity.certificate,
  })
  socket.on('error', () => { /* a reset is as good as an end */ })
  await new Promise(resolve => { socket.once('data', resolve) })
  clock.advance(LIMITS.idleTimeoutMs)
  await untilClosed(socket)
  await until(async () => await server.listener.connectionCount() === 0)
})

test('a stranger that reads nothing does not keep its connection', async () => {
  const { clock, server } = await setScene()
  const stranger = await makeClient()
  const socket = connectSocket({
    host: HOST, port: server.listener.port, rejectUnauthorized: false, ALPNProtocols: [ALPN_SYNC],
    key: stranger.identity.privateKey, cert: stranger.identity.certificate,
  })
  socket.on('error', () => { /* a reset is as good as an end */ })
  onTestFinished(() => { socket.destroy() })
  await until(() => server.refusals.length === 1)
  clock.advance(LISTEN_LIMITS.handshakeTimeoutMs)
  await until(async () => await server.listener.connectionCount() === 0)
})
