import { beforeEach, describe, expect, test } from 'vitest'
import { toDeviceId } from '@filesync/identity'
import { FileSyncError, openConnection } from '@filesync/protocol'
import type { Connection } from '@filesync/protocol'
import { ManualClock, memoryStreamPair } from '@filesync/protocol/testing'
import { reachServer } from '../src/reach-server.ts'
import type { Candidate, Reached, ReachInit } from '../src/reach-server.ts'

/** One attempt at an address, ended by the test. */
interface Attempt {
  readonly candidate: Candidate
  readonly signal: AbortSignal
  prove (): Connection
  fail (error: unknown): void
}

const WITHIN_MS = 10_000
const serverId = toDeviceId(new Uint8Array(32).fill(7))
const at = (port: number, origin: Candidate['origin']): Candidate => ({ address: '127.0.0.1', port, origin })
const error = (code: FileSyncError['code'], message = 'So it is.'): FileSyncError => new FileSyncError(code, message)
const code = (name: string, message = /./u): unknown => expect.objectContaining({ code: name, message: expect.stringMatching(message) as unknown })

/** Offers that a test makes. */
class Offers {
  readonly #waiting: Candidate[] = []
  #wake: () => void = () => { /* nobody listens */ }
  failure: Error | undefined
  stopped = false

  make (...candidates: Candidate[]): void {
    this.#waiting.push(...candidates)
    this.#wake()
  }

  async * listen (signal: AbortSignal): AsyncGenerator<Candidate, void, undefined> {
    signal.addEventListener('abort', () => { this.#wake() })
    while (!signal.aborted) {
      if (this.failure !== undefined) throw this.failure
      const next = this.#waiting.shift()
      if (next !== undefined) yield next
      else await new Promise<void>(resolve => { this.#wake = resolve })
    }
    this.stopped = true
  }
}

let clock: ManualClock
let stop: AbortController
let offers: Offers
let attempts: Attempt[]
let connections: Connection[]

beforeEach(() => {
  clock = new ManualClock()
  stop = new AbortController()
  offers = new Offers()
  attempts = []
  connections = []
})

function reach (known: readonly Candidate[], init: Partial<ReachInit> = {}): Promise<Reached> {
  const reaching = reachServer({
    known,
    offers: signal => offers.listen(signal),
    dial: async (candidate, signal) => await new Promise<Reached>((resolve, reject) => {
      signal.addEventListener('abort', () => { reject(signal.reason as Error) })
      attempts.push({
        candidate,
        signal,
        fail: reject,
        prove: () => {
          const [stream] = memoryStreamPair()
          const connection = openConnection({ stream, clock })
          connections.push(connection)
          resolve({ connection, serverId, address: candidate.address, port: candidate.port })
          return connection
        },
      })
    }),
    clock,
    signal: stop.signal,
    withinMs: WITHIN_MS,
    ...init,
  })
  reaching.catch(() => { /* looked at later */ })
  return reaching
}

/** Lets promises that are settled be noticed. */
async function settle (): Promise<void> {
  await new Promise(resolve => { setImmediate(resolve) })
}

const ports = (): number[] => attempts.map(({ candidate }) => candidate.port)

describe('the first that proves itself wins', () => {
  test('everything known and offered is dialled at once, and the rest is given up', async () => {
    const reaching = reach([at(1, 'remembered'), at(2, 'remembered')])
    offers.make(at(3, 'offered'))
    await settle()
    expect(ports()).toEqual([1, 2, 3])
    const connection = attempts[2]?.prove()
    expect((await reaching).connection).toBe(connection)
    await settle()
    expect(attempts.map(({ signal }) => signal.aborted)).toEqual([true, true, true])
    expect([offers.stopped, clock.scheduled > 0]).toEqual([true, true])
    expect(connection?.signal.aborted).toBe(false)
  })

  test('a second that proves itself in the same moment is closed', async () => {
    const reaching = reach([at(1, 'remembered'), at(2, 'remembered')])
    const [first, second] = attempts.map(attempt => attempt.prove())
    expect((await reaching).connection).toBe(first)
    await settle()
    expect([first?.signal.aborted, second?.signal.aborted]).toEqual([false, true])
  })

  test('one that proves itself in the moment the time is over is not left open', async () => {
    const reaching = reach([at(1, 'remembered')])
    clock.advance(WITHIN_MS)
    const late = attempts[0]?.prove()
    await expect(reaching).rejects.toEqual(code('SERVER_NOT_FOUND'))
    await settle()
    expect(late?.signal.aborted).toBe(true)
  })

  test('an address is dialled once, however often it is offered', async () => {
    void reach([at(1, 'remembered')])
    offers.make(at(1, 'offered'), at(2, 'offered'), at(2, 'offered'))
    await settle()
    expect(ports()).toEqual([1, 2])
  })
})

test('eight offers are followed and no more, however many addresses are known', async () => {
  const known = Array.from({ length: 10 }, (_, n) => at(100 + n, 'remembered'))
  const reaching = reach(known)
  offers.make(...Array.from({ length: 30 }, (_, n) => at(n + 1, 'offered')))
  await settle()
  expect(ports().slice(10)).toEqual([1, 2, 3, 4, 5, 6, 7, 8])
  attempts[17]?.prove()
  expect((await reaching).port).toBe(8)
})

describe('when nothing works', () => {
  test('nothing found is told when the time is over, and not before', async () => {
    const reaching = reach([])
    await settle()
    clock.advance(WITHIN_MS - 1)
    await settle()
    expect(clock.scheduled).toBe(1)
    clock.advance(1)
    await expect(reaching).rejects.toEqual(code('SERVER_NOT_FOUND', /No server answered on the local network/u))
    expect(offers.stopped).toBe(true)
  })

  test('offers that did not prove themselves are named', async () => {
    const reaching = reach([at(1, 'remembered')])
    offers.make(at(2, 'offered'))
    await settle()
    for (const attempt of attempts) attempt.fail(error('IDENTITY_CHANGED'))
    attempts.length = 0
    await settle()
    clock.advance(WITHIN_MS)
    await expect(reaching).rejects.toEqual(code('IDENTITY_CHANGED'))

    const strangers = reach([])
    offers.make(at(3, 'offered'))
    await settle()
    attempts[0]?.fail(error('IDENTITY_CHANGED'))
    await settle()
    clock.advance(WITHIN_MS)
    await expect(strangers).rejects.toEqual(code('SERVER_NOT_FOUND', /not usable: 127\.0\.0\.1:3\b/u))
  })

  test('a changed identity at a remembered address is loud, but not while an offer may still lead to the server', async () => {
    const reaching = reach([at(1, 'remembered'), at(2, 'remembered')])
    attempts[0]?.fail(error('IDENTITY_CHANGED', 'SERVER IDENTITY CHANGED'))
    attempts[1]?.fail(error('SERVER_UNREACHABLE'))
    await settle()
    offers.make(at(3, 'offered'))
    await settle()
    attempts[2]?.prove()
    expect((await reaching).port).toBe(3)
  })

  test.each(['SERVER_UNREACHABLE', 'IDENTITY_CHANGED', 'NOT_PAIRED'] as const)('a given address tells its own error %s at once', async name => {
    const reaching = reach([at(1, 'given')], { offers: async function * () { /* none */ } })
    attempts[0]?.fail(error(name))
    await expect(reaching).rejects.toEqual(code(name, /So it is/u))
    expect(clock.monotonicMs()).toBe(0)
  })

  test('a given address that says nothing is named when the time is over', async () => {
    const reaching = reach([at(4242, 'given')], { offers: async function * () { /* none */ } })
    await settle()
    clock.advance(WITHIN_MS)
    await expect(reaching).rejects.toEqual(code('SERVER_UNREACHABLE', /127\.0\.0\.1:4242/u))
  })

  test('an error that is not ours is told as one that is', async () => {
    const reaching = reach([at(1, 'given')], { offers: async function * () { /* none */ } })
    attempts[0]?.fail(new Error('connect EHOSTUNREACH'))
    await expect(reaching).rejects.toEqual(code('SERVER_UNREACHABLE', /EHOSTUNREACH/u))
  })
})

describe('where offers cannot be heard', () => {
  beforeEach(() => { offers.failure = error('DISCOVERY_UNAVAILABLE', 'No network interface.') })

  test('a remembered address still leads to the server', async () => {
    const reaching = reach([at(1, 'remembered')])
    await settle()
    attempts[0]?.prove()
    expect((await reaching).port).toBe(1)
  })

  test('the reason is told as soon as nothing else is left', async () => {
    await expect(reach([])).rejects.toEqual(code('DISCOVERY_UNAVAILABLE', /No network interface/u))
    const reaching = reach([at(1, 'remembered')])
    await settle()
    attempts[0]?.fail(error('SERVER_UNREACHABLE'))
    await expect(reaching).rejects.toEqual(code('DISCOVERY_UNAVAILABLE'))
  })
})

describe('stopping', () => {
  test('a stop ends every attempt with its reason', async () => {
    const reaching = reach([at(1, 'remembered')])
    await settle()
    stop.abort(error('ABORTED', 'Stopped on request.'))
    await expect(reaching).rejects.toEqual(code('ABORTED', /Stopped on request/u))
    await settle()
    expect([attempts[0]?.signal.aborted, offers.stopped, clock.scheduled]).toEqual([true, true, 0])
  })

  test('a stop before the start dials nobody', async () => {
    stop.abort(error('ABORTED'))
    await expect(reach([at(1, 'given')])).rejects.toEqual(code('ABORTED'))
    expect(attempts).toEqual([])
  })
})
