import { createServer } from 'node:tls'
import { ALPN_PAIR, asFileSyncError, encodeFrame, encodeMessage } from '@filesync/protocol'
import { socketStream } from '@filesync/protocol/node'
import { expect, onTestFinished, test } from 'vitest'
import { formatPairingCode, parseEnrollmentToken, parsePairingCode, provePairing } from '../src/index.ts'
import type { PairingGrant, PairingSecret } from '../src/index.ts'
import { nodeCrypto } from '../src/node/index.ts'
import type { Channel } from '../src/node/index.ts'
import { codeOf, HOST, makeClient, openSession, startServer, until } from './support/machines.ts'
import type { ClientMachine } from './support/machines.ts'

/** What `filesync-client pair` does once it has an address and a secret. */
async function introduce (client: ClientMachine, port: number, secret: PairingSecret): Promise<PairingGrant> {
  const channel = await client.connect(port, { alpn: ALPN_PAIR })
  return await provePairing(channel, {
    crypto: nodeCrypto,
    secret,
    name: 'laptop',
    remember: async granted => {
      await client.servers.pin({ id: granted.serverId, name: granted.serverName, area: granted.area, via: 'code', address: HOST, port })
    },
  })
}

test('two machines trust each other after one code, and nobody else gets in', async () => {
  const server = await startServer()
  const client = await makeClient()
  expect(await codeOf(openSession(client, server))).toBe('NOT_PAIRED')
  const code = formatPairingCode(await server.desk.openWindow()).toLowerCase().replaceAll('-', ' ')
  const granted = await introduce(client, server.listener.port, { kind: 'code', code: parsePairingCode(code) })
  expect(granted).toEqual({ serverId: server.identity.id, serverName: 'nas', area: 'laptop' })
  expect(await client.servers.list()).toMatchObject([{ id: server.identity.id, name: 'nas', area: 'laptop', minProtocol: 2 }])
  await openSession(client, server)
  expect(await codeOf(openSession(await makeClient(), server))).toBe('NOT_PAIRED')
})

test('a token enrols one machine and not a second, also after a restart of the books', async () => {
  const server = await startServer()
  const { token } = await server.tokens.create(server.identity.id, { uses: 1, ttlMs: 60_000 })
  const secret: PairingSecret = { kind: 'token', token: parseEnrollmentToken(token) }
  const [first, second] = [await makeClient(), await makeClient()]
  await introduce(first, server.listener.port, secret)
  await openSession(first, server)
  expect(await codeOf(introduce(second, server.listener.port, secret))).toBe('PAIRING_REFUSED')
  expect(await second.servers.list()).toEqual([])
  expect(await codeOf(openSession(second, server))).toBe('NOT_PAIRED')
})

test('a token is not shown to a server that it was not made on', async () => {
  const received: number[] = []
  const server = await startServer({
    listen: {
      onPair: async ({ connection }) => {
        await connection.next().catch(() => { /* the client has gone, as it should */ })
        received.push(connection.bytesReceived)
      },
    },
  })
  const other = await startServer()
  const { token } = await other.tokens.create(other.identity.id, { uses: 1, ttlMs: 60_000 })
  const client = await makeClient()
  expect(await codeOf(introduce(client, server.listener.port, { kind: 'token', token: parseEnrollmentToken(token) }))).toBe(
    'PAIRING_UNPROVEN'
  )
  // It may be gone so fast that the server saw no whole handshake.
  await until(async () => await server.listener.connectionCount() === 0)
  expect(received.reduce((sum, bytes) => sum + bytes, 0)).toBe(0)
})

test('someone in the middle, with a TLS session to each end, gets neither to trust the other', async () => {
  const server = await startServer()
  const client = await makeClient()
  const middle = await makeClient()
  const relayed = { toServer: 0, toClient: 0 }
  const port = await relay(middle, server.listener.port, relayed)
  const code = await server.desk.openWindow()
  expect(await codeOf(introduce(client, port, { kind: 'code', code }))).toBe('PAIRING_REFUSED')
  expect(relayed.toServer).toBeGreaterThan(0)
  expect(relayed.toClient).toBeGreaterThan(0)
  expect(await client.servers.list()).toEqual([])
  expect(await server.peers.list()).toEqual([])
  expect(server.events).toMatchObject([{ event: 'open-window' }, { event: 'refuse', reason: 'wrong proof', id: middle.identity.id }])
  // The honest client without anybody between still can.
  await introduce(client, server.listener.port, { kind: 'code', code })
})

/** A real man in the middle: his own TLS to both ends, and every byte passed on in the clear between them. */
async function relay (middle: ClientMachine, serverPort: number, relayed: { toServer: number, toClient: number }): Promise<number> {
  const { privateKey, certificate } = middle.identity
  const options = { key: privateKey, cert: certificate, requestCert: true, rejectUnauthorized: false, ALPNProtocols: [ALPN_PAIR] }
  const listener = createServer(options, victim => {
    void (async () => {
      const channel: Channel = await middle.connect(serverPort, { alpn: ALPN_PAIR })
      const stream = socketStream(victim)
      const forward = async (): Promise<void> => {
        for (let chunks = await stream.read(); chunks !== undefined; chunks = await stream.read()) {
          for (const chunk of chunks) {
            relayed.toServer += chunk.length
            await channel.connection.sendFrame(chunk)
          }
        }
      }
      const back = async (): Promise<void> => {
        // What the server says arrives as its reason to end the connection; it is passed on in the same words.
        await channel.connection.next().catch(async (error: unknown) => {
          const { code, message } = asFileSyncError(error)
          const frame = encodeFrame('MESSAGE', [encodeMessage({ type: 'CLOSE', code, message })])
          relayed.toClient += frame.length
          await stream.write(frame)
          await stream.end()
        })
      }
      await Promise.all([forward().catch(() => { /* the victim has gone */ }), back()])
    })()
  })
  await new Promise<void>(resolve => { listener.listen(0, HOST, resolve) })
  onTestFinished(() => { listener.close() })
  const address = listener.address()
  if (address === null || typeof address === 'string') throw new Error('no port')
  return address.port
}
