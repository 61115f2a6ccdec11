import { beforeEach, describe, expect, test } from 'vitest'
import { toDeviceId } from '@filesync/identity'
import { FileSyncError, openConnection } from '@filesync/protocol'
import type { Connection } from '@filesync/protocol'
import { ManualClock, memoryStreamPair, seededRandom } from '@filesync/protocol/testing'
import type { ServerCandidate } from '../src/connect/server-candidate.ts'
import { raceServers } from '../src/connect/race-servers.ts'
import type { ReachedServer, RaceServersInit } from '../src/connect/race-servers.ts'

/** One attempt at an address, ended by the test. */
interface Attempt {
  readonly candidate: ServerCandidate
  readonly signal: AbortSignal
  prove (): Connection
  fail (error: unknown): void
}

const WITHIN_MS = 10_000
const serverId = toDeviceId(new Uint8Array(32).fill(7))
const at = (port: number, origin: ServerCandidate['origin']): ServerCandidate => ({ address: '127.0.0.1', port, origin })
/** An offer of the server `id`. */
const offer = (id: string, address: string, port: number): ServerCandidate => ({ address, port, origin: 'offered', idPrefix: id })
const error = (code: FileSyncError['code'], message = 'So it is.'): FileSyncError => new FileSyncError(code, message)
const code = (name: string, message = /./u): unknown => expect.objectContaining({ code: name, message: expect.stringMatching(message) as unknown })

/** Offers that a test makes. */
class Offers {
  readonly #waiting: ServerCandidate[] = []
  #wake: () => void = () => { /* nobody listens */ }
  failure: Error | undefined
  stopped = false

  make (...candidates: ServerCandidate[]): void {
    this.#waiting.push(...candidates)
    this.#wake()
  }

  async * listen (signal: AbortSignal): AsyncGenerator<ServerCandidate, void, undefined> {
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

function reach (known: readonly ServerCandidate[], init: Partial<RaceServersInit> = {}): Promise<ReachedServer> {
  const reaching = raceServers({
    known,
    offers: signal => offers.listen(signal),
    dial: async (candidate, signal) => await new Promise<ReachedServer>((resolve, reject) => {
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
    random: () => 0,
    clock,
    signal: stop.signal,
    timeoutMs: WITHIN_MS,
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
    clock.advance(1_000)
    await settle()
    expect(ports()).toEqual([1, 2])
  })

  test('an address that failed is dialled again when it is offered: a server was starting', async () => {
    const reaching = reach([at(1, 'remembered')])
    attempts[0]?.fail(error('SERVER_UNREACHABLE'))
    await settle()
    offers.make(at(1, 'offered'))
    await settle()
    attempts[1]?.prove()
    expect((await reaching).port).toBe(1)
  })
})

test('eight offers are followed at a time, however many addresses are known, and then others', async () => {
  const known = Array.from({ length: 10 }, (_, n) => at(100 + n, 'remembered'))
  const reaching = reach(known)
  offers.make(...Array.from({ length: 30 }, (_, n) => offer(`ID${n}`, '127.0.0.1', n + 1)))
  await settle()
  clock.advance(249)
  await settle()
  expect(ports().slice(10)).toEqual([1, 2, 3, 4, 5, 6, 7, 8])
  clock.advance(1)
  await settle()
  expect(ports().slice(18)).toEqual([9, 10, 11, 12, 13, 14, 15, 16])
  attempts[17]?.prove()
  expect((await reaching).port).toBe(8)
})

describe('several addresses of one server', () => {
  const addresses = (): string[] => attempts.map(({ candidate }) => candidate.address)

  test('are dialled one after the other, at once where one fails, and else a quarter of a second later', async () => {
    const reaching = reach([])
    offers.make(offer('A', '10.0.0.1', 1), offer('A', 'fe80::1%eth0', 1), offer('A', '10.1.0.1', 1), offer('B', '10.0.0.2', 1))
    await settle()
    expect(addresses()).toEqual(['10.0.0.1', '10.0.0.2'])
    clock.advance(249)
    expect(attempts).toHaveLength(2)
    clock.advance(1)
    expect(addresses().slice(2)).toEqual(['fe80::1%eth0'])
    attempts[2]?.fail(error('SERVER_UNREACHABLE'))
    await settle()
    expect(addresses().slice(3)).toEqual(['10.1.0.1'])
    attempts[3]?.prove()
    expect((await reaching).address).toBe('10.1.0.1')
    offers.make(offer('A', '10.2.0.1', 1))
    await settle()
    clock.advance(1_000)
    expect(attempts).toHaveLength(4)
  })

  test('who copies its id gets eight dials for each address, and the server has its turn before the second', async () => {
    const reaching = reach([])
    offers.make(...Array.from({ length: 30 }, (_, n) => offer('A', '10.0.0.66', 2_000 + n)), offer('A', '10.0.0.1', 4_433))
    await settle()
    // An address that was not dialled yet comes before the forger's second.
    attempts[0]?.fail(error('IDENTITY_CHANGED'))
    await settle()
    expect(addresses()).toEqual(['10.0.0.66', '10.0.0.1'])
    clock.advance(WITHIN_MS / 2)
    await settle()
    expect(addresses().slice(0, 3)).toEqual(['10.0.0.66', '10.0.0.1', '10.0.0.66'])
    expect(addresses().filter(address => address === '10.0.0.66').length).toBeLessThanOrEqual(8)
    attempts[1]?.prove()
    expect((await reaching).port).toBe(4_433)
  })

  test.each([1, 2, 3, 4, 5])('140 addresses that forge its id and say nothing do not hide it, though it speaks last (seed %i)', async seed => {
    const reaching = reach([at(1, 'remembered')], { random: seededRandom(seed) })
    offers.make(...Array.from({ length: 140 }, (_, n) => offer('A', `10.0.0.${n + 100}`, 4_433)))
    await settle()
    offers.make(offer('A', '10.0.0.7', 4_433))
    await settle()
    // More than a few never hang at a time because of anything that is heard.
    for (let atMs = 0; atMs < WITHIN_MS - 250 && !addresses().includes('10.0.0.7'); atMs += 250) {
      const before = attempts.length
      clock.advance(250)
      await settle()
      expect(attempts.length - before).toBeLessThanOrEqual(8)
    }
    attempts.find(({ candidate }) => candidate.address === '10.0.0.7')?.prove()
    expect((await reaching).address).toBe('10.0.0.7')
    expect(new Set(addresses()).size).toBe(addresses().length)
  })

  test('who floods with ports of one address and with addresses does not keep it from being heard', async () => {
    const reaching = reach([], { random: seededRandom(7) })
    offers.make(...Array.from({ length: 2_000 }, (_, n) => offer('A', '10.0.0.66', 2_000 + n)), offer('A', '10.0.0.7', 4_433))
    await settle()
    clock.advance(250)
    await settle()
    expect(addresses()).toContain('10.0.0.7')
    attempts.find(({ candidate }) => candidate.address === '10.0.0.7')?.prove()
    expect((await reaching).address).toBe('10.0.0.7')
  })

  test('the one where it was before comes first, whatever the order', async () => {
    void reach([{ address: '10.0.0.1', port: 1, origin: 'remembered' }])
    offers.make(offer('A', '10.0.0.66', 1))
    await settle()
    offers.make(offer('A', '10.0.0.67', 1), offer('A', '10.0.0.68', 1), offer('A', '10.0.0.1', 2))
    await settle()
    clock.advance(250)
    expect(addresses()).toEqual(['10.0.0.1', '10.0.0.66', '10.0.0.1'])
  })

  test('which of many comes next is drawn, so that the fastest forger does not always win', async () => {
    const draws = [0, 0.99]
    void reach([], { random: () => draws.shift() ?? 0 })
    offers.make(...[66, 67, 68, 1].map(n => offer('A', `10.0.0.${n}`, 1)))
    await settle()
    clock.advance(250)
    expect(addresses()).toEqual(['10.0.0.66', '10.0.0.1'])
  })
})

describe('when nothing works', () => {
  test('nothing found is told when the time is over, and not before', async () => {
    const reaching = reach([])
    await settle()
    clock.advance(WITHIN_MS - 1)
    await settle()
    expect(clock.scheduled).toBe(1)
    clock.advance(1)
    await expect(reaching).rejects.toEqual(code('SERVER_NOT_FOUND', /No paired server answered on the local network/u))
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
    await expect(strangers).rejects.toEqual(code('SERVER_NOT_FOUND', /Seen: 127\.0\.0\.1:3 \(has another key\)/u))
  })

  test('what hindered the search is told with it, the first of much', async () => {
    const troubles = ['eth0 is down.', 'wlan0 is forbidden.', 'tun0 is odd.', 'tap0 is one too many.']
    const reaching = reach([], {
      offers: (signal, onProblem) => {
        for (const trouble of troubles) onProblem(error('DISCOVERY_UNAVAILABLE', trouble))
        return offers.listen(signal)
      },
    })
    await settle()
    clock.advance(WITHIN_MS)
    await expect(reaching).rejects.toEqual(code('SERVER_NOT_FOUND', /No paired server .* eth0 is down\. wlan0 is forbidden\. tun0 is odd\.$/u))
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
