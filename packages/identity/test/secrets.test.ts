import { chmod, mkdir, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { ALPN_PAIR } from '@filesync/protocol'
import { ManualClock } from '@filesync/protocol/testing'
import { expect, test } from 'vitest'
import { formatPairingCode, parseEnrollmentToken, parsePairingCode, provePairing } from '../src/index.ts'
import type { AuditEvent, PairingSecret } from '../src/index.ts'
import { nodeCrypto, openAuditLog } from '../src/node/index.ts'
import { someId } from './support/pairing-host.ts'
import { makeClient, startServer, temporaryDir } from './support/machines.ts'

/** All that the files below a directory hold. */
async function contents (directory: string): Promise<string> {
  const entries = await readdir(directory, { withFileTypes: true, recursive: true })
  const texts = await Promise.all(
    entries.filter(entry => entry.isFile()).map(async ({ parentPath, name }) => await readFile(join(parentPath, name), 'utf8'))
  )
  return texts.join('\n')
}

test('codes and tokens are in no file, no log and no message of either machine', async () => {
  const server = await startServer()
  const client = await makeClient()
  const code = await server.desk.openWindow()
  const { token } = await server.tokens.create(server.identity.id, { uses: 5, ttlMs: 60_000 })
  const words: string[] = []
  const right: PairingSecret[] = [{ kind: 'code', code }, { kind: 'token', token: parseEnrollmentToken(token) }]
  const mistyped = formatPairingCode(code).slice(0, -1) + (code.endsWith('0') ? '1' : '0')
  for (const secret of [{ kind: 'code', code: parsePairingCode(mistyped) } as const, ...right]) {
    const channel = await client.connect(server.listener.port, { alpn: ALPN_PAIR })
    await provePairing(channel, {
      crypto: nodeCrypto,
      secret,
      name: 'laptop',
      remember: async granted => {
        await client.servers.pin({ id: granted.serverId, name: granted.serverName, via: 'code' })
      },
    }).catch((error: unknown) => {
      words.push(String(error), JSON.stringify(error))
    })
  }
  words.push(...server.refusals.map(({ error }) => String(error)))
  expect(words.length).toBeGreaterThan(0)
  const everything = [await contents(server.stateDir), await contents(client.stateDir), ...words].join('\n').toUpperCase()
  expect(everything).toContain('"EVENT":"PAIR"')
  expect(everything).toContain('"EVENT":"REFUSE"')
  const secret = token.split('.')[2] ?? ''
  for (const forbidden of [code, formatPairingCode(code), mistyped, secret, secret.slice(0, 13)])
    expect(everything).not.toContain(forbidden)
  for (const bytes of [parseEnrollmentToken(token).secret, await nodeCrypto.scrypt(Buffer.from(code), Buffer.from('x'))]) {
    for (const form of ['hex', 'base64', 'base64url'] as const)
      expect(everything).not.toContain(Buffer.from(bytes).toString(form).toUpperCase())
  }
})

test('the audit log keeps who came in, who was put out, and some of those who did not get in', async () => {
  const clock = new ManualClock()
  const directory = await temporaryDir()
  const audit = openAuditLog(directory, clock)
  const id = someId()
  await audit.record({ event: 'pair', id, area: 'a', via: 'code', address: '192.0.2.1' })
  const refusal: AuditEvent = { event: 'refuse', reason: 'wrong\u001b[2J\nproof', address: '192.0.2.2' }
  for (let n = 0; n < 500; n++) await audit.record(refusal)
  await audit.record({ event: 'revoke', id, area: 'a' })
  clock.advance(30_000)
  await audit.record(refusal)
  await audit.record(refusal)
  const path = join(directory, 'audit.log')
  const lines = (await readFile(path, 'utf8')).trimEnd().split('\n')
  expect(lines.join('')).not.toContain('\u001b')
  const events = lines.map(line => JSON.parse(line) as Record<string, unknown>)
  expect(events.map(({ event }) => event)).toEqual(['pair', ...Array.from({ length: 20 }, () => 'refuse'), 'revoke', 'refuse'])
  expect(events[0]).toEqual({
    time: new Date(1_700_000_000_000).toISOString(),
    event: 'pair',
    id,
    area: 'a',
    via: 'code',
    address: '192.0.2.1',
  })
  expect(events.at(-1)).toMatchObject({ dropped: 480, reason: 'wrong\u001b[2J\nproof' })
  expect((await stat(path)).mode & 0o777).toBe(0o600)
})

test('an audit log that cannot be written stops pairings, but not refusals, which are counted', async () => {
  const clock = new ManualClock()
  const directory = await temporaryDir()
  const audit = openAuditLog(directory, clock)
  const path = join(directory, 'audit.log')
  const refusal: AuditEvent = { event: 'refuse', reason: 'wrong proof', address: '192.0.2.2' }
  await mkdir(path)
  await expect(audit.record({ event: 'pair', id: someId(), area: 'a', via: 'code' })).rejects.toMatchObject({
    code: 'STATE_INVALID', message: expect.stringContaining(`${path} cannot be written: EISDIR`) as unknown,
  })
  await audit.record(refusal)
  await audit.record(refusal)
  await rm(path, { recursive: true })
  // As a disk leaves it that was full in the middle of a line.
  await writeFile(path, '{"time":"20', { mode: 0o600 })
  await audit.record(refusal)
  const lines = (await readFile(path, 'utf8')).trimEnd().split('\n')
  expect(lines).toHaveLength(2)
  expect(JSON.parse(lines[1] ?? '')).toMatchObject({ event: 'refuse', dropped: 2 })
})

test('events of two processes do not overwrite each other', async () => {
  const directory = await temporaryDir()
  await chmod(directory, 0o700)
  const logs = [openAuditLog(directory), openAuditLog(directory)]
  await Promise.all(
    Array.from({ length: 100 }, async (_, n) => {
      await logs[n % 2]?.record({ event: 'revoke', id: someId(), area: 'x'.repeat(200) })
    })
  )
  const lines = (await readFile(join(directory, 'audit.log'), 'utf8')).trimEnd().split('\n')
  expect(lines.map(line => (JSON.parse(line) as { event: string }).event)).toEqual(Array.from({ length: 100 }, () => 'revoke'))
})
