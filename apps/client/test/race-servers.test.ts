import { beforeEach, describe, expect, test } from 'vitest'
import { RaceFixture, TIMEOUT_MS, at, code, error, offer, settle } from './support/race-fixture.ts'

let fixture: RaceFixture
beforeEach(() => { fixture = new RaceFixture() })

describe('the first server that proves its identity wins', () => {
  test('dials all known and offered addresses at once, and aborts the others', async () => {
    const racing = fixture.race([at(1, 'remembered'), at(2, 'remembered')])
    fixture.offers.make(at(3, 'offered'))
    await settle()
    expect(fixture.ports).toEqual([1, 2, 3])
    const connection = fixture.attempts[2]?.prove()
    expect((await racing).connection).toBe(connection)
    await settle()
    expect(fixture.attempts.map(({ signal }) => signal.aborted)).toEqual([true, true, true])
    expect([fixture.offers.isStopped, fixture.clock.scheduled > 0]).toEqual([true, true])
    expect(connection?.signal.aborted).toBe(false)
  })

  test('closes a second connection that succeeds at the same moment', async () => {
    const racing = fixture.race([at(1, 'remembered'), at(2, 'remembered')])
    const [first, second] = fixture.attempts.map(attempt => attempt.prove())
    expect((await racing).connection).toBe(first)
    await settle()
    expect([first?.signal.aborted, second?.signal.aborted]).toEqual([false, true])
  })

  test('closes a connection that succeeds at the timeout', async () => {
    const racing = fixture.race([at(1, 'remembered')])
    fixture.clock.advance(TIMEOUT_MS)
    const late = fixture.attempts[0]?.prove()
    await expect(racing).rejects.toEqual(code('SERVER_NOT_FOUND'))
    await settle()
    expect(late?.signal.aborted).toBe(true)
  })

  test('dials an address once, however often it is offered', async () => {
    void fixture.race([at(1, 'remembered')])
    fixture.offers.make(at(1, 'offered'), at(2, 'offered'), at(2, 'offered'))
    await settle()
    fixture.clock.advance(1_000)
    await settle()
    expect(fixture.ports).toEqual([1, 2])
  })

  test('dials an address that failed again when it is offered, because the server was starting', async () => {
    const racing = fixture.race([at(1, 'remembered')])
    fixture.attempts[0]?.fail(error('SERVER_UNREACHABLE'))
    await settle()
    fixture.offers.make(at(1, 'offered'))
    await settle()
    fixture.attempts[1]?.prove()
    expect((await racing).port).toBe(1)
  })
})

test('dials eight offers at a time, however many addresses are known', async () => {
  const known = Array.from({ length: 10 }, (_, n) => at(100 + n, 'remembered'))
  const racing = fixture.race(known)
  fixture.offers.make(...Array.from({ length: 30 }, (_, n) => offer(`ID${n}`, '127.0.0.1', n + 1)))
  await settle()
  fixture.clock.advance(249)
  await settle()
  expect(fixture.ports.slice(10)).toEqual([1, 2, 3, 4, 5, 6, 7, 8])
  fixture.clock.advance(1)
  await settle()
  expect(fixture.ports.slice(18)).toEqual([9, 10, 11, 12, 13, 14, 15, 16])
  fixture.attempts[17]?.prove()
  expect((await racing).port).toBe(8)
})

describe('without a server', () => {
  test('reports that no server was found at the timeout, and not before', async () => {
    const racing = fixture.race([])
    await settle()
    fixture.clock.advance(TIMEOUT_MS - 1)
    await settle()
    expect(fixture.clock.scheduled).toBe(1)
    fixture.clock.advance(1)
    await expect(racing).rejects.toEqual(code('SERVER_NOT_FOUND', /No paired server answered on the local network/u))
    expect(fixture.offers.isStopped).toBe(true)
  })

  test('lists offers that did not prove their identity', async () => {
    const racing = fixture.race([at(1, 'remembered')])
    fixture.offers.make(at(2, 'offered'))
    await settle()
    for (const attempt of fixture.attempts) attempt.fail(error('IDENTITY_CHANGED'))
    fixture.attempts.length = 0
    await settle()
    fixture.clock.advance(TIMEOUT_MS)
    await expect(racing).rejects.toEqual(code('IDENTITY_CHANGED'))

    const strangers = fixture.race([])
    fixture.offers.make(at(3, 'offered'))
    await settle()
    fixture.attempts[0]?.fail(error('IDENTITY_CHANGED'))
    await settle()
    fixture.clock.advance(TIMEOUT_MS)
    await expect(strangers).rejects.toEqual(code('SERVER_NOT_FOUND', /Seen: 127\.0\.0\.1:3 \(has another key\)/u))
  })

  test('adds the first problems with receiving offers', async () => {
    const problems = ['eth0 is down.', 'wlan0 is forbidden.', 'tun0 is odd.', 'tap0 is one too many.']
    const racing = fixture.race([], {
      offers: (signal, onProblem) => {
        for (const message of problems) onProblem(error('DISCOVERY_UNAVAILABLE', message))
        return fixture.offers.listen(signal)
      },
    })
    await settle()
    fixture.clock.advance(TIMEOUT_MS)
    await expect(racing).rejects.toEqual(
      code('SERVER_NOT_FOUND', /No paired server .* eth0 is down\. wlan0 is forbidden\. tun0 is odd\.$/u)
    )
  })

  test('ignores a changed identity at a remembered address if an offer leads to the server', async () => {
    const racing = fixture.race([at(1, 'remembered'), at(2, 'remembered')])
    fixture.attempts[0]?.fail(error('IDENTITY_CHANGED', 'SERVER IDENTITY CHANGED'))
    fixture.attempts[1]?.fail(error('SERVER_UNREACHABLE'))
    await settle()
    fixture.offers.make(at(3, 'offered'))
    await settle()
    fixture.attempts[2]?.prove()
    expect((await racing).port).toBe(3)
  })

  test.each(
    ['SERVER_UNREACHABLE', 'IDENTITY_CHANGED', 'NOT_PAIRED'] as const
  )('reports the error %s of a given address at once', async name => {
    const racing = fixture.race([at(1, 'given')], { offers: async function * () { /* none */ } })
    fixture.attempts[0]?.fail(error(name))
    await expect(racing).rejects.toEqual(code(name, /So it is/u))
    expect(fixture.clock.monotonicMs()).toBe(0)
  })

  test('names a given address that does not answer at the timeout', async () => {
    const racing = fixture.race([at(4242, 'given')], { offers: async function * () { /* none */ } })
    await settle()
    fixture.clock.advance(TIMEOUT_MS)
    await expect(racing).rejects.toEqual(code('SERVER_UNREACHABLE', /127\.0\.0\.1:4242/u))
  })

  test('waits past the timeout for a server that has accepted the connection', async () => {
    const racing = fixture.race([at(1, 'given'), at(2, 'remembered')], { offers: async function * () { /* none */ } })
    await settle()
    fixture.attempts[0]?.open()
    fixture.clock.advance(TIMEOUT_MS)
    await settle()
    fixture.clock.advance(TIMEOUT_MS)
    fixture.attempts[0]?.prove()
    expect((await racing).port).toBe(1)
    await settle()
    expect(fixture.attempts[1]?.signal.aborted).toBe(true)
  })

  test('reports why such a server was not reached as soon as that is clear, and dials nothing more after the timeout', async () => {
    const racing = fixture.race([at(1, 'given')])
    await settle()
    fixture.attempts[0]?.open()
    fixture.clock.advance(TIMEOUT_MS)
    fixture.offers.make(offer('AAAA', '10.0.0.1', 1))
    await settle()
    expect(fixture.attempts).toHaveLength(1)
    fixture.attempts[0]?.fail(error('SERVER_UNREACHABLE', 'It was cut.'))
    await expect(racing).rejects.toEqual(code('SERVER_UNREACHABLE', /It was cut/u))
  })

  test('converts an error of the system', async () => {
    const racing = fixture.race([at(1, 'given')], { offers: async function * () { /* none */ } })
    fixture.attempts[0]?.fail(new Error('connect EHOSTUNREACH'))
    await expect(racing).rejects.toEqual(code('SERVER_UNREACHABLE', /EHOSTUNREACH/u))
  })
})

describe('without offers, because they cannot be received', () => {
  beforeEach(() => { fixture.offers.failure = error('DISCOVERY_UNAVAILABLE', 'No network interface.') })

  test('connects to a remembered address', async () => {
    const racing = fixture.race([at(1, 'remembered')])
    await settle()
    fixture.attempts[0]?.prove()
    expect((await racing).port).toBe(1)
  })

  test('reports the reason as soon as nothing else is left to try', async () => {
    await expect(fixture.race([])).rejects.toEqual(code('DISCOVERY_UNAVAILABLE', /No network interface/u))
    const racing = fixture.race([at(1, 'remembered')])
    await settle()
    fixture.attempts[0]?.fail(error('SERVER_UNREACHABLE'))
    await expect(racing).rejects.toEqual(code('DISCOVERY_UNAVAILABLE'))
  })
})

describe('an aborted race', () => {
  test('ends every attempt with the reason', async () => {
    const racing = fixture.race([at(1, 'remembered')])
    await settle()
    fixture.stop.abort(error('ABORTED', 'Stopped on request.'))
    await expect(racing).rejects.toEqual(code('ABORTED', /Stopped on request/u))
    await settle()
    expect([fixture.attempts[0]?.signal.aborted, fixture.offers.isStopped, fixture.clock.scheduled]).toEqual([true, true, 0])
  })

  test('dials nothing if it was aborted before the start', async () => {
    fixture.stop.abort(error('ABORTED'))
    await expect(fixture.race([at(1, 'given')])).rejects.toEqual(code('ABORTED'))
    expect(fixture.attempts).toEqual([])
  })
})
