import { beforeEach, describe, expect, test } from 'vitest'
import { openConnection } from '@filesync/protocol'
import type { Connection, FileSyncError, RawFrameType } from '@filesync/protocol'
import { ManualClock, memoryStreamPair } from '@filesync/protocol/testing'
import { Schedule } from '../src/schedule/schedule.ts'
import { SessionQueue } from '../src/schedule/session-queue.ts'
import { SessionTurn } from '../src/session/session-turn.ts'
import { SharedLimit } from '../src/schedule/shared-limit.ts'
import { parseWindow } from '../src/schedule/windows.ts'
import { arrivalOf } from './support/queue.ts'
import { passTime, UTC } from './support/time.ts'

const SESSION_TIME_MS = 30_000
const NIGHT = Date.parse('2026-11-22T23:00Z')

let clock: ManualClock
let queue: SessionQueue
let stopping: AbortController
let client: Connection
let server: Connection

beforeEach(() => {
  clock = new ManualClock(NIGHT)
  queue = new SessionQueue({ maxActive: 1, maxWaiting: 9, clock })
  stopping = new AbortController()
  const [left, right] = memoryStreamPair()
  client = openConnection({ stream: left, clock })
  server = openConnection({ stream: right, clock })
})

interface BeginInit {
  readonly windows?: readonly string[]
  readonly limit?: SharedLimit
}

async function begin ({ windows = [], limit }: BeginInit = {}): Promise<{ turn: SessionTurn, wrapped: Connection }> {
  const schedule = new Schedule({ intervalMs: 3_600_000, windows: windows.map(parseWindow), zone: UTC, clock, random: () => 0 })
  const rules = { schedule, stopping: stopping.signal, sessionTimeMs: SESSION_TIME_MS, limit }
  const turn = new SessionTurn({ identity: 'a', queue, clock, rules })
  await enter('a')
  turn.begin()
  return { turn, wrapped: turn.wrap(server) }
}

async function enter (identity: string): Promise<void> {
  const entering = queue.enter(arrivalOf(identity))
  if (queue.waitingCount === 0) await entering
}

/** Sends a frame and receives it: resolves with its type, or with the code of the error that ends the session. */
async function next (wrapped: Connection, send: RawFrameType): Promise<string> {
  const taken = wrapped.next().then(
    incoming => incoming.kind === 'raw' ? incoming.type : incoming.message.type,
    (error: FileSyncError) => error.code,
  )
  await client.sendRaw(send, [new Uint8Array(100)])
  return await taken
}

async function pass (delayMs: number): Promise<void> {
  await passTime(clock, delayMs)
}

describe('a session that runs for long', () => {
  test('goes on while nobody waits, and yields if another client does', async () => {
    const { wrapped } = await begin()
    expect(await next(wrapped, 'PACK')).toBe('PACK')
    await pass(10 * SESSION_TIME_MS)
    expect(await next(wrapped, 'DATA')).toBe('DATA')
    await enter('b')
    expect(await next(wrapped, 'DATA')).toBe('SESSION_YIELDED')
  })

  test('has its whole session time, counted from the first file', async () => {
    const { wrapped } = await begin()
    await enter('b')
    await pass(3 * SESSION_TIME_MS)
    expect(await next(wrapped, 'LISTINGS')).toBe('LISTINGS')
    expect(await next(wrapped, 'PACK')).toBe('PACK')
    await pass(SESSION_TIME_MS - 1000)
    expect(await next(wrapped, 'PACK')).toBe('PACK')
    await pass(1000)
    expect(await next(wrapped, 'PACK')).toBe('SESSION_YIELDED')
  })

  test('yields before the first file only after ten times as long', async () => {
    const { wrapped } = await begin()
    await enter('b')
    await pass(10 * SESSION_TIME_MS - 1000)
    expect(await next(wrapped, 'LISTINGS')).toBe('LISTINGS')
    await pass(1000)
    expect(await next(wrapped, 'LISTINGS')).toBe('SESSION_YIELDED')
  })
})

describe('a session that waits for the client', () => {
  test('ends when the server stops, and says when to return', async () => {
    const { turn, wrapped } = await begin()
    const waiting = [wrapped.next(), turn.race(new Promise(() => { /* never */ }))]
    const stopped = { code: 'SERVER_STOPPING', retryInMs: expect.any(Number) as unknown }
    const ended = Promise.all(waiting.map(async wait => { await expect(wait).rejects.toMatchObject(stopped) }))
    stopping.abort()
    await ended
    expect((turn.signal.reason as FileSyncError).retryInMs).toBeGreaterThanOrEqual(1_000)
  })

  test('ends at the end of the window', async () => {
    const { wrapped } = await begin({ windows: ['22:00-23:05'] })
    const closed = { code: 'OUTSIDE_WINDOW', retryInMs: 22 * 3_600_000 + 55 * 60_000 }
    const ended = expect(wrapped.next()).rejects.toMatchObject(closed)
    await pass(300_000)
    await ended
  })

  test('leaves no timer and no listener when it ends by itself', async () => {
    const before = clock.scheduled
    const { turn } = await begin({ windows: ['22:00-06:00'] })
    expect(clock.scheduled).toBe(before + 1)
    turn.end()
    expect(clock.scheduled).toBe(before)
    stopping.abort()
    expect(turn.signal.aborted).toBe(false)
  })
})

test('no session begins outside of the windows, or while the server stops', async () => {
  clock.jump(-12 * 3_600_000)
  await expect(begin({ windows: ['22:00-06:00'] })).rejects.toMatchObject({ code: 'OUTSIDE_WINDOW' })
  stopping.abort()
  await expect(begin()).rejects.toMatchObject({ code: 'SERVER_STOPPING' })
})

test('received frames are held back to the shared rate limit', async () => {
  const limit = new SharedLimit(1_000, clock)
  const { wrapped } = await begin({ limit })
  for (let frame = 0; frame < 4; frame++) expect(await Promise.race([next(wrapped, 'DATA'), pass(200)])).toBe('DATA')
  const held = next(wrapped, 'DATA')
  let isTaken = false
  void held.then(() => { isTaken = true })
  await limit.open().take(1_000, new AbortController().signal)
  await pass(500)
  expect(isTaken).toBe(false)
  await pass(1_000)
  expect(await held).toBe('DATA')
})
