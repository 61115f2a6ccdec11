import { spawn } from 'node:child_process'
import type { ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import { chmod, mkdir, readdir, readFile, stat, unlink, utimes, writeFile } from 'node:fs/promises'
import { hostname } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { foldKey } from '@filesync/protocol'
import { ManualClock } from '@filesync/protocol/testing'
import * as v from 'valibot'
import { describe, expect, onTestFinished, test } from 'vitest'
import type { RecordChange, RecordStore } from '../src/index.ts'
import { formatDeviceId, PeerBook, refuseDowngrade, ServerBook } from '../src/index.ts'
import { withFileLock } from '../src/node/file-lock.ts'
import { openPeers, openServers, openTokens } from '../src/node/index.ts'
import { createPrivateFile, writePrivateFile } from '../src/node/private-file.ts'
import { recordFile } from '../src/node/record-file.ts'
import { memoryRecords, recordStoreConformance } from '../src/testing/index.ts'
import { someId } from './support/pairing-host.ts'
import { codeOf, temporaryDir } from './support/machines.ts'

const audit = { record: async () => { /* asked elsewhere */ } }
const make = (n: number): { n: number } => ({ n })

describe('records in memory', () => {
  test.each(recordStoreConformance)('$name', async one => {
    const store = memoryRecords<unknown>()
    await one.run({ stores: [store, store], make })
  })
})

describe('records in a file', () => {
  test.each(recordStoreConformance)('$name', async one => {
    const init = { path: join(await temporaryDir(), 'numbers.json'), listName: 'numbers', schema: v.object({ n: v.number() }) }
    await one.run({ stores: [recordFile<unknown>(init), recordFile<unknown>(init)], make })
  })
})

describe('a file of records', () => {
  async function numbers (): Promise<{ readonly path: string, readonly open: () => RecordStore<{ n: number }> }> {
    const path = join(await temporaryDir(), 'numbers.json')
    return { path, open: () => recordFile({ path, listName: 'numbers', schema: v.object({ n: v.number() }) }) }
  }
  const stored = (path: string): number[] =>
    (JSON.parse(readFileSync(path, 'utf8')) as { numbers: { n: number }[] }).numbers.map(({ n }) => n)
  const add = (n: number, before?: () => Promise<void>) => (records: readonly { n: number }[]): RecordChange<{ n: number }, number> =>
    ({ records: [...records, { n }], result: records.length, ...(before !== undefined && { before }) })

  test('is written once for all changes that came during a write, each decided on the outcome of the one before', async () => {
    const { path, open } = await numbers()
    const store = open()
    let first: Promise<number> | undefined
    const release = await new Promise<() => void>(begun => {
      first = store.change(add(-1, async () => { await new Promise<void>(resolve => { begun(resolve) }) }))
    })
    const results: number[] = []
    const atFirst: number[][] = []
    const others = Array.from({ length: 300 }, async (_, n) => {
      results.push(await store.change(add(n)))
      if (atFirst.length === 0) atFirst.push(stored(path))
    })
    release()
    expect(await first).toBe(0)
    await Promise.all(others)
    expect(results).toEqual(Array.from({ length: 300 }, (_, n) => n + 1))
    // When the first of them is done, all of them are on the disk.
    expect(atFirst).toEqual([[-1, ...Array.from({ length: 300 }, (_, n) => n)]])
  })

  test('leaves out only the change that is refused, or that the audit log cannot have', async () => {
    const { path, open } = await numbers()
    const store = open()
    const refused = new Error('no')
    const outcomes = await Promise.allSettled([
      store.change(add(1)),
      store.change(() => { throw refused }),
      store.change(add(2, async () => { await Promise.reject(refused) })),
      store.change(add(3)),
      store.change(records => ({ records, result: records.length })),
    ])
    const results = outcomes.map(outcome => outcome.status === 'fulfilled' ? outcome.value : outcome.reason as unknown)
    expect(results).toEqual([0, refused, refused, 1, 2])
    expect(stored(path)).toEqual([1, 3])
  })

  test('rejects all changes that came at once if it cannot be read, and takes the next ones when it can', async () => {
    const { path, open } = await numbers()
    const store = open()
    await writeFile(path, 'torn', { mode: 0o600 })
    const outcomes = await Promise.all([1, 2, 3].map(async n => await codeOf(store.change(add(n)))))
    expect(outcomes).toEqual(['STATE_INVALID', 'STATE_INVALID', 'STATE_INVALID'])
    await unlink(path)
    expect(await store.change(add(4))).toBe(0)
    expect(stored(path)).toEqual([4])
  })

  test('is read again after another process replaced it, an editor wrote into it, or it was removed', async () => {
    const { path, open } = await numbers()
    const [here, elsewhere] = [open(), open()]
    await here.change(add(1))
    expect(await here.read()).toEqual([{ n: 1 }])
    await elsewhere.change(() => ({ records: [{ n: 2 }], result: undefined }))
    expect(await here.read()).toEqual([{ n: 2 }])
    await writeFile(path, JSON.stringify({ version: 1, numbers: [{ n: 3 }] }))
    expect(await here.read()).toEqual([{ n: 3 }])
    await unlink(path)
    expect(await here.read()).toEqual([])
  })
})

/** Another process that uses the state too. What it runs gets the rest in `args`. */
function start (program: string, ...args: readonly string[]): ChildProcess {
  const source = fileURLToPath(new URL('../src', import.meta.url))
  const text = `const args = ${JSON.stringify(args)}\n${program.replaceAll('SOURCE', source)}`
  const child = spawn(process.execPath, ['--conditions=@filesync/source', '--input-type=module', '--eval', text], {
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  onTestFinished(() => { child.kill('SIGKILL') })
  return child
}

const ADD_PEERS = `
  import { randomBytes } from 'node:crypto'
  import { toDeviceId } from 'SOURCE/index.ts'
  import { openPeers } from 'SOURCE/node/index.ts'
  const peers = openPeers(args[0])
  for (let n = 0; n < 8; n++) await peers.admit({ id: toDeviceId(randomBytes(32)), requestedName: 'machine', via: 'manual' })
`

const HOLD_LOCK = `
  import { withFileLock } from 'SOURCE/node/file-lock.ts'
  await withFileLock(args[0], async () => {
    process.stdout.write('held')
    await new Promise(() => { setInterval(() => {}, 1 << 30) })
  })
`

async function exitOf (child: ChildProcess): Promise<unknown> {
  const [code] = await once(child, 'exit') as [unknown]
  return code
}

describe('a book in a state directory', () => {
  test('loses nothing when several processes change it at once', async () => {
    const stateDir = await temporaryDir()
    const here = openPeers(stateDir)
    const children = [start(ADD_PEERS, stateDir), start(ADD_PEERS, stateDir)]
    const exits = Promise.all(children.map(exitOf))
    for (let n = 0; n < 8; n++) await here.admit({ id: someId(), requestedName: 'machine', via: 'manual' })
    expect(await exits).toEqual([0, 0])
    const peers = await here.list()
    expect(peers).toHaveLength(24)
    expect(new Set(peers.map(({ area }) => foldKey(area))).size).toBe(24)
    expect((await readdir(stateDir)).sort()).toEqual(['audit.log', 'peers.json'])
  })

  test('says which file cannot be written', async () => {
    // Longer than a name may be, once the file is written beside the old one.
    const path = join(await temporaryDir(), 'x'.repeat(250))
    const untakeable = {
      code: 'STATE_INVALID',
      message: expect.stringMatching(/x{250} cannot be written: ENAMETOOLONG.*has room/u) as unknown,
    }
    await expect(writePrivateFile(path, '')).rejects.toMatchObject(untakeable)
    await expect(createPrivateFile(path, '')).rejects.toMatchObject(untakeable)
    await expect(withFileLock(path, async () => 'never')).rejects.toMatchObject(untakeable)
  })

  test('is free again when the process that changes it is killed', async () => {
    const stateDir = await temporaryDir()
    const lock = join(stateDir, 'peers.json.lock')
    const holder = start(HOLD_LOCK, lock)
    await once(holder.stdout ?? holder, 'data')
    const died = exitOf(holder)
    const waiting = Array.from(
      { length: 5 },
      async () => await openPeers(stateDir).admit({ id: someId(), requestedName: 'machine', via: 'manual' })
    )
    expect((await stat(lock)).isFile()).toBe(true)
    holder.kill('SIGKILL')
    await died
    await Promise.all(waiting)
    expect(await openPeers(stateDir).list()).toHaveLength(5)
    expect((await readdir(stateDir)).sort()).toEqual(['audit.log', 'peers.json'])
  })

  test.each([
    ['the number of this process from before a restart', `${String(process.pid)} ${hostname()} aa\n`],
    ['another machine, long ago', '1 elsewhere aa\n'],
  ])('is not held up by a lock with %s', async (_whose, owner) => {
    const stateDir = await temporaryDir()
    const lock = join(stateDir, 'servers.json.lock')
    await writeFile(lock, owner)
    await utimes(lock, 1_000_000_000, 1_000_000_000)
    await openServers(stateDir).pin({ id: someId(), name: 'nas', via: 'manual' })
    expect(await openServers(stateDir).list()).toHaveLength(1)
  })

  test('is private, and in a private directory', async () => {
    const stateDir = join(await temporaryDir(), 'new', 'state')
    await openPeers(stateDir).admit({ id: someId(), requestedName: 'x', via: 'manual' })
    await openTokens(stateDir).create(someId(), { uses: 1, ttlMs: 1000 })
    await openServers(stateDir).pin({ id: someId(), name: 'x', via: 'manual' })
    expect((await stat(stateDir)).mode & 0o777).toBe(0o700)
    for (const name of ['peers.json', 'tokens.json', 'servers.json'])
      expect((await stat(join(stateDir, name))).mode & 0o777, name).toBe(0o600)
  })

  test('is refused when others can read it, or change what is beside it', async () => {
    const stateDir = await temporaryDir()
    const peers = openPeers(stateDir)
    await peers.admit({ id: someId(), requestedName: 'x', via: 'manual' })
    await chmod(join(stateDir, 'peers.json'), 0o640)
    expect(await codeOf(peers.list())).toBe('KEY_EXPOSED')
    await chmod(join(stateDir, 'peers.json'), 0o600)
    await chmod(stateDir, 0o777)
    expect(await codeOf(peers.admit({ id: someId(), requestedName: 'y', via: 'manual' }))).toBe('KEY_EXPOSED')
  })

  test.each([
    ['cut off', text => text.slice(0, -9)],
    ['of a later version', text => text.replace('"version": 1', '"version": 2')],
    ['with an area that leads elsewhere', text => text.replace('"machine"', '"../machine"')],
    ['with an area of another spelling', text => text.replace('"machine"', '"machine."')],
    ['with a damaged id', text => text.replace(/"id": "./u, '"id": "U')],
    ['empty', () => ''],
  ] satisfies [string, (text: string) => string][])('is not used when it is %s', async (_how, damage) => {
    const stateDir = await temporaryDir()
    const path = join(stateDir, 'peers.json')
    const peers = openPeers(stateDir)
    await peers.admit({ id: someId(), requestedName: 'machine', via: 'manual' })
    const damaged = damage(await readFile(path, 'utf8'))
    await writeFile(path, damaged)
    expect(await codeOf(peers.list())).toBe('STATE_INVALID')
    expect(await codeOf(peers.admit({ id: someId(), requestedName: 'other', via: 'manual' }))).toBe('STATE_INVALID')
    expect(await readFile(path, 'utf8')).toBe(damaged)
  })

  test('says what to do when the directory cannot be one', async () => {
    const file = join(await temporaryDir(), 'file')
    await writeFile(file, '')
    expect(await codeOf(openPeers(file).admit({ id: someId(), requestedName: 'x', via: 'manual' }))).toBe('STATE_INVALID')
  })

  test('in an empty directory that others could read makes it private', async () => {
    const stateDir = join(await temporaryDir(), 'made-by-hand')
    await mkdir(stateDir)
    await chmod(stateDir, 0o775)
    await openServers(stateDir).pin({ id: someId(), name: 'x', via: 'manual' })
    expect((await stat(stateDir)).mode & 0o777).toBe(0o700)
  })
})

describe('the book of clients', () => {
  test('finds one to revoke by its area, in any case, or by its full id', async () => {
    const clock = new ManualClock()
    const peers = new PeerBook(memoryRecords(), { clock, audit })
    const [first, second] = [someId(), someId()]
    await peers.admit({ id: first, requestedName: 'Laptop', via: 'code' })
    await peers.admit({ id: second, requestedName: 'laptop', via: 'code' })
    expect(await peers.revoke('lapTOP')).toMatchObject({ id: first, revokedAtMs: clock.nowMs() })
    clock.advance(5)
    expect(await peers.revoke('laptop')).toMatchObject({ revokedAtMs: clock.nowMs() - 5 })
    expect((await peers.revoke(formatDeviceId(second))).area).toBe('laptop-2')
    await expect(peers.revoke('tower')).rejects.toThrow('No paired client is called "tower". The paired clients are: Laptop, laptop-2.')
    expect(await codeOf(peers.authorize(first, '192.0.2.1'))).toBe('NOT_PAIRED')
  })

  test('never gives an area away again, nor one that the archive holds already', async () => {
    const peers = new PeerBook(memoryRecords(), { clock: new ManualClock(), audit })
    await peers.admit({ id: someId(), requestedName: 'a', via: 'code' })
    await peers.revoke('a')
    expect((await peers.admit({ id: someId(), requestedName: 'A', via: 'code' })).area).toBe('A-2')
    expect((await peers.admit({ id: someId(), requestedName: 'old', via: 'code', takenAreas: ['OLD', 'old-2'] })).area).toBe('old-3')
  })

  test('notes who was there, to the minute, and nobody that it does not know', async () => {
    const clock = new ManualClock()
    const startMs = clock.nowMs()
    const peers = new PeerBook(memoryRecords(), { clock, audit })
    const id = someId()
    await peers.admit({ id, requestedName: 'a', via: 'code' })
    const seen: unknown[] = []
    const note = async (afterMs: number, address: string): Promise<void> => {
      clock.advance(afterMs)
      await peers.recordSeen(id, address)
      const [peer] = await peers.list()
      seen.push([(peer?.lastSeenAtMs ?? 0) - startMs, peer?.lastAddress])
    }
    await note(5, '192.0.2.1')
    await note(59_999, '192.0.2.1')
    await note(1, '192.0.2.1')
    await note(1, '192.0.2.9')
    expect(seen).toEqual([[5, '192.0.2.1'], [5, '192.0.2.1'], [60_005, '192.0.2.1'], [60_006, '192.0.2.9']])
    await peers.recordSeen(someId(), '192.0.2.2')
    expect(await peers.list()).toHaveLength(1)
  })
})

describe('the book of servers', () => {
  test('knows a server again by the prefix of an offer, and by address', async () => {
    const servers = new ServerBook(memoryRecords(), new ManualClock())
    const id = someId()
    await servers.pin({ id, name: 'n\u001b[2Jas', via: 'code', address: '192.0.2.1', port: 4000 })
    await servers.recordReached(id, '192.0.2.9', 4001)
    await servers.pin({ id: someId(), name: 'other', via: 'token' })
    const all = await servers.list()
    expect(all).toMatchObject([{ id, name: 'n-[2Jas', lastAddress: '192.0.2.9', lastPort: 4001 }, { name: 'other' }])
  })

  test('does not speak the original protocol where a paired server was', async () => {
    const servers = new ServerBook(memoryRecords(), new ManualClock())
    await servers.pin({ id: someId(), name: 'nas', via: 'code', address: '192.0.2.1', port: 4000 })
    const all = await servers.list()
    expect(() => { refuseDowngrade(all, '192.0.2.1') }).toThrow(/nothing is sent there without encryption/u)
    refuseDowngrade(all, '192.0.2.2')
  })

  test('forgets a server by its name or full id, but does not guess', async () => {
    const servers = new ServerBook(memoryRecords(), new ManualClock())
    const [first, second] = [someId(), someId()]
    await servers.pin({ id: first, name: 'nas', via: 'code' })
    await servers.pin({ id: second, name: 'NAS', via: 'code' })
    expect(await codeOf(servers.forget('nas'))).toBe('USAGE')
    expect((await servers.forget(formatDeviceId(first))).id).toBe(first)
    expect((await servers.forget('nas')).id).toBe(second)
    expect(await codeOf(servers.forget('nas'))).toBe('USAGE')
  })

  test('keeps area and address of a server that is paired again', async () => {
    const servers = new ServerBook(memoryRecords(), new ManualClock())
    const id = someId()
    await servers.pin({ id, name: 'nas', area: 'laptop', via: 'code', address: '192.0.2.1', port: 4000 })
    await servers.pin({ id, name: 'nas2', via: 'manual' })
    expect(await servers.list()).toEqual([
      expect.objectContaining({ id, name: 'nas2', area: 'laptop', lastAddress: '192.0.2.1', lastPort: 4000 }),
    ])
  })
})
