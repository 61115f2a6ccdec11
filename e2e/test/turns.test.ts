import { randomBytes } from 'node:crypto'
import { cp, mkdir, rename, rm, utimes, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { listenTls, loadOrCreateIdentity, openPeers, openServers } from '@filesync/identity/node'
import { FileSyncError, hello } from '@filesync/protocol'
import { systemClock } from '@filesync/protocol/node'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { CLIENT_PROGRAM, mirrorOf, Stage } from '../src/programs.ts'
import { treeDifferences } from '../src/trees.ts'

const LONG_AGO = 1_700_000_000

let stage: Stage
beforeEach(async () => { stage = await Stage.open() })
afterEach(async () => { await stage.dispose() })

/** A directory of files of noise, which no compression makes smaller. */
async function noise (name: string, files: number, bytes: number): Promise<string> {
  const source = stage.path(name)
  await mkdir(source)
  for (let i = 0; i < files; i++) {
    await writeFile(join(source, `f${i}`), randomBytes(bytes))
    await utimes(join(source, `f${i}`), LONG_AGO, LONG_AGO)
  }
  return source
}

test('two clients that take long have their turns in alternation, and each push goes on until all is stored', async () => {
  const server = await stage.startServer('server', ['--session-time', '1s'])
  const logged: { event: string, area?: string, code?: string }[] = []
  createInterface({ input: server.child.stdout }).on('line', line => { logged.push(JSON.parse(line) as typeof logged[number]) })
  const names = ['anna', 'bert']
  for (const name of names) await stage.pair(server, name)
  // Small files, and large ones that are continued where they broke off.
  const sources = await Promise.all(names.map(async (name, i) => await noise(`${name}s`, i === 0 ? 30 : 2, i === 0 ? 50_000 : 750_000)))
  const pushed = await Promise.all(names.map(async (name, i) => await stage.push(name, sources[i] ?? '', ['--limit', '800k'])))
  for (const [i, push] of pushed.entries()) {
    expect(push, push.stderr).toMatchObject({ code: 0, result: { result: 'ok', filesSent: i === 0 ? 30 : 2 } })
    expect(push.result.bytesSent).toBeLessThan(1_500_000 * 1.5)
    expect(await treeDifferences(sources[i] ?? '', mirrorOf(server, names[i] ?? '', sources[i] ?? ''))).toEqual([])
  }
  const turns = logged.filter(({ code, event }) => code === 'SESSION_YIELDED' || event === 'synced').map(({ area }) => area)
  const yields = logged.filter(({ code }) => code === 'SESSION_YIELDED').length
  expect(yields, JSON.stringify(logged)).toBeGreaterThanOrEqual(2)
  // As long as both have something to send, nobody has two turns in a row.
  const contested = turns.slice(0, yields)
  expect(contested.filter((area, i) => i > 0 && contested[i - 1] === area)).toEqual([])
}, 60_000)

test('files that an earlier turn renamed or moved to versions count once in the result of the push', async () => {
  const server = await stage.startServer('server', ['--session-time', '1s'])
  const yielded: string[] = []
  createInterface({ input: server.child.stdout }).on('line', line => {
    const { code, area } = JSON.parse(line) as { code?: string, area: string }
    if (code === 'SESSION_YIELDED') yielded.push(area)
  })
  for (const name of ['anna', 'bert']) await stage.pair(server, name)
  const [annas, berts] = [await noise('annas', 5, 1_000), await noise('berts', 25, 50_000)]
  for (const name of ['kind1', 'kind2', 'moves', 'deleted']) await writeFile(join(annas, name), name)
  expect(await stage.push('anna', annas, ['--settle', '0s'])).toMatchObject({ code: 0, result: { filesSent: 9, filesRenamed: 0 } })
  for (let i = 0; i < 5; i++) await rename(join(annas, `f${i}`), join(annas, `was-f${i}`))
  // The first turn gives these to other kinds of thing; the last one removes the old name of what moved, and what is gone.
  for (const name of ['kind1', 'kind2']) {
    await rm(join(annas, name))
    await mkdir(join(annas, name))
  }
  await rename(join(annas, 'moves'), join(annas, 'moved'))
  await rm(join(annas, 'deleted'))
  await cp(berts, annas, { recursive: true, preserveTimestamps: true })
  const [pushed] = await Promise.all([stage.push('anna', annas, ['--limit', '400k']), stage.push('bert', berts, ['--limit', '400k'])])
  expect(yielded).toContain('anna')
  expect(pushed, pushed.stderr).toMatchObject({ code: 0, result: { result: 'ok', filesDeleted: 3 } })
  // What had moved from a name that another file took, and was not proven before the first turn ended, is sent.
  const { filesSent, filesRenamed } = pushed.result
  expect(filesSent + filesRenamed).toBe(25 + 6)
  expect(filesSent).toBeGreaterThanOrEqual(25)
}, 60_000)

test('a rate for all is shared by those that are served at once', async () => {
  const server = await stage.startServer('server', ['--max-sessions', '2', '--limit', '2M'])
  for (const name of ['anna', 'bert']) await stage.pair(server, name)
  const sources = await Promise.all(['annas', 'berts'].map(async name => await noise(name, 4, 700_000)))
  const startedMs = Date.now()
  const pushed = await Promise.all(['anna', 'bert'].map(async (name, i) => await stage.push(name, sources[i] ?? '')))
  for (const push of pushed) expect(push, push.stderr).toMatchObject({ code: 0 })
  // Less half a megabyte, which may pass at once.
  expect(Date.now() - startedMs).toBeGreaterThan(1000 * (2 * 4 * 0.7 - 0.5) / 2)
  const [one = 0, other = 0] = pushed.map(({ result }) => result.durationMs)
  expect(Math.abs(one - other)).toBeLessThan(Math.max(one, other) * 0.4)
}, 60_000)

test('a server that yields at once, again and again, does not make a client spin', async () => {
  const [theirs, ours] = await Promise.all([loadOrCreateIdentity(stage.path('liar')), loadOrCreateIdentity(stage.path('client'))])
  const peers = openPeers(stage.path('liar'), systemClock)
  await peers.admit({ id: ours.id, requestedName: 'client', via: 'manual' })
  await openServers(stage.path('client'), systemClock).pin({ id: theirs.id, name: 'liar', via: 'manual' })
  const cameAtMs: number[] = []
  const stop = new AbortController()
  const listener = await listenTls({
    identity: theirs, port: 0, bind: '127.0.0.1', clock: systemClock, signal: stop.signal, peers,
    onSync: async ({ connection }) => {
      cameAtMs.push(performance.now())
      await connection.receive(['HELLO'])
      await connection.send(hello('liar', []))
      throw new FileSyncError('SESSION_YIELDED', 'Others wait.')
    },
    onPair: async () => { /* nobody pairs */ },
    onRefused: () => { /* nobody is refused */ },
  })
  const child = stage.start(CLIENT_PROGRAM, [
    'push',
    await noise('source', 1, 10),
    '--server',
    `127.0.0.1:${listener.port}`,
    ...stage.clientArgs('client'),
  ])
  await expect.poll(() => cameAtMs.length, { timeout: 20_000, interval: 20 }).toBeGreaterThanOrEqual(3)
  expect((cameAtMs[2] ?? 0) - (cameAtMs[0] ?? 0)).toBeGreaterThan(1_800)
  expect(await stage.stop(child)).toBe(1)
  await listener.close()
}, 60_000)

describe('outside its windows', () => {
  /** A window that is open now or in half a day, by the clock of this machine, as the server writes it: midnight is the end of a day. */
  function window (offsetHours: number): string {
    const hour = (new Date().getHours() + offsetHours + 24) % 24
    return `${String(hour).padStart(2, '0')}:00-${String((hour + 3) % 24 || 24).padStart(2, '0')}:00`
  }

  test('a server lets nobody in, says when it will, and a client that was started waits for that', async () => {
    const server = await stage.startServer('server', ['--window', window(12)])
    await stage.pair(server, 'client')
    const source = await noise('source', 1, 10)
    const pushed = await stage.push('client', source)
    expect(pushed).toMatchObject({ code: 75, result: { result: 'failed', code: 'OUTSIDE_WINDOW' } })
    expect(pushed.stderr).toContain(window(12))
    const inHours = (Date.parse(pushed.result.nextSyncAt ?? '') - Date.now()) / 3_600_000
    expect(inHours).toBeGreaterThan(10)
    expect(inHours).toBeLessThan(14)
    const child = stage.start(CLIENT_PROGRAM, ['start', source, '--json', ...stage.clientArgs('client')])
    const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]()
    expect(JSON.parse((await lines.next()).value as string)).toMatchObject({ code: 'OUTSIDE_WINDOW' })
    const status = await stage.run(CLIENT_PROGRAM, ['status', '--json', '--state-dir', stage.path('client')])
    expect(JSON.parse(status.stdout)).toMatchObject({ activity: { doing: 'waiting' } })
  })

  test('in them it is like any other, and the next sync is in one', async () => {
    const server = await stage.startServer('server', ['--window', window(-1), '--interval', '36000'])
    await stage.pair(server, 'client')
    const pushed = await stage.push('client', await noise('source', 1, 10))
    expect(pushed, pushed.stderr).toMatchObject({ code: 0 })
    const hour = new Date(pushed.result.nextSyncAt ?? '').getHours()
    const [from, to] = window(-1).split('-').map(text => Number(text.slice(0, 2))) as [number, number]
    expect(from < to ? hour >= from && hour < to : hour >= from || hour < to).toBe(true)
  })
})
