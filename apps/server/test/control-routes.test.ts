import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import type { SyncPlan } from '@filesync/archive'
import { memoryArchive } from '@filesync/archive/testing'
import { EventFeed } from '@filesync/program'
import { formatDeviceId, PairingDesk, parsePairingCode, PeerBook, TokenBook, toDeviceId } from '@filesync/identity'
import type { AuditEvent, DeviceId } from '@filesync/identity'
import { nodeCrypto } from '@filesync/identity/node'
import { memoryRecords } from '@filesync/identity/testing'
import type { RelativePath } from '@filesync/protocol'
import { hashBytes } from '@filesync/protocol/node'
import { ManualClock } from '@filesync/protocol/testing'
import type { ControlRoutes } from '@filesync/program/node'
import { controlRoutes } from '../src/status/control-routes.ts'
import { describeStatus } from '../src/commands/status.ts'
import { CloneWatch } from '../src/status/clone-watch.ts'
import { PeerOperations } from '../src/peers/peer-operations.ts'
import { Health } from '../src/status/health.ts'
import type { Status } from '../src/status/health.ts'
import { SessionBoard } from '../src/status/session-board.ts'
import { SessionQueue } from '../src/schedule/session-queue.ts'
import { SyncHistory } from '../src/status/sync-history.ts'
import type { SyncRecord } from '../src/status/sync-history.ts'
import { arrivalOf } from './support/queue.ts'

const id = (fill: number): DeviceId => toDeviceId(new Uint8Array(32).fill(fill))
const usage: unknown = expect.objectContaining({ code: 'USAGE' })

let clock: ManualClock
let peers: PeerBook
let desk: PairingDesk
let queue: SessionQueue
let ended: [peer: string, code: string][]
let logged: string[]
let routes: ControlRoutes
let events: EventFeed
let board: SessionBoard
let history: SyncHistory
let stateDir: string
const isoTime = (timeMs: number): string => new Date(timeMs).toISOString()

async function openHistory (): Promise<SyncHistory> {
  return await SyncHistory.open(stateDir, clock, aside => { throw new Error(`damaged: ${aside}`) })
}

beforeEach(async () => {
  clock = new ManualClock()
  const audited: AuditEvent[] = []
  const audit = { record: async (event: AuditEvent) => { audited.push(event) } }
  peers = new PeerBook(memoryRecords(), { clock, audit })
  const tokens = new TokenBook(memoryRecords(), { crypto: nodeCrypto, clock, audit })
  desk = new PairingDesk({ serverId: id(9), serverName: 'nas', peers, tokens, audit, crypto: nodeCrypto, clock })
  queue = new SessionQueue({ maxActive: 1, maxWaiting: 9, clock })
  ended = []
  logged = []
  events = new EventFeed()
  board = new SessionBoard(clock, event => { events.push({ ...event }) })
  stateDir = await mkdtemp(join(tmpdir(), 'filesync-health-'))
  history = await openHistory()
  const archive = memoryArchive({ clock, hash: hashBytes, reserveBytes: 7 })
  const health = new Health({
    archive, desk, peers, queue, board, history, clones: new CloneWatch(clock), clock, quotaBytes: undefined,
    describe: () => ({ id: 'x', name: 'nas', version: '1', port: 42, discovery: true, archive: '/srv', startedAt: isoTime(clock.nowMs()) }),
  })
  const operations = new PeerOperations({
    peers, archive, history,
    log: event => { logged.push(event.event) },
    endSessions: async (peer, error) => { ended.push([peer, error.code]) },
  })
  routes = controlRoutes({
    desk, health, events,
    revoke: async named => await operations.revoke(named),
    areaNamed: async named => await operations.area(named),
  })
})

afterEach(async () => { await rm(stateDir, { recursive: true }) })

const ask = async (route: string, body?: unknown): Promise<unknown> => await routes[route]?.(body, new AbortController().signal)
const enter = (identity: string): void => { void queue.enter(arrivalOf(identity)) }

describe('POST /pair', () => {
  test('opens pairing for the requested time', async () => {
    expect(desk.isOpen).toBe(false)
    const { code, ttlMs } = await ask('POST /pair', { ttlMs: 60_000 }) as { code: string, ttlMs: number }
    expect(parsePairingCode(code)).toBeDefined()
    expect(ttlMs).toBe(60_000)
    clock.advance(59_999)
    expect(desk.isOpen).toBe(true)
    clock.advance(1)
    expect(desk.isOpen).toBe(false)
  })

  const invalid = [undefined, null, 'x', {}, { ttlMs: 'x' }, { ttlMs: 0 }, { ttlMs: -1 }, { ttlMs: NaN }, { ttlMs: 86_400_001 }]
  test.each(invalid)('rejects %j', async body => {
    await expect(ask('POST /pair', body)).rejects.toEqual(usage)
    expect(desk.isOpen).toBe(false)
  })
})

describe('POST /revoke', () => {
  test('a revoked client is no longer trusted, and its sessions end', async () => {
    await peers.admit({ id: id(1), requestedName: 'laptop', via: 'manual' })
    expect(await ask('POST /revoke', { peer: 'laptop' })).toEqual({ area: 'laptop', id: formatDeviceId(id(1)) })
    expect(ended).toEqual([[id(1), 'NOT_PAIRED']])
    expect(logged).toEqual(['revoked'])
    await expect(peers.authorize(id(1), '127.0.0.1')).rejects.toEqual(expect.objectContaining({ code: 'NOT_PAIRED' }))
  })

  test('revoking an unknown client ends no session', async () => {
    await expect(ask('POST /revoke', { peer: 'nobody' })).rejects.toThrow()
    expect(ended).toEqual([])
  })

  test.each([undefined, null, [], {}, { peer: 7 }])('rejects %j', async body => {
    await expect(ask('POST /revoke', body)).rejects.toEqual(usage)
  })
})

describe('GET /status', () => {
  const status = async (): Promise<Status> => await ask('GET /status') as Status

  test('lists the clients that are served and that wait, by folder name', async () => {
    expect(await status()).toMatchObject({
      name: 'nas', port: 42, pairing: false, active: [], queued: [], sessions: [], queue: [], peers: [],
    })
    await peers.admit({ id: id(1), requestedName: 'laptop', via: 'manual' })
    await peers.admit({ id: id(2), requestedName: 'camera', via: 'manual' })
    for (const who of [2, 1]) enter(id(who))
    await desk.openWindow()
    expect(await status()).toMatchObject({
      pairing: true, active: ['camera'], queued: ['laptop'], queue: [{ client: 'laptop', position: 1, estimateMs: null }],
    })
    expect(await ask('GET /queue')).toEqual((await status()).queue)
    expect(describeStatus(await status(), clock.nowMs())).toContain('waiting   1. laptop\n')
  })

  test('shows the progress of a session', async () => {
    const watched = board.watch('laptop', '10.0.0.7')
    watched.onWaiting(1, undefined)
    expect(await ask('GET /sessions')).toEqual([])
    watched.onTurn()
    const startedAt = isoTime(clock.nowMs())
    expect(await ask('GET /sessions')).toMatchObject([{ client: 'laptop', address: '10.0.0.7', doing: 'comparing', startedAt }])
    const plan: SyncPlan = {
      tasks: [],
      retryTasks: () => [],
      taskCount: 4,
      bytes: 8_000_000,
      renamed: 0,
      vanishing: 0,
      unfit: 0,
      describe: () => ({ path: 'a/b' as RelativePath, sizeBytes: 1, mtimeNs: 0n }),
    }
    watched.onPlan(plan)
    clock.advance(1_000)
    watched.onProgress({ files: 1, bytes: 2_000_000, carriedBytes: 2_000_000, filesWanted: 4 })
    const beginFile = async (): Promise<never> => { throw new Error('not used') }
    const staging = { stagePack: async () => [], compareDigests: async () => [], beginFile }
    await watched.observeStaging(staging, plan).beginFile(0, 0).catch(() => 0)
    expect(await ask('GET /sessions')).toMatchObject([{
      doing: 'receiving',
      files: 1,
      filesWanted: 4,
      bytes: 2_000_000,
      bytesWanted: 8_000_000,
      bytesPerSecond: 2_000_000,
      remainingMs: 3_000,
      path: 'a/b',
    }])
    const text = describeStatus(await status(), clock.nowMs())
    expect(text).toContain('serving   laptop  1 of 4 files, 2.00 MB of 8.00 MB, 2.00 MB/s, 3.0 s left, a/b\n')
    board.remove(watched)
    expect(await ask('GET /sessions')).toEqual([])
  })

  test('shows the last complete sync of each client and what was not stored, also after a restart', async () => {
    await peers.admit({ id: id(1), requestedName: 'laptop', via: 'manual' })
    expect(await ask('GET /peers')).toMatchObject([
      { client: 'laptop', lastCompleteAt: null, lastResult: null, problems: [], halted: false, revokedAt: null },
    ])
    const completeAtMs = clock.nowMs()
    const nextAtMs = completeAtMs + 60_000
    history.note({ client: 'laptop', endedAtMs: completeAtMs, result: 'OK', problemCount: 0, problems: [], nextAtMs })
    clock.advance(60_000)
    const problems = [{ path: 'pipe\u001b', code: 'SPECIAL_FILE', message: 'it is a pipe' }]
    history.note({ client: 'laptop', endedAtMs: clock.nowMs(), result: 'PROBLEMS', problemCount: 1, problems })
    expect(await ask('GET /peers')).toMatchObject([{
      client: 'laptop',
      lastCompleteAt: isoTime(completeAtMs),
      lastEndedAt: isoTime(clock.nowMs()),
      lastResult: 'problems',
      problemCount: 1,
      problems,
    }])
    await history.close()
    const again = await openHistory()
    expect(again.of('laptop')).toEqual(history.of('laptop'))
    const text = describeStatus(await status(), clock.nowMs())
    expect(text).toContain('clients   laptop  complete 1 min ago, never seen, 1 not stored\n')
    expect(text).toContain('pipe\\u{1b}: it is a pipe\n')
    expect(text).not.toContain('more')
  })

  test('the last sync of a client counts as last seen, though not every arrival is recorded', async () => {
    await peers.admit({ id: id(1), requestedName: 'laptop', via: 'manual' })
    await peers.recordSeen(id(1), '10.0.0.7')
    clock.advance(30_000)
    history.note({ client: 'laptop', endedAtMs: clock.nowMs(), result: 'OK', problemCount: 0, problems: [] })
    expect(await ask('GET /peers')).toMatchObject([{ lastSeenAt: isoTime(clock.nowMs()), lastAddress: '10.0.0.7' }])
  })

  test('counts the entries that were not stored, beyond the ones that it lists', async () => {
    await peers.admit({ id: id(1), requestedName: 'laptop', via: 'manual' })
    const problemOf = (number: number): SyncRecord['problems'][number] => (
      { path: `pipe${number}`, code: 'SPECIAL_FILE', message: 'it is a pipe' }
    )
    const problems = Array.from({ length: 150 }, (_, number) => problemOf(number))
    history.note({ client: 'laptop', endedAtMs: clock.nowMs(), result: 'PROBLEMS', problemCount: 2_000_000, problems })
    expect(await ask('GET /peers')).toMatchObject([{ problemCount: 2_000_000, problems: problems.slice(0, 20) }])
    const text = describeStatus(await status(), clock.nowMs())
    expect(text).toContain(', 2000000 not stored\n')
    expect(text).toContain('    pipe19: it is a pipe\n              and 1999980 more\n')
  })

  test('shows the space of the disk', async () => {
    expect(await ask('GET /disk')).toEqual({
      totalBytes: 2 ** 40, freeBytes: 2 ** 40, reserveBytes: 7, quotaBytes: null, files: 0, bytes: 0, areas: [],
    })
  })
})

test('GET /events streams the events that follow', async () => {
  const gone = new AbortController()
  const read = routes['GET /events']?.(undefined, gone.signal) as AsyncGenerator<unknown, void, undefined>
  const watched = board.watch('laptop', '10.0.0.7')
  watched.onWaiting(2, 5_000)
  watched.onTurn()
  expect((await read.next()).value).toEqual({ event: 'waiting', client: 'laptop', position: 2, estimateMs: 5_000 })
  expect((await read.next()).value).toEqual({ event: 'turn', client: 'laptop', address: '10.0.0.7' })
  gone.abort()
  expect((await read.next()).done).toBe(true)
})

test('closing a history that cannot be written fails, and a later write is complete', async () => {
  const record = { client: 'laptop', endedAtMs: 1_000_000, result: 'OK', problemCount: 0, problems: [] } as const
  // Blocks the temporary file that is renamed into place.
  await mkdir(join(stateDir, 'history.json.new'))
  history.note(record)
  const message: unknown = expect.stringMatching(/history\.json cannot be written: EISDIR.*No pushed file is lost/u)
  await expect(history.close()).rejects.toMatchObject({ code: 'STATE_INVALID', message })
  await rm(join(stateDir, 'history.json.new'), { recursive: true })
  history.note(record)
  await history.close()
  expect((await openHistory()).of('laptop')).toMatchObject(record)
})

const DAMAGED = ['{"version":1,"syncs":[{}]}', '{"version":2,"syncs":[]}', 'no JSON', '']

test.each(DAMAGED)('a damaged history (%j) is renamed, and a new one begins', async text => {
  await writeFile(join(stateDir, 'history.json'), text)
  const reported: string[] = []
  const begun = await SyncHistory.open(stateDir, clock, aside => { reported.push(aside) })
  expect(reported).toEqual([join(stateDir, 'history.json.damaged')])
  expect(await readFile(join(stateDir, 'history.json.damaged'), 'utf8')).toBe(text)
  begun.note({ client: 'laptop', endedAtMs: 1_000_000, result: 'OK', problemCount: 0, problems: [] })
  await begun.close()
  expect((await openHistory()).of('laptop')).toMatchObject({ result: 'OK' })
})

test('an unreadable history is reported with its path', async () => {
  await mkdir(join(stateDir, 'history.json'))
  const message: unknown = expect.stringMatching(/history\.json cannot be read: EISDIR/u)
  await expect(openHistory()).rejects.toMatchObject({ code: 'STATE_INVALID', message })
})
