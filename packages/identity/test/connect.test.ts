import { once } from 'node:events'
import { connect as connectTcp, createServer as createTcpServer, Socket } from 'node:net'
import type { Server } from 'node:net'
import { createServer as createTlsServer, TLSSocket } from 'node:tls'
import type { TlsOptions } from 'node:tls'
import { ALPN_SYNC, FileSyncError } from '@filesync/protocol'
import { ManualClock } from '@filesync/protocol/testing'
import { describe, expect, onTestFinished, test } from 'vitest'
import { formatDeviceId, idPrefix, toDeviceId } from '../src/index.ts'
import { deviceIdBytes } from '../src/device-id.ts'
import { listenTls } from '../src/node/index.ts'
import { authenticatePeer, openChannel } from '../src/node/authenticated-socket.ts'
import { codeOf, HOST, makeClient, openSession, startServer, until } from './support/machines.ts'

/** Some other program that listens, and what it got. */
async function listenAs (server: Server): Promise<{ port: number, sockets: Socket[] }> {
  const sockets: Socket[] = []
  server.on('connection', socket => {
    sockets.push(socket)
    socket.on('error', () => { /* a reset is as good as an end */ })
  })
  server.on('tlsClientError', (_error, socket: TLSSocket) => { socket.destroy() })
  server.listen(0, HOST)
  await once(server, 'listening')
  onTestFinished(() => {
    for (const socket of sockets) socket.destroy()
    server.close()
  })
  const address = server.address()
  if (address === null || typeof address === 'string') throw new Error('no port')
  return { port: address.port, sockets }
}

async function tlsOptions (): Promise<TlsOptions> {
  const { identity } = await makeClient()
  return { key: identity.privateKey, cert: identity.certificate, requestCert: true, rejectUnauthorized: false, ALPNProtocols: [ALPN_SYNC] }
}

async function rejection (work: Promise<unknown>): Promise<FileSyncError> {
  return await work.then(() => { throw new Error('it was accepted') }, (error: unknown) => error as FileSyncError)
}

describe('a client', () => {
  test('does not speak to a server whose identity changed', async () => {
    const server = await startServer({
      listen: { peers: { authorize: async () => await Promise.reject(new Error('nobody may come this far')) } },
    })
    const [client, expected] = [await makeClient(), await makeClient()]
    const error = await rejection(
      client.connect(server.listener.port, { alpn: ALPN_SYNC, expect: [{ id: expected.identity.id, name: 'nas' }] })
    )
    expect(error.code).toBe('IDENTITY_CHANGED')
    expect(error.message).toContain(formatDeviceId(expected.identity.id))
    expect(error.message).toContain(formatDeviceId(server.identity.id))
    await until(async () => await server.listener.connectionCount() === 0)
  })

  test('does not take a key for another that begins alike', async () => {
    const server = await startServer()
    const alike = toDeviceId(deviceIdBytes(server.identity.id).map((byte, at) => at === 31 ? byte ^ 1 : byte))
    expect(idPrefix(alike)).toBe(idPrefix(server.identity.id))
    const client = await makeClient()
    expect(await codeOf(client.connect(server.listener.port, { alpn: ALPN_SYNC, expect: [{ id: alike, name: 'nas' }] }))).toBe(
      'IDENTITY_CHANGED'
    )
  })

  test('has a connection only over a socket that was proven', async () => {
    const { identity } = await makeClient()
    const open = (): void => {
      const unproven = { socket: new TLSSocket(new Socket()), peerId: identity.id, purpose: ALPN_SYNC }
      // @ts-expect-error -- only authenticatePeer gives the brand
      openChannel(unproven, { identity, end: 'client', clock: new ManualClock() })
    }
    expect(open).toThrow()
    expect(() => authenticatePeer(new TLSSocket(new Socket()), [ALPN_SYNC])).toThrow(/did not prove/u)
  })

  test('says so when nothing listens', async () => {
    const { port } = await listenAs(createTcpServer())
    const server = createTcpServer()
    server.listen(0, HOST)
    await once(server, 'listening')
    const address = server.address()
    server.close()
    await once(server, 'close')
    if (address === null || typeof address === 'string' || address.port === port) throw new Error('no port')
    const error = await rejection((await makeClient()).connect(address.port, { alpn: ALPN_SYNC }))
    expect(error.code).toBe('SERVER_UNREACHABLE')
    expect(error.message).toContain(`${HOST}:${String(address.port)}`)
  })

  test.each([
    ['a web server', 'HTTP/1.1 400 Bad Request\r\n\r\n'],
    ['the original server', '{"type":"SERVER_STATUS_MESSAGE","status":"READY"}'],
  ])('does not take %s for one of ours', async (_what, greeting) => {
    const { port } = await listenAs(createTcpServer(socket => { socket.end(greeting) }))
    expect(await codeOf((await makeClient()).connect(port, { alpn: ALPN_SYNC }))).toBe('PEER_UNPROVEN')
  })

  test.each([
    ['TLS 1.2 only', { maxVersion: 'TLSv1.2' }],
    ['another protocol', { ALPNProtocols: ['h2'] }],
    ['no protocol', { ALPNProtocols: [] }],
  ] satisfies [string, TlsOptions][])('does not take a server that speaks %s', async (_what, options) => {
    const { port } = await listenAs(createTlsServer({ ...await tlsOptions(), ...options }))
    expect(await codeOf((await makeClient()).connect(port, { alpn: ALPN_SYNC }))).toBe('PEER_UNPROVEN')
  })

  test('tells nobody in the clear where it wants to go', async () => {
    const names: unknown[] = []
    const listener = createTlsServer(await tlsOptions(), socket => { names.push('servername' in socket ? socket.servername : undefined) })
    const { port } = await listenAs(listener)
    await (await makeClient()).connect(port, { alpn: ALPN_SYNC, address: 'localhost' })
    await until(() => names.length === 1)
    expect(names).toEqual([false])
  })

  test('waits longer for the answer of a server that accepted the connection, then gives up and closes it', async () => {
    const clock = new ManualClock()
    const { port, sockets } = await listenAs(createTcpServer())
    let opened = 0
    const connecting = rejection((await makeClient()).connect(port, { alpn: ALPN_SYNC, clock, onOpen: () => { opened++ } }))
    await until(() => sockets.length === 1 && opened === 1)
    clock.advance(29_999)
    await new Promise(resolve => { setImmediate(resolve) })
    expect([clock.scheduled, sockets[0]?.destroyed]).toEqual([1, false])
    clock.advance(1)
    expect((await connecting).code).toBe('SERVER_UNREACHABLE')
    await Promise.all(sockets.map(async socket => { await once(socket.resume(), 'close') }))
    expect(clock.scheduled).toBe(0)
  })

  test('tries again with back-off when the server cuts the handshake, and is served once the server has room', async () => {
    const clock = new ManualClock()
    const server = await startServer()
    const client = await makeClient()
    await server.peers.admit({ id: client.identity.id, requestedName: 'laptop', via: 'manual' })
    // Two connections are reset or ended at once, before and after the first message; the next reaches the server.
    let count = 0
    const { port } = await listenAs(createTcpServer(socket => {
      count++
      if (count === 1) socket.resetAndDestroy()
      else if (count === 2) socket.once('data', () => { socket.end() })
      else {
        const onward = connectTcp(server.listener.port, HOST)
        onward.on('error', () => { /* a reset is as good as an end */ })
        socket.pipe(onward).pipe(socket)
      }
    }))
    const connecting = client.connect(port, { alpn: ALPN_SYNC, clock })
    const waits: number[] = []
    for (const most of [500, 1_000]) {
      await until(() => count === waits.length + 1 && clock.scheduled === 1)
      // Not the timer of the answer, which is far longer: the shortest advance that makes it try again.
      let waitedMs = 0
      for (const tries = count; count === tries && waitedMs <= most; waitedMs += 10) {
        clock.advance(10)
        await new Promise(resolve => { setTimeout(resolve, 2) })
      }
      waits.push(waitedMs)
      expect(waitedMs).toBeGreaterThan(most / 2 - 10)
    }
    const { connection } = await connecting
    expect((await connection.receive(['HELLO'])).software).toBe('test')
  })

  test('says that the server closed the connection again, if it cuts every handshake', async () => {
    const clock = new ManualClock()
    let count = 0
    const { port } = await listenAs(createTcpServer(socket => {
      count++
      socket.resetAndDestroy()
    }))
    const failing = rejection((await makeClient()).connect(port, { alpn: ALPN_SYNC, clock }))
    let isOver = false
    void failing.finally(() => { isOver = true })
    await until(() => {
      clock.advance(100)
      return isOver
    })
    const { code, message } = await failing
    expect([code, count]).toEqual(['SERVER_UNREACHABLE', 5])
    expect(message).toContain('accepted the connection and closed it again')
    expect(clock.scheduled).toBe(0)
  })

  test('stops when the signal is aborted, before and while it connects', async () => {
    const client = await makeClient()
    const { port, sockets } = await listenAs(createTcpServer())
    expect(await codeOf(client.connect(port, { alpn: ALPN_SYNC, signal: AbortSignal.abort() }))).toBe('ABORTED')
    const controller = new AbortController()
    const connecting = codeOf(client.connect(port, { alpn: ALPN_SYNC, signal: controller.signal }))
    await until(() => sockets.length === 1)
    controller.abort(new FileSyncError('SESSION_YIELDED', 'enough'))
    expect(await connecting).toBe('SESSION_YIELDED')
  })
})

describe('a listener', () => {
  test('says which port is taken', async () => {
    const server = await startServer()
    const { identity } = await makeClient()
    const { port } = server.listener
    const error = await rejection(listenTls({
      identity, port, bind: HOST, clock: new ManualClock(), signal: new AbortController().signal, peers: server.peers,
      onSync: async () => { /* nobody comes */ }, onPair: async () => { /* nobody comes */ }, onRefused: () => { /* nobody comes */ },
    }))
    expect(error.code).toBe('PORT_UNAVAILABLE')
    expect(error.message).toContain(String(port))
  })

  test('says goodbye to those who are there when it stops', async () => {
    const controller = new AbortController()
    const server = await startServer({ listen: { signal: controller.signal } })
    const client = await makeClient()
    await server.peers.admit({ id: client.identity.id, requestedName: 'friend', via: 'manual' })
    const { connection } = await openSession(client, server)
    const ending = codeOf(connection.receive(['NEXT_SYNC']))
    controller.abort()
    expect(await ending).toBe('SERVER_STOPPING')
    await server.listener.close()
    expect(await codeOf(client.connect(server.listener.port, { alpn: ALPN_SYNC }))).toBe('SERVER_UNREACHABLE')
  })

  test('tells the peer why its session failed, but not what concerns this machine only', async () => {
    const faults = [
      new FileSyncError('ARCHIVE_FULL', 'no room'),
      new Error('/srv/secret/path'),
      new FileSyncError('STATE_INVALID', '/srv/secret/path'),
    ]
    const server = await startServer({ listen: { onSync: async () => await Promise.reject(faults.shift() ?? new Error('too many')) } })
    const client = await makeClient()
    await server.peers.admit({ id: client.identity.id, requestedName: 'friend', via: 'manual' })
    const heard = []
    for (let n = 0; n < 3; n++) heard.push(await rejection(openSession(client, server)))
    expect(heard.map(({ code }) => code)).toEqual(['ARCHIVE_FULL', 'INTERNAL', 'PEER_GONE'])
    expect(heard.map(({ message }) => message).join()).not.toContain('secret')
  })
})
