import { connect as connectTcp } from 'node:net'
import { connect as connectSocket } from 'node:tls'
import type { ConnectionOptions, TLSSocket } from 'node:tls'
import { ALPN_PAIR, ALPN_SYNC, FileSyncError } from '@filesync/protocol'
import { afterEach, beforeEach, describe, expect, onTestFinished, test } from 'vitest'
import { codeOf, HOST, makeClient, openSession, startServer, until } from './support/machines.ts'
import type { ClientMachine, ServerMachine } from './support/machines.ts'

let server: ServerMachine
let client: ClientMachine
let sessions: string[]

beforeEach(async () => {
  sessions = []
  server = await startServer({
    listen: {
      onSync: async ({ connection }, peer) => {
        sessions.push(peer.area)
        await connection.send({ type: 'HELLO', versions: [2], features: [], software: 'test' })
        await connection.receive(['HELLO'])
      },
    },
  })
  client = await makeClient()
  await server.peers.admit({ id: client.identity.id, requestedName: 'friend', via: 'manual' })
})

// Whatever came to the door, a friend is let in, nothing stays open, and nobody else had a session.
afterEach(async () => {
  const before = sessions.length
  const channel = await openSession(client, server)
  expect(sessions.slice(before)).toEqual(['friend'])
  expect(new Set(sessions)).toEqual(new Set(['friend']))
  await channel.connection.close()
  await until(async () => await server.listener.connectionCount() === 0)
})

interface Outcome {
  readonly received: string
  readonly error: string | undefined
}

/** Speaks TLS to the server in its own way, and tells what came back before the end. */
async function knock (options: ConnectionOptions, watch: (socket: TLSSocket) => void = () => { /* nothing to see */ }): Promise<Outcome> {
  const socket = connectSocket({ host: HOST, port: server.listener.port, rejectUnauthorized: false, ...options })
  onTestFinished(() => { socket.destroy() })
  watch(socket)
  let received = ''
  let error: string | undefined
  socket.on('data', (chunk: Buffer) => { received += chunk.toString('latin1') })
  socket.on('error', (fault: Error & { code?: string }) => { error = fault.code })
  await new Promise<void>(resolve => { socket.on('close', () => { resolve() }) })
  return { received, error }
}

function credentials ({ identity }: ClientMachine): ConnectionOptions {
  return { key: identity.privateKey, cert: identity.certificate }
}

/** What the server noted of those it turned away. */
async function refused (): Promise<readonly { code: string, peerId: string | undefined }[]> {
  await until(() => server.refusals.length > 0)
  return server.refusals.map(({ error, peerId }) => ({ code: error.code, peerId }))
}

describe('the door stays shut for', () => {
  test('a client without a certificate', async () => {
    expect((await knock({ ALPNProtocols: [ALPN_SYNC] })).received).toBe('')
    expect(await refused()).toEqual([{ code: 'PEER_UNPROVEN', peerId: undefined }])
  })

  test('a client that nobody knows', async () => {
    const stranger = await makeClient()
    expect(await codeOf(openSession(stranger, server))).toBe('NOT_PAIRED')
    expect(await refused()).toEqual([{ code: 'NOT_PAIRED', peerId: stranger.identity.id }])
  })

  test('a client that was revoked', async () => {
    const former = await makeClient()
    const { area } = await server.peers.admit({ id: former.identity.id, requestedName: 'friend', via: 'manual' })
    await server.peers.revoke(area)
    expect(await codeOf(openSession(former, server))).toBe('NOT_PAIRED')
  })

  test('a revoked client that resumes a TLS session from before', async () => {
    const former = await makeClient()
    const { area } = await server.peers.admit({ id: former.identity.id, requestedName: 'former', via: 'manual' })
    const tickets: Buffer[] = []
    await knock({ ...credentials(former), ALPNProtocols: [ALPN_SYNC] }, socket => {
      socket.on('session', ticket => { tickets.push(ticket) })
      socket.on('data', () => { socket.end() })
    })
    expect(sessions).toEqual(['former'])
    sessions.length = 0
    await server.peers.revoke(area)
    const [session] = tickets
    if (session === undefined) throw new Error('no ticket came')
    let resumed = false
    const { received } = await knock({ ...credentials(former), ALPNProtocols: [ALPN_SYNC], session }, socket => {
      socket.on('secureConnect', () => { resumed = socket.isSessionReused() })
    })
    expect(resumed).toBe(true)
    expect(received).toContain('NOT_PAIRED')
  })

  test('someone with a copy of a friend’s certificate and another key', async () => {
    const thief = await makeClient()
    const stolen = { key: thief.identity.privateKey, cert: client.identity.certificate, ALPNProtocols: [ALPN_SYNC] }
    await expect(knock(stolen)).rejects.toThrow(/key values mismatch/u)
  })

  test('a client that does not say what it wants', async () => {
    expect((await knock(credentials(client))).received).toBe('')
    expect(await refused()).toEqual([{ code: 'PEER_UNPROVEN', peerId: undefined }])
  })

  test.each([['h2'], ['filesync/1'], ['filesync/2 ']])('a client that wants %j', async protocol => {
    const { received, error } = await knock({ ...credentials(client), ALPNProtocols: [protocol] })
    expect(received).toBe('')
    expect(error).toBe('ERR_SSL_TLSV1_ALERT_NO_APPLICATION_PROTOCOL')
    expect(await refused()).toEqual([{ code: 'PEER_UNPROVEN', peerId: undefined }])
  })

  test('TLS 1.2', async () => {
    const { received, error } = await knock({ ...credentials(client), ALPNProtocols: [ALPN_SYNC], maxVersion: 'TLSv1.2' })
    expect(received).toBe('')
    expect(error).toBe('ERR_SSL_TLSV1_ALERT_PROTOCOL_VERSION')
    expect(await refused()).toEqual([{ code: 'PEER_UNPROVEN', peerId: undefined }])
  })

  test.each([
    ['HTTP', 'GET / HTTP/1.1\r\nHost: x\r\n\r\n'],
    ['the original protocol', '{"type":"CLIENT_FILES_INFO","client_id":"a/../../x","files":[]}'],
    ['noise', '\u0000\u00ff'.repeat(400)],
  ])('%s in plain text', async (_what, text) => {
    const socket = connectTcp(server.listener.port, HOST)
    let received = ''
    socket.on('data', chunk => { received += chunk.toString('latin1') })
    socket.on('error', () => { /* a reset is as good as an end */ })
    socket.write(text, 'latin1')
    await new Promise<void>(resolve => { socket.on('close', () => { resolve() }) })
    expect(received).not.toContain('type')
    expect(await refused()).toEqual([{ code: 'PEER_UNPROVEN', peerId: undefined }])
    expect(server.refusals.map(({ remoteAddress }) => remoteAddress)).toEqual([HOST])
  })

  test('a pairing where no window is open', async () => {
    const stranger = await makeClient()
    const { connection } = await stranger.connect(server.listener.port, { alpn: ALPN_PAIR })
    await connection.send({ type: 'PAIR_PROOF', name: 'x', mac: new Uint8Array(32) })
    expect(await codeOf(connection.receive(['PAIR_OK']))).toBe('PAIRING_REFUSED')
  })

  test('a session on a connection for pairing', async () => {
    const { connection } = await client.connect(server.listener.port, { alpn: ALPN_PAIR })
    await connection.send({ type: 'HELLO', versions: [2], features: [], software: 'test' })
    expect(await codeOf(connection.receive(['HELLO']))).toBe('MESSAGE_UNEXPECTED')
  })
})

test('a revocation ends the session that runs', async () => {
  const former = await makeClient()
  await server.peers.admit({ id: former.identity.id, requestedName: 'friend', via: 'manual' })
  const first = server.peers.authorize(former.identity.id, HOST)
  sessions.length = 0
  const channel = await openSession(former, server)
  const ending = codeOf(channel.connection.receive(['NEXT_SYNC']))
  await server.peers.revoke((await first).area)
  await server.listener.endSessions(former.identity.id, new FileSyncError('NOT_PAIRED', 'The server has revoked this client.'))
  expect(await ending).toBe('NOT_PAIRED')
  sessions.length = 0
})
