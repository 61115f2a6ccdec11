import { mkdir, mkdtemp, rm, utimes, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from 'vitest'
import type { Archive } from '@filesync/archive'
import { openArchive } from '@filesync/archive/node'
import {
  decodeListing, FEATURES, hello, isFileSyncError, LIMITS, openConnection, PartsDecoder, readDigestRecords, readPack,
} from '@filesync/protocol'
import type { Connection, Entry, EntryReference, Message, Task } from '@filesync/protocol'
import { createHasher, hashBytes, systemClock } from '@filesync/protocol/node'
import { memoryStreamPair } from '@filesync/protocol/testing'
import { RestoreDesk } from '../src/restore/restore-desk.ts'
import type { ServedRestore } from '../src/restore/serve-restore.ts'
import { SessionQueue } from '../src/schedule/session-queue.ts'
import { serveSession } from '../src/session/serve-session.ts'
import type { ServeDependencies } from '../src/session/serve-session.ts'

const bytesOf = (text: string): Uint8Array => new TextEncoder().encode(text)
const textOf = (bytes: Uint8Array): string => new TextDecoder().decode(bytes)

let root: string
let archive: Archive

/** The content of a file is its path. */
async function write (area: string, path: string, content = `${area}:${path}`): Promise<void> {
  const file = join(root, area, path)
  await mkdir(dirname(file), { recursive: true })
  await writeFile(file, content)
  await utimes(file, 1_700_000_000, 1_700_000_000)
}

beforeAll(async () => {
  root = await mkdtemp(join(tmpdir(), 'restore-'))
  const settings = { keepMs: Infinity, deletions: 'mirror', clock: systemClock, signal: new AbortController().signal } as const
  archive = await openArchive({ root, ...settings })
  for (const path of ['photos/a.jpg', 'photos/2024/b.jpg', 'photos/c.jpg', 'mine']) await write('laptop', path)
  for (const path of ['secret', 'photos/secret']) await write('desktop', path)
  for (const path of ['a', 'b']) await write('damaged', path)
  await write('damaged', 'copy', 'damaged:a')
  for (const area of ['laptop', 'desktop', 'damaged']) await (await archive.area(area)).rebuild()
})

afterAll(async () => {
  await archive.close()
  await rm(root, { recursive: true, force: true })
})

/** The sessions of one server. */
class RestoringServer {
  readonly desk: RestoreDesk = new RestoreDesk(
    async area => archive.areas().includes(area) ? await archive.area(area) : undefined,
  )
  readonly stopping = new AbortController()
  readonly sessions: Promise<unknown>[] = []
  readonly begun: ServedRestore[] = []
  readonly queue: SessionQueue = new SessionQueue({ maxActive: 1, maxWaiting: 1, clock: systemClock })
  readonly #near = new Map<string, Connection>()

  connect (identity: string, { mayRestore = true, isPaused = false } = {}): Connection {
    const [client, near] = memoryStreamPair()
    const connection = openConnection({ stream: near, clock: systemClock })
    this.#near.set(identity, connection)
    const schedule = { admit () { /* at any time */ }, onClose: () => () => { /* it never closes */ } }
    const observer = { onBegin: async (restore: ServedRestore) => { this.begun.push(restore) }, onEnd () { /* not looked at */ } }
    const safeChecks = { enter: () => () => { /* not counted */ } }
    const rules = { stopping: this.stopping.signal, schedule }
    const deps = {
      queue: this.queue, safeChecks, clock: systemClock, software: 'test', hash: hashBytes, rules,
      nextSyncInMs: () => 1000,
      ...(mayRestore && { restores: { desk: this.desk, createHasher, observer } }),
    }
    this.sessions.push(serveSession(connection, { identity, area: identity, isPaused }, deps as unknown as ServeDependencies).then(
      async outcome => { await connection.close(); return outcome },
      async (error: unknown) => { await connection.close(error); throw error },
    ).catch((error: unknown) => { if (!isFileSyncError(error) || error.code === 'INTERNAL') throw error }))
    return openConnection({ stream: client, clock: systemClock })
  }

  /** What the server does to the sessions of a client that is revoked. */
  async revoke (identity: string, error: Error): Promise<void> {
    await this.#near.get(identity)?.close(error)
  }

  async greeted (identity: string): Promise<Connection> {
    const connection = this.connect(identity)
    await connection.send(hello('test', [FEATURES.RESTORE]))
    await connection.receive(['HELLO'])
    return connection
  }
}

let server: RestoringServer
beforeEach(() => { server = new RestoringServer() })
afterEach(async () => {
  server.stopping.abort()
  await Promise.all(server.sessions)
})

async function refusal (work: Promise<unknown>): Promise<string> {
  return await work.then(() => 'none', (error: unknown) => isFileSyncError(error) ? error.code : String(error))
}

async function listed (connection: Connection, directories: readonly EntryReference[]): Promise<Entry[]> {
  await connection.send({ type: 'LISTINGS_WANTED', directories })
  const incoming = await connection.next()
  if (incoming.kind !== 'raw' || incoming.type !== 'LISTINGS') throw new Error('no listing')
  const [whole] = [...new PartsDecoder(LIMITS.listingBytes).push(incoming.payload)]
  return decodeListing(whole?.bytes ?? new Uint8Array(0))
}

/** The content of small files, by task. */
async function fetched (connection: Connection, tasks: readonly Task[]): Promise<string[]> {
  await connection.send({ type: 'TASKS', first: 0, tasks, last: true })
  const contents: string[] = []
  for (let answered = 0; answered < tasks.length;) {
    const incoming = await connection.next()
    if (incoming.kind === 'message' && incoming.message.type === 'FILE_PROBLEM') {
      contents[incoming.message.task] = incoming.message.code
      answered++
    } else if (incoming.kind === 'raw' && incoming.type === 'PACK') {
      for (const { task, content } of readPack(incoming.payload)) {
        contents[task] = textOf(content)
        answered++
      }
    } else if (incoming.kind === 'raw' && incoming.type === 'DIGESTS') {
      for (const { task, digest } of readDigestRecords(incoming.payload)) {
        contents[task] = Buffer.from(digest).toString('hex')
        answered++
      }
    } else throw new Error(`unexpected ${incoming.kind}`)
  }
  return contents
}

test('a client lists and reads its own files while others have their turn, and learns of its history', async () => {
  const connection = await server.greeted('laptop')
  await connection.send({ type: 'HISTORY_QUESTION', path: 'photos', what: 'VERSIONS' })
  expect(await connection.receive(['HISTORY_ANSWER'])).toMatchObject({ versions: [], hasMore: false })
  await connection.send({ type: 'RESTORE_QUESTION', path: 'photos' })
  const answer = await connection.receive(['RESTORE_ANSWER'])
  expect(answer).toMatchObject({ files: 3, bytes: 'laptop:photos/a.jpglaptop:photos/2024/b.jpglaptop:photos/c.jpg'.length })
  expect((await listed(connection, [])).map(({ name }) => name)).toEqual(['photos'])
  expect((await listed(connection, [[0, 0]])).map(({ name }) => name)).toEqual(['2024', 'a.jpg', 'c.jpg'])
  expect((await listed(connection, [[1, 0]])).map(({ name }) => name)).toEqual(['b.jpg'])
  const digest = Buffer.from(hashBytes(bytesOf('laptop:photos/a.jpg'))).toString('hex')
  expect(await fetched(connection, [[1, 1], [2, 0]])).toEqual(['laptop:photos/a.jpg', 'laptop:photos/2024/b.jpg'])
  expect(await fetched(connection, [[1, 1, 'DIGEST']])).toEqual([digest])
  expect(server.desk.isReading('laptop')).toBe(true)
  await connection.close()
  await Promise.all(server.sessions)
  expect(server.desk.isReading('laptop')).toBe(false)
  expect(server.begun).toMatchObject([{ area: 'laptop', path: 'photos', files: 3 }])
})

test('a single file is listed alone on the way to it', async () => {
  const connection = await server.greeted('laptop')
  await connection.send({ type: 'RESTORE_QUESTION', path: 'photos/c.jpg' })
  expect(await connection.receive(['RESTORE_ANSWER'])).toMatchObject({ files: 1 })
  expect((await listed(connection, [])).map(({ name }) => name)).toEqual(['photos'])
  expect((await listed(connection, [[0, 0]])).map(({ name }) => name)).toEqual(['c.jpg'])
  expect(await fetched(connection, [[1, 0]])).toEqual(['laptop:photos/c.jpg'])
  await connection.close()
})

const FOREIGN_PATHS = ['desktop', 'desktop/secret', '../desktop', '../desktop/secret', 'x/../../desktop', '/etc/passwd', '/', '.', '..',
  './desktop', 'a//b', 'a/', 'a\0b', '.filesync', '.filesync/index', '.FileSync/versions/desktop', 'd/'.repeat(64) + 'd', 'x'.repeat(1025),
  'desktop\\secret', '~/x', 'legacy/client_x', 'ä'.repeat(600)]

test.each(FOREIGN_PATHS)('no message shows anything of another client or of the server for the path %j', async path => {
  const messages: Message[] = [
    { type: 'HISTORY_QUESTION', path, what: 'POINTS' },
    { type: 'HISTORY_QUESTION', path, what: 'VERSIONS' },
    { type: 'RESTORE_QUESTION', path },
    { type: 'RESTORE_QUESTION', path, atMs: Date.now() },
    { type: 'RESTORE_QUESTION', path, point: 'p1' },
  ]
  for (const message of messages) {
    const connection = await server.greeted('laptop')
    await connection.send(message).catch(() => { /* too long to be sent at all */ })
    const answer = await connection.receive(['HISTORY_ANSWER', 'RESTORE_ANSWER']).catch((error: unknown) => error)
    if (isFileSyncError(answer)) {
      expect(['NAME_INVALID', 'PATH_ABSENT', 'POINT_UNKNOWN', 'MESSAGE_INVALID']).toContain(answer.code)
      expect(answer.message).not.toMatch(/secret:|filesync\/index:/u)
    } else expect(answer).toEqual({ type: 'HISTORY_ANSWER', points: [], versions: [], hasMore: false })
    await connection.close()
  }
  expect(server.begun).toEqual([])
  expect([...archive.areas()].sort()).toEqual(['damaged', 'desktop', 'laptop'])
})

test('a client that never stored anything has no history, and no area is made for it', async () => {
  const connection = await server.greeted('stranger')
  await connection.send({ type: 'HISTORY_QUESTION', path: '', what: 'POINTS' })
  expect((await connection.receive(['HISTORY_ANSWER'])).points).toEqual([])
  await connection.send({ type: 'RESTORE_QUESTION', path: '' })
  expect(await refusal(connection.receive(['RESTORE_ANSWER']))).toBe('PATH_ABSENT')
  expect(archive.areas()).not.toContain('stranger')
})

const OUT_OF_PLACE: readonly Message[] = [
  { type: 'LISTINGS_WANTED', directories: [] },
  { type: 'TASKS', first: 0, tasks: [[0, 0]], last: true },
  { type: 'SAFE_QUESTION', fresh: false, files: [{ path: 'mine', kind: 'FILE', digest: hashBytes(bytesOf('')) }] },
  { type: 'PAIR_DONE' },
]

test.each(OUT_OF_PLACE)('%j before a restore question ends the session', async message => {
  const connection = await server.greeted('laptop')
  await connection.send(message)
  expect(await refusal(connection.receive(['RESTORE_ANSWER']))).toBe('MESSAGE_UNEXPECTED')
})

const HOSTILE_ASKS: readonly (readonly [Message, string])[] = [
  [{ type: 'TASKS', first: 0, tasks: [[0, 1]], last: true }, 'TASK_INVALID'],
  [{ type: 'LISTINGS_WANTED', directories: [[7, 0]] }, 'TASK_INVALID'],
  [{ type: 'RESTORE_QUESTION', path: '' }, 'MESSAGE_UNEXPECTED'],
  [{ type: 'HISTORY_QUESTION', path: '', what: 'POINTS' }, 'MESSAGE_UNEXPECTED'],
  [{ type: 'TASKS', first: 5, tasks: [[0, 0]], last: true }, 'MESSAGE_UNEXPECTED'],
  [{ type: 'TASKS', first: 0, tasks: [[0, 0, 'DELTA', 20]], last: true }, 'TASK_INVALID'],
  [{ type: 'TASKS', first: 0, tasks: [[0, 0, 'SPARSE', 0, 20]], last: true }, 'TASK_INVALID'],
]

test.each(HOSTILE_ASKS)('%j after a restore question ends the session with %s', async (message, code) => {
  const connection = await server.greeted('laptop')
  await connection.send({ type: 'RESTORE_QUESTION', path: '' })
  await connection.receive(['RESTORE_ANSWER'])
  if (message.type !== 'LISTINGS_WANTED' && message.type !== 'TASKS') await listed(connection, [])
  if (message.type === 'TASKS' && message.tasks[0]?.[2] === undefined && message.first === 0) await listed(connection, [])
  await connection.send(message)
  expect(await refusal(connection.next())).toBe(code)
})

test('a server that forbids restores says so, names no feature, and shows nothing', async () => {
  const asking = server.connect('laptop', { mayRestore: false })
  await asking.send(hello('test', [FEATURES.RESTORE]))
  expect(await refusal(asking.receive(['HELLO']))).toBe('RESTORE_FORBIDDEN')
  const checking = server.connect('laptop', { mayRestore: false })
  await checking.send(hello('test', [FEATURES.SAFE]))
  expect((await checking.receive(['HELLO'])).features).not.toContain(FEATURES.RESTORE)
  await checking.close()
})

test.each([[FEATURES.RESTORE], [FEATURES.RESTORE, FEATURES.PLAN]])('a paused client that names %s gets nothing', async (...features) => {
  const connection = server.connect('laptop', { isPaused: true })
  await connection.send(hello('test', features))
  await connection.receive(['HELLO'])
  await connection.send({ type: 'HISTORY_QUESTION', path: '', what: 'POINTS' }).catch(() => { /* closed already */ })
  expect(await refusal(connection.receive(['HISTORY_ANSWER']))).toBe('PAUSED')
})

test('one client has two sessions at most, and all together eight', async () => {
  const ask = async (connection: Connection): Promise<string> => {
    await connection.send({ type: 'HISTORY_QUESTION', path: '', what: 'POINTS' })
    return await refusal(connection.receive(['HISTORY_ANSWER']))
  }
  const open = [await server.greeted('laptop'), await server.greeted('laptop')]
  expect(await Promise.all(open.map(ask))).toEqual(['none', 'none'])
  expect(await ask(await server.greeted('laptop'))).toBe('SERVER_BUSY')
  for (let i = 0; i < 6; i++) expect(await ask(await server.greeted(`other${String(i)}`))).toBe('none')
  expect(await ask(await server.greeted('late'))).toBe('SERVER_BUSY')
  await open[0]?.close()
  await Promise.race(server.sessions.slice(0, 2))
  expect(await ask(await server.greeted('late'))).toBe('none')
})

test('a revoked client gets nothing more in the middle of a restore, and a stopping server ends it', async () => {
  const connection = await server.greeted('laptop')
  await connection.send({ type: 'RESTORE_QUESTION', path: '' })
  await connection.receive(['RESTORE_ANSWER'])
  await listed(connection, [])
  await server.revoke('laptop', Object.assign(new Error('revoked'), { name: 'FileSyncError', code: 'NOT_PAIRED' }))
  expect(await refusal(fetched(connection, [[0, 0]]))).toBe('NOT_PAIRED')
  const other = await server.greeted('laptop')
  server.stopping.abort()
  expect(await refusal(other.receive(['HISTORY_ANSWER']))).toBe('SERVER_STOPPING')
})

test('damaged content is never sent: another copy of it is, or the file is a problem', async () => {
  for (const name of ['a', 'b']) await write('damaged', name, `DAMAGED:${name}`)
  const connection = await server.greeted('damaged')
  await connection.send({ type: 'RESTORE_QUESTION', path: '' })
  await connection.receive(['RESTORE_ANSWER'])
  expect((await listed(connection, [])).map(({ name }) => name)).toEqual(['a', 'b', 'copy'])
  expect(await fetched(connection, [[0, 0], [0, 1], [0, 2]])).toEqual(['damaged:a', 'DAMAGED', 'damaged:a'])
  await connection.close()
})
