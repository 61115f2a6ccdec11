import { encodeListing } from '@filesync/protocol'
import { hashBytes, systemClock } from '@filesync/protocol/node'
import { ManualClock, memoryStreamPair } from '@filesync/protocol/testing'
import type { TreeLiteral } from '@filesync/protocol/testing'
import { SessionQueue } from '@filesync/server'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { HEARTBEAT, info, untilReady, untilTasks, untilWanted, whileTimePasses } from '../src/hostile-client.ts'
import { Ground } from '../src/hostile-ground.ts'
import type { ServeOptions, Taken } from '../src/hostile-ground.ts'
import { forTask, hello, HostilePeer } from '../src/hostile-peer.ts'

const BEFORE: TreeLiteral = { 'a.txt': 'old content', 'keep.txt': 'stays as it is' }
const LARGE = new Uint8Array(600_000)
const EMPTY = encodeListing([])

let ground: Ground
beforeAll(async () => { ground = await Ground.open() })
afterAll(async () => { await ground.close() })

interface Scene {
  readonly clock: ManualClock
  readonly peer: HostilePeer
  readonly serving: Promise<Taken>
}

/** A hostile client of the real server, with a manual clock. */
function scene (area: string, options: ServeOptions & { readonly capacityBytes?: number, readonly clock?: ManualClock } = {}): Scene {
  const clock = options.clock ?? new ManualClock()
  const [left, right] = memoryStreamPair(options.capacityBytes === undefined ? {} : { capacityBytes: options.capacityBytes })
  const serving = ground.serve(right, area, { ...options, clock })
  serving.catch(() => { /* thrown where it is awaited */ })
  return { clock, peer: new HostilePeer(left), serving }
}

const idle = (): void => { /* it says nothing */ }
const heartbeats = ({ peer }: Scene) => (): void => { void peer.bytes(HEARTBEAT) }

describe('a client that does not get on is cut, and the next one is served:', () => {
  const cases: readonly [
    what: string,
    code: string,
    withinSeconds: number,
    prepare: (peer: HostilePeer) => Promise<void>,
    everySecond: (scene: Scene) => () => void,
  ][] = [
    [
      'silence instead of HELLO',
      'PEER_TIMEOUT',
      11,
      async () => {
        /* nothing */
      },
      () => idle,
    ],
    [
      'heartbeats instead of HELLO',
      'PEER_TIMEOUT',
      11,
      async () => {
        /* nothing */
      },
      heartbeats,
    ],
    ['silence instead of its tree', 'PEER_TIMEOUT', 16, untilReady, () => idle],
    ['heartbeats instead of its tree', 'PEER_TOO_SLOW', 62, untilReady, heartbeats],
    [
      'unknown messages instead of its tree',
      'PEER_TOO_SLOW',
      62,
      untilReady,
      ({ peer }) =>
        () => {
          void peer.say({ type: 'WEATHER' })
        },
    ],
    [
      'heartbeats instead of listings',
      'PEER_TOO_SLOW',
      62,
      async peer => {
        await untilWanted(peer, EMPTY)
      },
      heartbeats,
    ],
    [
      'a byte a second of one frame',
      'PEER_TOO_SLOW',
      62,
      async peer => {
        await untilWanted(peer, EMPTY)
        await peer.bytes(Buffer.of(0, 0, 4, 0, 3, 0, 0, 0))
      },
      ({ peer }) =>
        () => {
          void peer.bytes(Buffer.of(0))
        },
    ],
    [
      'heartbeats instead of files',
      'PEER_TOO_SLOW',
      302,
      async peer => {
        await untilTasks(peer, { ...BEFORE, 'b.bin': LARGE })
      },
      heartbeats,
    ],
    // Time in which the server's own disk works does not count, and the clock here is turned meanwhile too.
    [
      'a byte of a file a second',
      'PEER_TOO_SLOW',
      1500,
      async peer => {
        await untilTasks(peer, { ...BEFORE, 'b.bin': LARGE })
        await peer.say({ type: 'FILE_HEADER', task: 0, sizeBytes: LARGE.length, offset: 0, content: 'DATA' })
      },
      ({ peer }) =>
        () => {
          void peer.raw('DATA', forTask(0, Buffer.of(1)))
        },
    ],
  ]

  test.each(cases)('%s', async (what, code, withinSeconds, prepare, everySecond) => {
    const area = what.replaceAll(' ', '-')
    expect(await ground.honest(area, BEFORE)).toMatchObject({ result: 'OK' })
    const before = await ground.stored(area)
    const queue = new SessionQueue({ maxActive: 1, maxWaiting: 9, clock: systemClock })
    const attack = scene(area, { queue })
    await prepare(attack.peer)
    const { seconds, value: heard } = await whileTimePasses(attack.clock, attack.peer.heardAtEnd(), everySecond(attack))
    expect(await attack.serving).toBe(code)
    expect(seconds).toBeLessThanOrEqual(withinSeconds)
    // A peer that is silent is taken for dead, and told nothing.
    expect([code, undefined]).toContain(heard)
    expect(await ground.stored(area)).toEqual(before)
    expect(await ground.honest(area, BEFORE, { queue })).toMatchObject({ result: 'OK' })
    expect(await ground.isCanaryAlive()).toBe(true)
  })

  test('a file at 300 bytes a second is slow, and taken', async () => {
    const attack = scene('slow')
    await untilTasks(attack.peer, { 'b.bin': LARGE.subarray(0, 300_000) })
    await attack.peer.say({ type: 'FILE_HEADER', task: 0, sizeBytes: 300_000, offset: 0, content: 'DATA' })
    let sent = 0
    let done = (): void => { /* set below */ }
    await whileTimePasses(attack.clock, new Promise<void>(resolve => { done = resolve }), () => {
      if (sent++ < 1000) void attack.peer.raw('DATA', forTask(0, new Uint8Array(300)))
      else done()
    })
    await attack.peer.say({ type: 'FILE_END', task: 0, digest: hashBytes(LARGE) })
    const value = await attack.peer.hear('NEXT_SYNC')
    expect(value).toMatchObject({ result: 'PROBLEMS', problems: [{ code: 'DIGEST_MISMATCH' }] })
  })
})

describe('a client that never reads', () => {
  test('is cut', async () => {
    const attack = scene('never-reads', { capacityBytes: 64 })
    const { seconds, value } = await whileTimePasses(attack.clock, attack.serving, () => { void attack.peer.say(hello(), info(EMPTY)) })
    expect(value).toBe('PEER_TIMEOUT')
    expect(seconds).toBeLessThanOrEqual(62)
  })

  test('does not delay others by the positions it receives', async () => {
    const clock = new ManualClock()
    const queue = new SessionQueue({ maxActive: 1, maxWaiting: 9, clock })
    const active = scene('reads-1', { queue, clock })
    await untilReady(active.peer)
    const deaf = scene('reads-2', { queue, clock, capacityBytes: 100 })
    void deaf.peer.say(hello())
    const { seconds, value } = await whileTimePasses(clock, deaf.serving, () => {
      heartbeats(active)()
      heartbeats(deaf)()
    })
    expect(value).toBe('PEER_TIMEOUT')
    expect(seconds).toBeLessThan(64)
    expect(queue.waitingCount).toBe(0)
  })
})

describe('the queue', () => {
  function open (maxWaiting = 9): { readonly clock: ManualClock, readonly queue: SessionQueue } {
    const clock = new ManualClock()
    return { clock, queue: new SessionQueue({ maxActive: 1, maxWaiting, clock }) }
  }

  test('a second connection of one identity ends the first, which learns why', async () => {
    const { clock, queue } = open()
    const first = scene('same', { clock, queue })
    await untilReady(first.peer)
    const second = scene('same', { clock, queue })
    const turn = untilReady(second.peer)
    expect(await first.peer.heardAtEnd()).toBe('SESSION_REPLACED')
    expect(await first.serving).toBe('SESSION_REPLACED')
    await turn
    second.peer.stream.destroy(new Error('gone'))
    expect(await second.serving).toBe('PEER_GONE')
    expect(queue.activeCount).toBe(0)
  })

  test('a client that reconnects again and again does not keep the turn', async () => {
    const { clock, queue } = open()
    const first = scene('greedy', { clock, queue })
    await untilReady(first.peer)
    const patient = scene('patient', { clock, queue })
    let isServed = false
    const turn = untilReady(patient.peer).then(() => { isServed = true })
    await patient.peer.stream.write(HEARTBEAT)
    for (let again = 0; again < 3 && !isServed; again++) {
      const { peer } = scene('greedy', { clock, queue })
      await peer.say(hello())
      await peer.hear('HELLO')
      for (let round = 0; round < 100 && !isServed; round++) await new Promise(resolve => { setImmediate(resolve) })
    }
    await turn
  })

  test('more waiting clients than there is room for are turned away', async () => {
    const { clock, queue } = open(2)
    const first = scene('room-1', { clock, queue })
    await untilReady(first.peer)
    for (const area of ['room-2', 'room-3']) {
      const { peer } = scene(area, { clock, queue })
      await peer.say(hello())
      expect(await peer.hear('SERVER_STATUS')).toMatchObject({ status: 'BUSY' })
    }
    const late = scene('room-4', { clock, queue })
    await late.peer.say(hello())
    expect(await late.peer.heardAtEnd()).toBe('SERVER_BUSY')
    expect(await late.serving).toBe('SERVER_BUSY')
    expect(queue.waitingCount).toBe(2)
  })

  test('a dead client in the queue loses its place within 15 s, and the next one moves up', async () => {
    const { clock, queue } = open()
    const active = scene('line-1', { clock, queue })
    await untilReady(active.peer)
    const dead = scene('line-2', { clock, queue })
    await dead.peer.say(hello())
    await dead.peer.hear('SERVER_STATUS')
    const alive = scene('line-3', { clock, queue })
    await alive.peer.say(hello())
    expect(await alive.peer.hear('SERVER_STATUS')).toMatchObject({ position: 2 })
    const { seconds, value } = await whileTimePasses(clock, dead.serving, () => {
      heartbeats(active)()
      heartbeats(alive)()
    })
    expect(value).toBe('PEER_TIMEOUT')
    expect(seconds).toBeLessThanOrEqual(16)
    expect(await alive.peer.hear('SERVER_STATUS')).toMatchObject({ status: 'BUSY', position: 1 })
  })

  test.each([
    ['its tree', async (peer: HostilePeer) => { await peer.say(info(EMPTY)) }],
    ['HELLO again', async (peer: HostilePeer) => { await peer.say(hello()) }],
    ['data', async (peer: HostilePeer) => { await peer.raw('DATA', new Uint8Array(1 << 20)) }],
  ])('who sends %s while it waits is sent away, instead of filling memory', async (_, send) => {
    const { clock, queue } = open()
    const active = scene('early-1', { clock, queue })
    await untilReady(active.peer)
    const early = scene('early-2', { clock, queue })
    await early.peer.say(hello())
    await early.peer.hear('SERVER_STATUS')
    await send(early.peer)
    expect(await early.peer.heardAtEnd()).toBe('MESSAGE_UNEXPECTED')
    expect(await early.serving).toBe('MESSAGE_UNEXPECTED')
    expect(queue.waitingCount).toBe(0)
  })
})
