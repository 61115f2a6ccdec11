import { ALPN_PAIR } from '@filesync/protocol'
import { expect, test } from 'vitest'
import { formatPairingCode, parsePairingCode, provePairing } from '../src/index.ts'
import type { Granted } from '../src/index.ts'
import { nodeCrypto } from '../src/node/index.ts'
import { codeOf, makeClient, openSession, startServer } from './machines.ts'
import type { ClientMachine, ServerMachine } from './machines.ts'

async function pairByCode (client: ClientMachine, server: ServerMachine, { code, name = 'laptop' }: { code: string, name?: string }): Promise<Granted> {
  const channel = await client.connect(server.listener.port, { alpn: ALPN_PAIR })
  return await provePairing(channel, {
    crypto: nodeCrypto,
    secret: { kind: 'code', code: parsePairingCode(code) },
    name,
    remember: async granted => { await client.servers.pin({ id: granted.serverId, name: granted.serverName, area: granted.area, via: 'code' }) },
  })
}

test('a client that knows the code is paired and then has sessions', async () => {
  const server = await startServer()
  const client = await makeClient()
  expect(await codeOf(openSession(client, server))).toBe('NOT_PAIRED')
  const code = await server.desk.openWindow()
  const granted = await pairByCode(client, server, { code: formatPairingCode(code) })
  expect(granted).toEqual({ serverId: server.identity.id, serverName: 'nas', area: 'laptop' })
  expect((await client.servers.list()).map(({ id, name, area }) => ({ id, name, area }))).toEqual([{ id: server.identity.id, name: 'nas', area: 'laptop' }])
  await openSession(client, server)
})
