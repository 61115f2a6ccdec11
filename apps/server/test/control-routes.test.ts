import { beforeEach, describe, expect, test } from 'vitest'
import { formatDeviceId, PairingDesk, parsePairingCode, PeerBook, TokenBook, toDeviceId } from '@filesync/identity'
import type { AuditEvent, DeviceId } from '@filesync/identity'
import { nodeCrypto } from '@filesync/identity/node'
import { memoryRecords } from '@filesync/identity/testing'
import { ManualClock } from '@filesync/protocol/testing'
import type { ControlRoutes } from '@filesync/program/node'
import { controlRoutes } from '../src/control-routes.ts'
import { SessionQueue } from '../src/session-queue.ts'

const id = (fill: number): DeviceId => toDeviceId(new Uint8Array(32).fill(fill))
const usage: unknown = expect.objectContaining({ code: 'USAGE' })

let clock: ManualClock
let peers: PeerBook
let desk: PairingDesk
let queue: SessionQueue
let ended: [peer: string, code: string][]
let routes: ControlRoutes

beforeEach(() => {
  clock = new ManualClock()
  const events: AuditEvent[] = []
  const audit = { record: async (event: AuditEvent) => { events.push(event) } }
  peers = new PeerBook(memoryRecords(), { clock, audit })
  desk = new PairingDesk({ serverId: id(9), serverName: 'nas', peers, tokens: new TokenBook(memoryRecords(), { crypto: nodeCrypto, clock }), audit, crypto: nodeCrypto, clock })
  queue = new SessionQueue({ maxActive: 1, maxWaiting: 9, clock })
  ended = []
  routes = controlRoutes({
    desk, peers, queue,
    endSessions: async (peer, error) => { ended.push([peer, error.code]) },
    describe: () => ({ name: 'nas', port: 42 }),
  })
})

const ask = async (route: string, body?: unknown): Promise<unknown> => await routes[route]?.(body, new AbortController().signal)
const enter = (identity: string): void => {
  void queue.enter({ identity, signal: new AbortController().signal, onPosition () { /* not looked at */ }, onReplaced () { /* not looked at */ } })
}

describe('POST /pair', () => {
  test('opens the desk for as long as it was asked to', async () => {
    expect(desk.isOpen).toBe(false)
    const { code, ttlMs } = await ask('POST /pair', { ttlMs: 60_000 }) as { code: string, ttlMs: number }
    expect(parsePairingCode(code)).toBeDefined()
    expect(ttlMs).toBe(60_000)
    clock.advance(59_999)
    expect(desk.isOpen).toBe(true)
    clock.advance(1)
    expect(desk.isOpen).toBe(false)
  })

  test.each([undefined, null, 'x', {}, { ttlMs: 'x' }, { ttlMs: 0 }, { ttlMs: -1 }, { ttlMs: NaN }, { ttlMs: 86_400_001 }])('refuses %j', async body => {
    await expect(ask('POST /pair', body)).rejects.toEqual(usage)
    expect(desk.isOpen).toBe(false)
  })
})

describe('POST /revoke', () => {
  test('a client that is revoked is trusted no more, and its sessions end', async () => {
    await peers.admit({ id: id(1), wish: 'laptop', via: 'manual' })
    expect(await ask('POST /revoke', { peer: 'laptop' })).toEqual({ area: 'laptop', id: formatDeviceId(id(1)) })
    expect(ended).toEqual([[id(1), 'NOT_PAIRED']])
    await expect(peers.judge(id(1), '127.0.0.1')).rejects.toEqual(expect.objectContaining({ code: 'NOT_PAIRED' }))
  })

  test('a client that nobody knows ends no session', async () => {
    await expect(ask('POST /revoke', { peer: 'nobody' })).rejects.toThrow()
    expect(ended).toEqual([])
  })

  test.each([undefined, null, [], {}, { peer: 7 }])('refuses %j', async body => {
    await expect(ask('POST /revoke', body)).rejects.toEqual(usage)
  })
})

test('GET /status tells who is served and who waits, by the names of their folders', async () => {
  expect(await ask('GET /status')).toEqual({ name: 'nas', port: 42, pairing: false, active: [], queued: [] })
  await peers.admit({ id: id(1), wish: 'laptop', via: 'manual' })
  await peers.admit({ id: id(2), wish: 'camera', via: 'manual' })
  for (const who of [2, 1]) enter(id(who))
  await desk.openWindow()
  expect(await ask('GET /status')).toEqual({ name: 'nas', port: 42, pairing: true, active: ['camera'], queued: ['laptop'] })
})
