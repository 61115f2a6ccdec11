import { FileSyncError } from '@filesync/protocol'
import type { ErrorCode, PairProof } from '@filesync/protocol'
import { ManualClock } from '@filesync/protocol/testing'
import { describe, expect, test } from 'vitest'
import { formatPairingCode, parsePairingCode, provePairing } from '../src/index.ts'
import { acceptPairing } from '../src/pairing.ts'
import type { PairingGrant, PairingSecret } from '../src/index.ts'
import type { PairingChannel } from '../src/pairing.ts'
import { join, PairingHost, quickCrypto, someId } from './support/pairing-host.ts'
import { codeOf, until } from './support/machines.ts'

const OTHER_CODE = parsePairingCode('0000-0000-0000')

async function rejection (work: Promise<unknown>): Promise<{ code: ErrorCode, message: string }> {
  return await work.then(() => { throw new Error('it was accepted') }, (error: unknown) => error as { code: ErrorCode, message: string })
}

describe('a pairing code', () => {
  test('admits the client that knows it, and names its area', async () => {
    const host = new PairingHost()
    const clientId = someId()
    const code = await host.desk.openWindow()
    expect(host.desk.isOpen).toBe(true)
    expect(await host.visit(code, { clientId, name: '../CON' })).toEqual({ serverId: host.id, serverName: 'nas', area: 'client-CON' })
    expect(host.desk.isOpen).toBe(false)
    expect(await host.peers.authorize(clientId, '')).toMatchObject({ area: 'client-CON', via: 'code', minProtocol: 2 })
    expect(host.events.slice(1)).toEqual([{ event: 'pair', id: clientId, area: 'client-CON', via: 'code', address: '192.0.2.7' }])
  })

  test('is one client’s: it may come again, another may not', async () => {
    const host = new PairingHost()
    const clientId = someId()
    const code = await host.desk.openWindow()
    const first = await host.visit(code, { clientId })
    expect(await host.visit(code, { clientId })).toEqual(first)
    expect(await codeOf(host.visit(code))).toBe('PAIRING_REFUSED')
    expect(await host.peers.list()).toHaveLength(1)
  })

  test('is used once even when two come at the same moment', async () => {
    const host = new PairingHost()
    const code = await host.desk.openWindow()
    const outcomes = await Promise.all(Array.from({ length: 8 }, async () => await codeOf(host.visit(code))))
    expect(outcomes.filter(outcome => outcome === 'NOTHING')).toHaveLength(1)
    expect(outcomes.filter(outcome => outcome === 'PAIRING_REFUSED')).toHaveLength(7)
    expect(await host.peers.list()).toHaveLength(1)
  })

  test('is worthless after its time, to the millisecond', async () => {
    const clock = new ManualClock()
    const host = new PairingHost(clock)
    const code = await host.desk.openWindow({ ttlMs: 600_000 })
    clock.advance(599_999)
    expect(host.desk.isOpen).toBe(true)
    clock.jump(86_400_000)
    expect(host.desk.isOpen).toBe(true)
    clock.advance(1)
    expect(host.desk.isOpen).toBe(false)
    expect(await codeOf(host.visit(code))).toBe('PAIRING_REFUSED')
    expect(await host.peers.list()).toEqual([])
  })

  test('survives a hundred wrong ones, less one, and no more', async () => {
    const host = new PairingHost()
    const code = await host.desk.openWindow()
    for (let attempt = 0; attempt < 99; attempt++) expect(await codeOf(host.visit(OTHER_CODE))).toBe('PAIRING_REFUSED')
    expect(host.desk.isOpen).toBe(true)
    expect(await codeOf(host.visit(OTHER_CODE))).toBe('PAIRING_REFUSED')
    expect(host.desk.isOpen).toBe(false)
    expect(await codeOf(host.visit(OTHER_CODE))).toBe('PAIRING_REFUSED')
    expect(await codeOf(host.visit(code))).toBe('PAIRING_REFUSED')
    expect(await host.peers.list()).toEqual([])
    expect(host.events.filter(({ event }) => event === 'refuse')).toHaveLength(102)
  })

  test('is refused in the same words whatever is wrong', async () => {
    const host = new PairingHost()
    const token = await host.issue(1)
    const closed = await rejection(host.visit(OTHER_CODE))
    await host.desk.openWindow()
    const wrong = await rejection(host.visit(OTHER_CODE))
    await host.visit(token)
    const usedUp = await rejection(host.visit(token))
    expect(new Set([closed, wrong, usedUp].map(({ message }) => message)).size).toBe(1)
    expect(host.events.flatMap(event => event.event === 'refuse' ? [event.reason] : [])).toEqual([
      'nothing admits it: no open window, or no such token', 'wrong proof', 'nothing admits it: no open window, or no such token',
    ])
  })

  test('keeps a wrong guess waiting', async () => {
    const clock = new ManualClock()
    const host = new PairingHost(clock, 1_000)
    await host.desk.openWindow()
    let outcome = 'waiting'
    const visiting = codeOf(host.visit(OTHER_CODE)).then(code => { outcome = code })
    await until(() => host.events.length === 2)
    clock.advance(999)
    await new Promise(resolve => { setImmediate(resolve) })
    expect(outcome).toBe('waiting')
    clock.advance(1)
    await visiting
    expect(outcome).toBe('PAIRING_REFUSED')
  })

  test('lets a revoked client back into its own area', async () => {
    const host = new PairingHost()
    const clientId = someId()
    const { area } = await host.visit(await host.desk.openWindow(), { clientId })
    await host.peers.revoke(area)
    expect(await codeOf(host.peers.authorize(clientId, ''))).toBe('NOT_PAIRED')
    expect((await host.visit(await host.desk.openWindow(), { clientId, name: 'other' })).area).toBe(area)
    expect((await host.peers.authorize(clientId, '')).revokedAtMs).toBeUndefined()
  })

  test('closes an older window when it opens another', async () => {
    const host = new PairingHost()
    const old = await host.desk.openWindow()
    const code = await host.desk.openWindow()
    expect(formatPairingCode(old)).not.toBe(formatPairingCode(code))
    expect(await codeOf(host.visit(old))).toBe('PAIRING_REFUSED')
    host.desk.closeWindow()
    expect(await codeOf(host.visit(code))).toBe('PAIRING_REFUSED')
  })
})

describe('an enrollment token', () => {
  test('admits as many as it says, each once however often it asks', async () => {
    const host = new PairingHost()
    const secret = await host.issue(2)
    const [first, second] = [someId(), someId()]
    expect((await host.visit(secret, { clientId: first })).area).toBe('laptop')
    expect((await host.visit(secret, { clientId: first })).area).toBe('laptop')
    expect((await host.visit(secret, { clientId: second })).area).toBe('laptop-2')
    expect(await codeOf(host.visit(secret))).toBe('PAIRING_REFUSED')
    expect((await host.visit(secret, { clientId: second })).area).toBe('laptop-2')
    expect((await host.tokens.list())[0]?.usedBy).toEqual([first, second])
  })

  test('gives its last use to one of many', async () => {
    const host = new PairingHost()
    const secret = await host.issue(3)
    const outcomes = await Promise.all(Array.from({ length: 12 }, async () => await codeOf(host.visit(secret))))
    expect(outcomes.filter(outcome => outcome === 'NOTHING')).toHaveLength(3)
    expect(await host.peers.list()).toHaveLength(3)
  })

  test('expires, and can be revoked', async () => {
    const clock = new ManualClock()
    const host = new PairingHost(clock)
    const secret = await host.issue(5, 1_000)
    clock.advance(1_000)
    expect(await codeOf(host.visit(secret))).toBe('PAIRING_REFUSED')
    const other = await host.issue(5)
    expect(await host.tokens.list()).toHaveLength(1)
    await host.tokens.revoke((await host.tokens.list())[0]?.tokenId ?? '')
    expect(await codeOf(host.visit(other))).toBe('PAIRING_REFUSED')
    expect(await codeOf(host.tokens.revoke('0123456789abcdef'))).toBe('USAGE')
  })

  test('does not let a revoked client back in', async () => {
    const host = new PairingHost()
    const secret = await host.issue(5)
    const clientId = someId()
    const { area } = await host.visit(secret, { clientId })
    await host.peers.revoke(area)
    expect(await codeOf(host.visit(secret, { clientId }))).toBe('PAIRING_REFUSED')
    expect(await codeOf(host.peers.authorize(clientId, ''))).toBe('NOT_PAIRED')
  })

  test('tells a revoked client that has proven it so, with what to do, and takes no use for it', async () => {
    const host = new PairingHost()
    const clientId = someId()
    const { area } = await host.visit(await host.issue(1), { clientId })
    await host.peers.revoke(area)
    const fresh = await host.issue(1)
    await expect(host.visit(fresh, { clientId })).rejects.toThrow(/has revoked this client.*"filesync-server pair"/u)
    expect((await host.tokens.list()).at(-1)?.usedBy).toEqual([])
    await host.visit(fresh, { clientId: someId() })
  })

  test('with a known id and a wrong secret is refused and takes no use', async () => {
    const host = new PairingHost()
    const secret = await host.issue(1)
    if (secret.kind !== 'token') throw new Error('not a token')
    const { client, server } = join(someId(), host.id)
    const serving = host.serve(server)
    const [record] = await host.tokens.list()
    await client.connection.send({
      type: 'PAIR_PROOF',
      name: 'x',
      tokenId: Buffer.from(record?.tokenId ?? '', 'hex'),
      mac: new Uint8Array(32),
    })
    expect(await codeOf(client.connection.receive(['PAIR_OK']))).toBe('PAIRING_REFUSED')
    await serving
    expect((await host.tokens.list())[0]?.usedBy).toEqual([])
  })

  test('for another server is not shown to this one: not a byte is sent', async () => {
    const host = new PairingHost()
    const secret = await new PairingHost().issue(1)
    const { client, server } = join(someId(), host.id)
    const error = await rejection(provePairing(client, { crypto: quickCrypto, secret, name: 'x', remember: neverCalled }))
    expect(error.code).toBe('PAIRING_UNPROVEN')
    expect(client.connection.bytesSent).toBe(0)
    expect(await codeOf(server.connection.next())).toBe('PEER_GONE')
    expect(server.connection.bytesReceived).toBe(0)
  })

  test.each([
    { uses: 0, ttlMs: 1 },
    { uses: 1.5, ttlMs: 1 },
    { uses: 1, ttlMs: 0 },
    { uses: Number.NaN, ttlMs: 1 },
  ])('is not made on the terms %j', async terms => {
    const host = new PairingHost()
    expect(await codeOf(host.tokens.create(host.id, terms))).toBe('USAGE')
  })
})

describe('an end that does not know the secret', () => {
  const secret: PairingSecret = { kind: 'code', code: parsePairingCode('K7QF-2M9X-40R1') }

  test('cannot answer with the client’s own proof', async () => {
    const { client, server } = join(someId(), someId())
    const proving = rejection(provePairing(client, { crypto: quickCrypto, secret, name: 'laptop', remember: neverCalled }))
    const { mac } = await server.connection.receive(['PAIR_PROOF'])
    await server.connection.send({ type: 'PAIR_OK', serverName: 'laptop', area: '', mac })
    expect((await proving).code).toBe('PAIRING_UNPROVEN')
  })

  test('cannot answer with an answer of another connection', async () => {
    const host = new PairingHost()
    const code = await host.desk.openWindow()
    const clientId = someId()
    const first = join(clientId, host.id)
    const serving = host.serve(first.server)
    const proof = await proofFor(first.client, { kind: 'code', code })
    await first.client.connection.send(proof)
    const answer = await first.client.connection.receive(['PAIR_OK'])
    first.client.connection.destroy(new Error('enough') as never)
    await serving
    const second = join(clientId, host.id)
    const proving = rejection(
      provePairing(second.client, { crypto: quickCrypto, secret: { kind: 'code', code }, name: 'laptop', remember: neverCalled })
    )
    await second.server.connection.receive(['PAIR_PROOF'])
    await second.server.connection.send(answer)
    expect((await proving).code).toBe('PAIRING_UNPROVEN')
  })

  test('cannot use a client’s proof on its own connection', async () => {
    const host = new PairingHost()
    const code = await host.desk.openWindow()
    const clientId = someId()
    const proof = await proofFor(join(clientId, host.id).client, { kind: 'code', code })
    for (const thief of [clientId, someId()]) {
      const { client, server } = join(thief, host.id)
      const serving = host.serve(server)
      await client.connection.send(proof)
      expect(await codeOf(client.connection.receive(['PAIR_OK']))).toBe('PAIRING_REFUSED')
      await serving
    }
    expect(await host.peers.list()).toEqual([])
  })

  test('cannot change a field of what the other one said', async () => {
    const host = new PairingHost()
    const code = await host.desk.openWindow()
    const { client, server } = join(someId(), host.id)
    const serving = host.serve(server)
    await client.connection.send({ ...await proofFor(client, { kind: 'code', code }), name: 'other' })
    expect(await codeOf(client.connection.receive(['PAIR_OK']))).toBe('PAIRING_REFUSED')
    await serving
  })

  test('is refused, and nothing is stored, if no window is open', async () => {
    const { client, server } = join(someId(), someId())
    const judging = rejection(
      acceptPairing(server, { crypto: quickCrypto, authority: { serverName: 'nas', claim: async () => undefined } })
    )
    const proving = rejection(provePairing(client, { crypto: quickCrypto, secret, name: 'laptop', remember: neverCalled }))
    await server.connection.close(await judging)
    expect((await proving).code).toBe('PAIRING_REFUSED')
  })
})

test('a client that cannot store the server does not say that it has', async () => {
  const host = new PairingHost()
  const code = await host.desk.openWindow()
  const { client, server } = join(someId(), host.id)
  const judging = host.desk.serve(server)
  const full = new Error('no room on the disk')
  await expect(provePairing(client, {
    crypto: quickCrypto, secret: { kind: 'code', code }, name: 'laptop', remember: async () => { throw full },
  })).rejects.toBe(full)
  await client.connection.close()
  expect(await judging).toMatchObject({ peer: { area: 'laptop' }, unconfirmed: { code: 'PEER_GONE' } })
})

describe('what is trusted is on record', () => {
  const ends = [
    [
      'leaves when it has its answer',
      async (client: PairingChannel) => {
        client.connection.destroy(new FileSyncError('PEER_GONE', 'it left'))
      },
    ],
    [
      'says something else then',
      async (client: PairingChannel) => {
        await client.connection.send({ type: 'STORED', files: 0, bytes: 0 })
      },
    ],
  ] as const
  test.each(ends)('when a client %s', async (_, end) => {
    const host = new PairingHost()
    const code = await host.desk.openWindow()
    const clientId = someId()
    const { client, server } = join(clientId, host.id)
    const judging = host.desk.serve(server)
    await client.connection.send(await proofFor(client, { kind: 'code', code }))
    await client.connection.receive(['PAIR_OK'])
    await end(client)
    const { peer, unconfirmed } = await judging
    expect(unconfirmed).toBeDefined()
    expect(await host.peers.list()).toEqual([peer])
    expect(host.paired).toEqual([peer])
    expect(host.events.map(({ event }) => event)).toEqual(['open-window', 'pair'])
  })

  test('before it holds, and nothing holds that cannot be put on record', async () => {
    const host = new PairingHost()
    const id = someId()
    host.onRecord = async ({ event }) => {
      const known = await host.peers.list()
      const tokens = await host.tokens.list()
      expect([event, known, tokens]).toEqual(['pair', [], []])
    }
    const peer = await host.peers.admit({ id, requestedName: 'x', via: 'manual' })
    expect(await host.peers.list()).toEqual([peer])
    host.onRecord = async () => { throw new FileSyncError('STATE_INVALID', 'the disk is full') }
    expect(await codeOf(host.peers.admit({ id: someId(), requestedName: 'y', via: 'manual' }))).toBe('STATE_INVALID')
    expect(await codeOf(host.issue(1))).toBe('STATE_INVALID')
    expect(await codeOf(host.desk.openWindow())).toBe('STATE_INVALID')
    expect([await host.peers.list(), await host.tokens.list(), host.desk.isOpen]).toEqual([[peer], [], false])
    // Nobody stays trusted because of that.
    expect(await codeOf(host.peers.revoke('x'))).toBe('STATE_INVALID')
    expect(await host.peers.list()).toMatchObject([{ revokedAtMs: expect.any(Number) as number }])
  })

  test('with what else lets clients in, or no more', async () => {
    const host = new PairingHost()
    const { record: { tokenId } } = await host.tokens.create(host.id, { uses: 3, ttlMs: 60_000 })
    await host.tokens.revoke(tokenId)
    await host.desk.openWindow()
    expect(host.events).toMatchObject([
      { event: 'make-token', tokenId, uses: 3 },
      { event: 'revoke-token', tokenId },
      { event: 'open-window' },
    ])
  })
})

test('a client that has stored the server is paired, though the server is gone when it says so', async () => {
  const host = new PairingHost()
  const code = await host.desk.openWindow()
  const { client, server } = join(someId(), host.id)
  const judging = host.desk.serve(server)
  const granted = await provePairing(client, {
    crypto: quickCrypto, secret: { kind: 'code', code }, name: 'laptop',
    remember: async () => {
      server.connection.destroy(new FileSyncError('PEER_GONE', 'it left'))
      client.connection.destroy(new FileSyncError('PEER_GONE', 'it left'))
    },
  })
  expect(granted.serverName).toBe('nas')
  expect(await judging).toMatchObject({ unconfirmed: { code: 'PEER_GONE' } })
})

async function neverCalled (granted: PairingGrant): Promise<void> {
  throw new Error(`${granted.serverName} was remembered`)
}

/** The PAIR_PROOF that a client would send on this connection. */
async function proofFor (channel: Parameters<typeof provePairing>[0], secret: PairingSecret): Promise<PairProof> {
  const sent: PairProof[] = []
  const connection = {
    ...channel.connection,
    send: async (message: PairProof) => {
      sent.push(message)
    },
    receive: async () => await Promise.reject(new Error('only the proof')),
  }
  await provePairing(
    { ...channel, connection: connection as never },
    { crypto: quickCrypto, secret, name: 'laptop', remember: neverCalled }
  ).catch(() => {
    /* as told above */
  })
  const [proof] = sent
  if (proof === undefined) throw new Error('no proof was sent')
  return proof
}
