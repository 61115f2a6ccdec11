import { mkdir, mkdtemp, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises'
import { existsSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { openArchive } from '@filesync/archive/node'
import type { Archive } from '@filesync/archive'
import { asFileSyncError, LEGACY_LIMITS, LegacyChannel } from '@filesync/protocol'
import type { ByteStream, Clock, RelativePath, TimeZone } from '@filesync/protocol'
import { createHasher, hashBytes, systemClock } from '@filesync/protocol/node'
import { ManualClock, memoryStreamPair } from '@filesync/protocol/testing'
import type { MemoryStreamInit } from '@filesync/protocol/testing'
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { Habits } from '../src/legacy/habits.ts'
import { serveLegacySession } from '../src/legacy/serve-session.ts'
import type { LegacyDependencies, LegacyReport } from '../src/legacy/serve-session.ts'
import { storeFiles } from '../src/legacy/store-files.ts'
import { SessionQueue } from '../src/session-queue.ts'

// Where a disk of memory is to be had, what is made durable costs nothing.
const SCRATCH = existsSync('/dev/shm') ? '/dev/shm' : tmpdir()
const UTC: TimeZone = { toUtcMs: wallMs => wallMs, toWallMs: utcMs => utcMs }
const OLD = '2023-11-14T22:13:20.000001'
const NEW = '2024-01-01T00:00:00.500000'
const ADDRESS = '192.168.1.7'

type Files = Record<string, { readonly content: string | Uint8Array, readonly time?: string }>

let root: string
let archiveRoot: string
let archive: Archive
let deps: LegacyDependencies
let id: string
let clients = 0
const encoder = new TextEncoder()

// Opening an archive starts threads, which takes longer than most of these tests; each test is another client.
beforeAll(async () => {
  root = await mkdtemp(join(SCRATCH, 'filesync-legacy-'))
  archiveRoot = join(root, 'archive')
  await writeFile(join(root, 'canary'), 'untouched')
  archive = await openArchive({ root: archiveRoot, keepMs: 86_400_000, mode: 'mirror', reserveBytes: 0, clock: systemClock, signal: new AbortController().signal })
})

beforeEach(() => {
  id = `pc-${++clients}`
  deps = dependencies(systemClock)
})

afterAll(async () => {
  await archive.close()
  await rm(root, { recursive: true })
})

function dependencies (clock: Clock): LegacyDependencies {
  return {
    queue: new SessionQueue({ maxActive: 1, maxWaiting: 4, clock }),
    areas: () => archive.areas(),
    openArea: async name => await archive.area(name),
    habits: new Habits(),
    hash: hashBytes,
    createHasher,
    clock,
    zone: UTC,
    signal: new AbortController().signal,
    nextSyncInMs: () => 60_000,
  }
}

/** What is read and written at the client's end, to the byte. */
class Wire {
  readonly #stream: ByteStream
  #text = ''
  readonly #decoder = new TextDecoder()

  constructor (stream: ByteStream) {
    this.#stream = stream
  }

  /** Everything up to what ends with `end`. */
  async until (end: string): Promise<string> {
    while (!this.#text.includes(end)) await this.#more()
    const at = this.#text.indexOf(end) + end.length
    const text = this.#text.slice(0, at)
    this.#text = this.#text.slice(at)
    return text
  }

  /** What comes until the server closes. */
  async rest (): Promise<string> {
    while (await this.#more()) { /* until it ends */ }
    return this.#text
  }

  async send (text: string | Uint8Array): Promise<void> {
    await this.#stream.write(typeof text === 'string' ? encoder.encode(text) : text)
  }

  drop (): void { this.#stream.destroy(new Error('gone')) }

  async #more (): Promise<boolean> {
    const chunks = await this.#stream.read()
    for (const chunk of chunks ?? []) this.#text += this.#decoder.decode(chunk, { stream: true })
    return chunks !== undefined
  }
}

function connect (init: MemoryStreamInit = {}, over = deps): { readonly wire: Wire, readonly session: Promise<LegacyReport> } {
  const [theirs, ours] = memoryStreamPair(init)
  const channel = new LegacyChannel(ours, over.clock)
  const session = serveLegacySession(channel, { address: ADDRESS, port: ++ports }, over).catch((error: unknown) => {
    channel.destroy(asFileSyncError(error))
    throw error
  })
  session.catch(() => { /* awaited in the test */ })
  return { wire: new Wire(theirs), session }
}
let ports = 0

const info = (files: Files, clientId: string | null = id): string => JSON.stringify({
  type: 'CLIENT_FILES_INFO', client_id: clientId, files: Object.entries(files).map(([path, { time = OLD }]) => ({ name: path.split('/').at(-1), path, last_mod: time })),
})

async function sendFile (wire: Wire, path: string, { content, time = OLD }: Files[string], size?: number): Promise<void> {
  const bytes = typeof content === 'string' ? encoder.encode(content) : content
  await wire.send(`${JSON.stringify({ type: 'FILE_HEADER', name: path.split('/').at(-1), path, size: size ?? bytes.length, last_mod: time })}\n`)
  await wire.send(bytes)
}

/** A whole session as the original's client holds it. Returns what was asked for. */
async function sync (files: Files, init: MemoryStreamInit & { readonly id?: string | null } = {}): Promise<{ readonly asked: string[], readonly report: LegacyReport }> {
  const { wire, session } = connect(init)
  expect(await wire.until('}')).toBe('{"type":"SERVER_STATUS_MESSAGE","status":"READY"}')
  await wire.send(info(files, init.id === undefined ? id : init.id))
  const reply = await wire.until('\n')
  expect(encoder.encode(reply).length).toBeLessThanOrEqual(8192)
  const tasks = JSON.parse(reply) as { type: string, files_to_send: string[] }
  expect(Object.keys(tasks)).toEqual(['type', 'files_to_send'])
  const asked = new Set(tasks.files_to_send)
  for (const [path, file] of Object.entries(files)) if (asked.has(path)) await sendFile(wire, path, file)
  expect(await wire.rest()).toMatch(/^\{"type":"NEXT_SYNC","time":"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}"\}$/u)
  return { asked: [...asked], report: await session }
}

/** Lets time pass until a session is over. What it does in between takes no time on the clock. */
async function passTime (clock: ManualClock, session: Promise<unknown>, each: () => Promise<void> = async () => { /* nothing */ }): Promise<number> {
  let isOver = false
  session.catch(() => { isOver = true })
  for (let seconds = 0; ; seconds++) {
    await new Promise(resolve => { setImmediate(resolve) })
    if (isOver || seconds > 1_000) return seconds
    await each()
    clock.advance(1_000)
  }
}

const stored = async (path: string, area = `client_${id}`): Promise<string> => await readFile(join(archiveRoot, 'legacy', area, path), 'utf8')
const names = async (area = `client_${id}`): Promise<string[]> => (await readdir(join(archiveRoot, 'legacy', area), { recursive: true })).sort()

describe('a client of the original program', () => {
  test.each([undefined, 1, 7])('is mirrored, also in pieces of %s bytes', async chunkBytes => {
    const files: Files = { 'a.txt': { content: 'alpha' }, 'd/b.txt': { content: 'beta\n', time: NEW }, 'd/e/empty': { content: '' }, 'ü 日本': { content: 'x' } }
    const first = await sync(files, chunkBytes === undefined ? {} : { chunkBytes })
    expect(first.asked).toEqual(Object.keys(files))
    expect(first.report).toMatchObject({ area: `legacy/client_${id}`, result: 'OK', stored: { files: 4 }, isMore: false })
    expect(await names()).toEqual(['a.txt', 'd', 'd/b.txt', 'd/e', 'd/e/empty', 'ü 日本'])
    expect(await stored('d/b.txt')).toBe('beta\n')
    expect((await stat(join(archiveRoot, 'legacy', `client_${id}`, 'd', 'b.txt'))).mtimeMs).toBeCloseTo(Date.parse(`${NEW}Z`), 0)
    const second = await sync(files)
    expect(second).toMatchObject({ asked: [], report: { stored: { files: 0, deleted: 0 } } })
  })

  test('sends what is newer, and what is older than the copy', async () => {
    await sync({ a: { content: 'one' }, b: { content: 'two', time: NEW }, c: { content: 'three' } })
    const { asked } = await sync({ a: { content: 'uno', time: NEW }, b: { content: 'due', time: OLD }, c: { content: 'three' } })
    expect(asked).toEqual(['a', 'b'])
    expect([await stored('a'), await stored('b'), await stored('c')]).toEqual(['uno', 'due', 'three'])
  })

  test('is never locked out of a file by a time in the far future', async () => {
    await sync({ a: { content: 'poison', time: '9999-12-31T23:59:59' } })
    expect((await sync({ a: { content: 'poison', time: '9999-12-31T23:59:59' } })).asked).toEqual([])
    expect((await sync({ a: { content: 'cure', time: NEW } })).asked).toEqual(['a'])
    expect(await stored('a')).toBe('cure')
  })

  test('finds what vanished in versions, not in the mirror', async () => {
    await sync({ 'keep': { content: '1' }, 'gone/x': { content: '2' } })
    const { report } = await sync({ keep: { content: '1' } })
    expect(report).toMatchObject({ result: 'OK', stored: { deleted: 1 } })
    expect(await names()).toEqual(['keep'])
    const kept = await readdir(join(archiveRoot, '.filesync', 'versions'), { recursive: true })
    expect(kept.some(path => path.includes(id) && path.endsWith('gone/x'))).toBe(true)
  })

  test('of 50,000 files is served in seconds, those that are stored among them', { timeout: 60_000 }, async () => {
    const list = (count: number): Files => Object.fromEntries(Array.from({ length: count }, (_, i) => [`d${i % 2}/file ${i}`, { content: `${i}` }]))
    const area = await archive.area(`legacy/client_${id}`)
    const few = Object.entries(list(4_000)).map(([path, { content }]) => ({ path: path as RelativePath, content: encoder.encode(content as string), sizeBytes: content.length, mtimeNs: 1_700_000_000_000_001_000n }))
    await storeFiles({ area, files: new Map(few.map(file => [file.path, file])), arriving: few, complete: true, hash: hashBytes, createHasher })
    const { asked, report } = await sync(list(50_000))
    expect(asked.slice(0, 2)).toEqual(['d0/file 4000', 'd1/file 4001'])
    expect(report).toMatchObject({ result: 'OK', isMore: true, stored: { files: asked.length, deleted: 0 } })
  })

  test('that lists more directories than files may be is refused', async () => {
    const deep = Array.from({ length: 2_000 }, (_, i) => `${Array.from({ length: 60 }, (_, level) => `${i}-${level}`).join('/')}/f`)
    const { wire, session } = connect()
    await wire.until('}')
    await wire.send(info(Object.fromEntries(deep.map(path => [path, { content: '' }]))))
    await expect(session).rejects.toEqual(expect.objectContaining({ code: 'LIMIT_EXCEEDED' }))
    expect(archive.areas()).not.toContain(`legacy/client_${id}`)
  })

  test('of 300 files with long names converges over several syncs, each at once after the last', async () => {
    const files: Files = Object.fromEntries(Array.from({ length: 300 }, (_, i) => [`${'folder with a long name '.repeat(3)}${i % 5}/file ${i} ${'x'.repeat(40)}`, { content: `content ${i}` }]))
    let rounds = 0
    for (let isMore = true; isMore; rounds++) {
      const { asked, report } = await sync(files)
      expect(asked.length).toBe(report.stored.files)
      expect(report.stored.deleted).toBe(0)
      isMore = report.isMore
    }
    expect(rounds).toBe(5)
    expect((await names()).filter(name => name.includes('/')).length).toBe(300)
    for (const [path, { content }] of Object.entries(files)) expect(await stored(path)).toBe(content)
  })

  test('sends files beyond the size of a pack', async () => {
    const large = new Uint8Array(3_000_000).map((_, i) => i * 31 + (i >> 9))
    const { report } = await sync({ 'before': { content: '1' }, 'large.bin': { content: large }, 'z/behind': { content: '2' } })
    expect(report).toMatchObject({ result: 'OK', stored: { files: 3, bytes: 3_000_002 } })
    expect(new Uint8Array(await readFile(join(archiveRoot, 'legacy', `client_${id}`, 'large.bin'))).every((byte, i) => byte === large[i])).toBe(true)
    expect(await names()).toEqual(['before', 'large.bin', 'z', 'z/behind'])
  })

  test('without an id has an area by its address', async () => {
    expect((await sync({ a: { content: '1' } }, { id: null })).report.area).toBe('legacy/client_192_168_1_7')
    expect(await stored('a', 'client_192_168_1_7')).toBe('1')
  })

  test('that lost most of its files is halted, and its new file is stored', async () => {
    const many: Files = Object.fromEntries(Array.from({ length: 130 }, (_, i) => [`f${i}`, { content: `${i}` }]))
    await sync(many)
    const { report } = await sync({ new: { content: 'n' } })
    expect(report).toMatchObject({ result: 'HALTED', stored: { files: 1, deleted: 0 } })
    expect((await names()).length).toBe(131)
    expect((await archive.area(`legacy/client_${id}`)).halted).toMatchObject({ vanishing: 130 })
    await (await archive.area(`legacy/client_${id}`)).release()
    expect((await sync({ new: { content: 'n' } })).report).toMatchObject({ result: 'OK', stored: { deleted: 130 } })
    expect(await names()).toEqual(['new'])
  })

  test('that has to wait hears BUSY once, and READY when it is its turn', async () => {
    const first = connect()
    await first.wire.until('}')
    const second = connect()
    const third = connect()
    expect(await second.wire.until('}')).toContain('"BUSY"')
    expect(await third.wire.until('}')).toContain('"BUSY"')
    third.wire.drop()
    await expect(third.session).rejects.toMatchObject({ code: 'PEER_GONE' })
    await first.wire.send(info({}))
    await first.wire.rest()
    expect(await second.wire.until('}')).toBe('{"type":"SERVER_STATUS_MESSAGE","status":"READY"}')
    await second.wire.send(info({}))
    expect(await second.wire.rest()).toMatch(/^\{"type":"TASKS","files_to_send":\[\]\}\n\{"type":"NEXT_SYNC"/u)
  })

  test('that is cut off leaves whole files only, and the next sync converges', async () => {
    await sync({ old: { content: 'stays' }, large: { content: 'small once' } })
    const files: Files = { small: { content: 's' }, large: { content: new Uint8Array(900_000).fill(7), time: NEW }, never: { content: 'n' } }
    const { wire, session } = connect()
    await wire.until('}')
    await wire.send(info(files))
    await wire.until('\n')
    await sendFile(wire, 'small', { content: 's' })
    await sendFile(wire, 'large', { content: new Uint8Array(500_000).fill(7), time: NEW }, 900_000)
    wire.drop()
    await expect(session).rejects.toMatchObject({ code: 'PEER_GONE' })
    expect(await stored('large')).toBe('small once')
    expect(await names()).toEqual(['large', 'old', 'small'])
    expect((await sync(files)).asked).toEqual(['large', 'never'])
    expect((await stat(join(archiveRoot, 'legacy', `client_${id}`, 'large'))).size).toBe(900_000)
    expect(await names()).toEqual(['large', 'never', 'small'])
  })

  test('that goes away when it is asked is asked in one segment from then on', async () => {
    const files: Files = Object.fromEntries(Array.from({ length: 300 }, (_, i) => [`a file with a number ${i}`, { content: '' }]))
    const { wire, session } = connect()
    await wire.until('}')
    await wire.send(info(files))
    expect((await wire.until('\n')).length).toBeGreaterThan(LEGACY_LIMITS.segmentBytes)
    wire.drop()
    await expect(session).rejects.toThrow()
    expect(JSON.stringify({ type: 'TASKS', files_to_send: (await sync(files)).asked }).length).toBeLessThan(LEGACY_LIMITS.segmentBytes)
  })
})

describe('a hostile client', () => {
  const outside = async (): Promise<void> => {
    expect(await readFile(join(root, 'canary'), 'utf8')).toBe('untouched')
    expect((await readdir(root)).sort()).toEqual(['archive', 'canary'])
    expect((await readdir(archiveRoot)).filter(name => name !== '.filesync' && name !== 'legacy' && name !== 'paired')).toEqual([])
  }

  test.each(['a/../../../victim', '..', '.', '...', '', '/etc', 'a\\b', 'a b', 'ü', 'a\u0000', 'x'.repeat(65), 'nul.txt/..', 'ends.'])('cannot call itself %j', async wish => {
    const { wire, session } = connect()
    await wire.until('}')
    await wire.send(info({ x: { content: '1' } }, wish))
    await expect(session).rejects.toMatchObject({ code: 'NAME_INVALID' })
    await outside()
  })

  test('cannot be another client by another spelling', async () => {
    await sync({ a: { content: '1' } }, { id: 'Alice' })
    const { wire, session } = connect()
    await wire.until('}')
    await wire.send(info({}, 'alice'))
    await expect(session).rejects.toMatchObject({ code: 'NAME_INVALID' })
  })

  test('cannot name a path outside, and the rest of its files is stored', async () => {
    await mkdir(join(archiveRoot, 'paired'))
    await writeFile(join(archiveRoot, 'paired', 'file'), 'paired')
    const paths = [
      '', '/etc/passwd', '..', '../x', 'a/../../x', 'a/..', './a', 'a//b', 'a/', 'a\0b', 'a\nb', '\u001b]0;x\u0007', 'a\u202etxt.exe', '\ud800', 'x'.repeat(256),
      `${'é'.repeat(128)}`, 'a/'.repeat(65) + 'b', '.filesync/staging/x', '.FileSync', '.ﬁlesync', '../client_other/x', '../../paired/file',
    ]
    const good = ['..a', 'a..', '-rf', '$(id)', '%2e%2e', '__proto__/x', 'constructor', '.git/config', 'CON']
    const { asked, report } = await sync(Object.fromEntries([...paths, ...good].map(path => [path, { content: path }])))
    expect(asked.sort()).toEqual([...good].sort())
    expect(report).toMatchObject({ result: 'PROBLEMS', stored: { files: good.length } })
    expect(report.problems.length).toBe(paths.length)
    await outside()
    expect(await readFile(join(archiveRoot, 'paired', 'file'), 'utf8')).toBe('paired')
    expect((await sync({})).report.stored.deleted).toBe(good.length)
    await outside()
  })

  test('cannot have a path twice, or as a file and a directory', async () => {
    const { wire, session } = connect()
    await wire.until('}')
    const file = (path: string): string => `{"name":"x","path":"${path}","last_mod":"${OLD}"}`
    await wire.send(`{"type":"CLIENT_FILES_INFO","client_id":"${id}","files":[${['a', 'a', 'a/b', 'c/d', 'c'].map(file).join()}]}`)
    expect(JSON.parse(await wire.until('\n'))).toEqual({ type: 'TASKS', files_to_send: ['a', 'c/d'] })
    await sendFile(wire, 'a', { content: '1' })
    await sendFile(wire, 'c/d', { content: '2' })
    expect((await session).problems.map(({ path, code }) => `${code} ${path}`)).toEqual(['NAME_COLLIDES a', 'NAME_COLLIDES a/b', 'NAME_COLLIDES c'])
  })

  test.each([
    ['a list of many files', `{"type":"CLIENT_FILES_INFO","client_id":null,"files":[${'{"name":"","path":"a","last_mod":""},'.repeat(LEGACY_LIMITS.listFiles + 2)}`, 'LIMIT_EXCEEDED'],
    ['a list without end', `{"type":"CLIENT_FILES_INFO","client_id":"${'x'.repeat(LEGACY_LIMITS.listBytes)}`, 'LIMIT_EXCEEDED'],
    ['a deep list', '{"type":"CLIENT_FILES_INFO","files":[[[[[[', 'LIMIT_EXCEEDED'],
    ['another message', '{"type":"TASKS","files_to_send":[]}', 'MESSAGE_INVALID'],
    ['a path that is no text', `{"type":"CLIENT_FILES_INFO","client_id":null,"files":[{"name":"x","path":42,"last_mod":"${OLD}"}]}`, 'MESSAGE_INVALID'],
    ['a time that is none', '{"type":"CLIENT_FILES_INFO","client_id":null,"files":[{"name":"x","path":"x","last_mod":"soon"}]}', 'MESSAGE_INVALID'],
    ['an HTTP request', 'GET / HTTP/1.1\r\n\r\n', 'MESSAGE_INVALID'],
  ])('is cut off for %s', async (_, text, code) => {
    const { wire, session } = connect({ capacityBytes: 1 << 26 })
    await wire.until('}')
    await wire.send(text)
    await expect(session).rejects.toMatchObject({ code })
    expect(archive.areas()).not.toContain(`legacy/client_${id}`)
  })

  test.each([
    ['a file that was not asked for', 'other', 1, 'DATA_UNEXPECTED'],
    ['a negative size', 'a', -1, 'MESSAGE_INVALID'],
    ['a size that is no whole number', 'a', 1.5, 'MESSAGE_INVALID'],
    ['a size beyond all files', 'a', 2 ** 53, 'MESSAGE_INVALID'],
    ['a size beyond the disk', 'a', 2 ** 49, 'ARCHIVE_FULL'],
  ])('is cut off for %s', async (_, path, size, code) => {
    const { wire, session } = connect()
    await wire.until('}')
    await wire.send(info({ a: { content: '1' } }))
    await wire.until('\n')
    await sendFile(wire, path, { content: '1' }, size)
    await expect(session).rejects.toMatchObject({ code })
  })

  test('cannot send a file twice', async () => {
    const { wire, session } = connect()
    await wire.until('}')
    await wire.send(info({ a: { content: '1' }, b: { content: '2' } }))
    await wire.until('\n')
    await sendFile(wire, 'a', { content: '1' })
    await sendFile(wire, 'a', { content: '2' })
    await expect(session).rejects.toMatchObject({ code: 'DATA_UNEXPECTED' })
    expect(await stored('a')).toBe('1')
  })

  test.each([
    ['before its list', (): string => ''],
    ['in its list', (): string => '{"type":"CLIENT_FILES_INFO","client_id":'],
    ['when it is asked', (): string => info({ a: { content: '1' } })],
    ['in a file', (): string => `${info({ a: { content: '1' } })}{"type":"FILE_HEADER","name":"a","path":"a","size":10,"last_mod":"${OLD}"}\n12345`],
  ])('that falls silent %s loses its turn', async (_, saying) => {
    const clock = new ManualClock()
    const { wire, session } = connect({}, dependencies(clock))
    await wire.until('}')
    const text = saying()
    await wire.send(text)
    if (text.includes('"a"')) await wire.until('\n')
    await passTime(clock, session)
    await expect(session).rejects.toMatchObject({ code: 'PEER_TIMEOUT' })
  })

  test('that sends a byte now and then loses its turn', async () => {
    const clock = new ManualClock()
    const { wire, session } = connect({}, dependencies(clock))
    await wire.until('}')
    await wire.send(`${info({ a: { content: '1' } })}`)
    await wire.until('\n')
    await wire.send(`{"type":"FILE_HEADER","name":"a","path":"a","size":100000,"last_mod":"${OLD}"}\n`)
    const seconds = await passTime(clock, session, async () => { await wire.send('x').catch(() => { /* it was cut off */ }) })
    await expect(session).rejects.toMatchObject({ code: 'PEER_TIMEOUT' })
    expect(seconds).toBeLessThan(100)
  })

  test('cannot make more than so many folders', async () => {
    const names = Array.from({ length: 256 }, (_, i) => `legacy/client_${i}`)
    const { wire, session } = connect({}, { ...deps, areas: () => names })
    await wire.until('}')
    await wire.send(info({ a: { content: '1' } }))
    await expect(session).rejects.toMatchObject({ code: 'LIMIT_EXCEEDED' })
  })
})
