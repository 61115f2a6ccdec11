import { beforeEach, describe, expect, test } from 'vitest'
import { openConnection } from '@filesync/protocol'
import type { Connection, FileSyncError, RawFrameType } from '@filesync/protocol'
import { ManualClock, memoryStreamPair } from '@filesync/protocol/testing'
import { Schedule } from '../src/schedule/schedule.ts'
import { SessionQueue } from '../src/schedule/session-queue.ts'
import { SessionTurn } from '../src/session/session-turn.ts'
import { SharedLimit } from '../src/schedule/shared-limit.ts'
import { parseWindow } from '../src/schedule/windows.ts'

const SESSION_TIME_MS = 30_000
const NIGHT = Date.parse('2026-11-22T23:00Z')
const UTC = { toUtcMs: (ms: number): number => ms, toWallMs: (ms: number): number => ms }

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

async function begin ({ windows = [], limit }: { windows?: readonly string[], limit?: SharedLimit } = {}): Promise<{ turn: SessionTurn, over: Connection }> {
  const schedule = new Schedule({ intervalMs: 3_600_000, windows: windows.map(parseWindow), zone: UTC, clock, random: () => 0 })
  const turn = new SessionTurn({ identity: 'a', queue, clock, rules: { schedule, stopping: stopping.signal, sessionTimeMs: SESSION_TIME_MS, limit } })
  await enter('a')
  turn.begin()
  return { turn, over: turn.wrap(server) }
}

async function enter (identity: string): Promise<void> {
  const entering = queue.enter({ identity, signal: new AbortController().signal, onPosition () { /* not looked at */ }, onReplaced () { /* not looked at */ } })
  if (queue.waitingCount === 0) await entering
}

/** What taking the next frame comes to: its type, or the code of the error that ends the session. */
async function next (over: Connection, send: RawFrameType): Promise<string> {
  const taken = over.next().then(incoming => incoming.kind === 'raw' ? incoming.type : incoming.message.type, (error: FileSyncError) => error.code)
  await client.sendRaw(send, [new Uint8Array(100)])
  return await taken
}

/** Time passes, and heartbeats with it. */
async function pass (delayMs: number): Promise<void> {
  for (let leftMs = delayMs; leftMs > 0; leftMs -= 1000) {
    clock.advance(Math.min(1000, leftMs))
    await new Promise(resolve => { setImmediate(resolve) })
  }
}

describe('a session that runs for long', () => {
  test('goes on while nobody waits, and yields when somebody does', async () => {
    const { over } = await begin()
    expect(await next(over, 'PACK')).toBe('PACK')
    await pass(10 * SESSION_TIME_MS)
    expect(await next(over, 'DATA')).toBe('DATA')
    await enter('b')
    expect(await next(over, 'DATA')).toBe('SESSION_YIELDED')
  })

  test('has its whole time before, counted from the first file', async () => {
    const { over } = await begin()
    await enter('b')
    await pass(3 * SESSION_TIME_MS)
    expect(await next(over, 'LISTINGS')).toBe('LISTINGS')
    expect(await next(over, 'PACK')).toBe('PACK')
    await pass(SESSION_TIME_MS - 1000)
    expect(await next(over, 'PACK')).toBe('PACK')
    await pass(1000)
    expect(await next(over, 'PACK')).toBe('SESSION_YIELDED')
  })

  test('yields before the first file only after ten times as long', async () => {
    const { over } = await begin()
    await enter('b')
    await pass(10 * SESSION_TIME_MS - 1000)
    expect(await next(over, 'LISTINGS')).toBe('LISTINGS')
    await pass(1000)
    expect(await next(over, 'LISTINGS')).toBe('SESSION_YIELDED')
  })
})

describe('a session that waits for the client', () => {
  test('ends when the server stops, and says when to come again', async () => {
    const { turn, over } = await begin()
    const waiting = [over.next(), turn.race(new Promise(() => { /* never */ }))]
    const ended = Promise.all(waiting.map(async wait => { await expect(wait).rejects.toMatchObject({ code: 'SERVER_STOPPING', retryInMs: expect.any(Number) as unknown }) }))
    stopping.abort()
    await ended
    expect((turn.signal.reason as FileSyncError).retryInMs).toBeGreaterThanOrEqual(1_000)
  })

  test('ends at the end of the window', async () => {
    const { over } = await begin({ windows: ['22:00-23:05'] })
    const ended = expect(over.next()).rejects.toMatchObject({ code: 'OUTSIDE_WINDOW', retryInMs: 22 * 3_600_000 + 55 * 60_000 })
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

test('no session begins outside a window, or at a server that stops', async () => {
  clock.jump(-12 * 3_600_000)
  await expect(begin({ windows: ['22:00-06:00'] })).rejects.toMatchObject({ code: 'OUTSIDE_WINDOW' })
  stopping.abort()
  await expect(begin()).rejects.toMatchObject({ code: 'SERVER_STOPPING' })
})

test('what arrives is held back by the rate that all share', async () => {
  const limit = new SharedLimit(1_000, clock)
  const { over } = await begin({ limit })
  for (let frame = 0; frame < 4; frame++) expect(await Promise.race([next(over, 'DATA'), pass(200)])).toBe('DATA')
  const held = next(over, 'DATA')
  let isTaken = false
  void held.then(() => { isTaken = true })
  await limit.open().take(1_000, new AbortController().signal)
  await pass(500)
  expect(isTaken).toBe(false)
  await pass(1_000)
  expect(await held).toBe('DATA')
})
