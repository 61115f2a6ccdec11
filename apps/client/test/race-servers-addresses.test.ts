import { beforeEach, describe, expect, test } from 'vitest'
import { seededRandom } from '@filesync/protocol/testing'
import { RaceFixture, TIMEOUT_MS, at, error, offer, settle } from './support/race-fixture.ts'

let fixture: RaceFixture
beforeEach(() => { fixture = new RaceFixture() })

describe('several addresses of one server', () => {
  test('are dialled one after the other, 250 ms apart, or at once if one fails', async () => {
    const racing = fixture.race([])
    fixture.offers.make(offer('A', '10.0.0.1', 1), offer('A', 'fe80::1%eth0', 1), offer('A', '10.1.0.1', 1), offer('B', '10.0.0.2', 1))
    await settle()
    expect(fixture.addresses).toEqual(['10.0.0.1', '10.0.0.2'])
    fixture.clock.advance(249)
    expect(fixture.attempts).toHaveLength(2)
    fixture.clock.advance(1)
    expect(fixture.addresses.slice(2)).toEqual(['fe80::1%eth0'])
    fixture.attempts[2]?.fail(error('SERVER_UNREACHABLE'))
    await settle()
    expect(fixture.addresses.slice(3)).toEqual(['10.1.0.1'])
    fixture.attempts[3]?.prove()
    expect((await racing).address).toBe('10.1.0.1')
    fixture.offers.make(offer('A', '10.2.0.1', 1))
    await settle()
    fixture.clock.advance(1_000)
    expect(fixture.attempts).toHaveLength(4)
  })

  test('are dialled before a second dial of an attacker that copies the id, which gets at most eight dials per address', async () => {
    const racing = fixture.race([])
    fixture.offers.make(...Array.from({ length: 30 }, (_, n) => offer('A', '10.0.0.66', 2_000 + n)), offer('A', '10.0.0.1', 4_433))
    await settle()
    // An address that was not dialled yet comes before the second dial of the attacker.
    fixture.attempts[0]?.fail(error('IDENTITY_CHANGED'))
    await settle()
    expect(fixture.addresses).toEqual(['10.0.0.66', '10.0.0.1'])
    fixture.clock.advance(TIMEOUT_MS / 2)
    await settle()
    expect(fixture.addresses.slice(0, 3)).toEqual(['10.0.0.66', '10.0.0.1', '10.0.0.66'])
    expect(fixture.addresses.filter(address => address === '10.0.0.66').length).toBeLessThanOrEqual(8)
    fixture.attempts[1]?.prove()
    expect((await racing).port).toBe(4_433)
  })

  test.each([1, 2, 3, 4, 5])('are all dialled in time even if 140 silent addresses offer the same id before (seed %i)', async seed => {
    const racing = fixture.race([at(1, 'remembered')], { random: seededRandom(seed) })
    fixture.offers.make(...Array.from({ length: 140 }, (_, n) => offer('A', `10.0.0.${n + 100}`, 4_433)))
    await settle()
    fixture.offers.make(offer('A', '10.0.0.7', 4_433))
    await settle()
    // No offer makes the client dial more than a few addresses at a time.
    for (let atMs = 0; atMs < TIMEOUT_MS - 250 && !fixture.addresses.includes('10.0.0.7'); atMs += 250) {
      const before = fixture.attempts.length
      fixture.clock.advance(250)
      await settle()
      expect(fixture.attempts.length - before).toBeLessThanOrEqual(8)
    }
    fixture.attempts.find(({ candidate }) => candidate.address === '10.0.0.7')?.prove()
    expect((await racing).address).toBe('10.0.0.7')
    expect(new Set(fixture.addresses).size).toBe(fixture.addresses.length)
  })

  test('are not crowded out by a flood of offers with many ports', async () => {
    const racing = fixture.race([], { random: seededRandom(7) })
    fixture.offers.make(...Array.from({ length: 2_000 }, (_, n) => offer('A', '10.0.0.66', 2_000 + n)), offer('A', '10.0.0.7', 4_433))
    await settle()
    fixture.clock.advance(250)
    await settle()
    expect(fixture.addresses).toContain('10.0.0.7')
    fixture.attempts.find(({ candidate }) => candidate.address === '10.0.0.7')?.prove()
    expect((await racing).address).toBe('10.0.0.7')
  })

  test('are dialled beginning with the one where the server was before', async () => {
    void fixture.race([{ address: '10.0.0.1', port: 1, origin: 'remembered' }])
    fixture.offers.make(offer('A', '10.0.0.66', 1))
    await settle()
    fixture.offers.make(offer('A', '10.0.0.67', 1), offer('A', '10.0.0.68', 1), offer('A', '10.0.0.1', 2))
    await settle()
    fixture.clock.advance(250)
    expect(fixture.addresses).toEqual(['10.0.0.1', '10.0.0.66', '10.0.0.1'])
  })

  test('are dialled in random order, so that the fastest attacker does not always win', async () => {
    const draws = [0, 0.99]
    void fixture.race([], { random: () => draws.shift() ?? 0 })
    fixture.offers.make(...[66, 67, 68, 1].map(n => offer('A', `10.0.0.${n}`, 1)))
    await settle()
    fixture.clock.advance(250)
    expect(fixture.addresses).toEqual(['10.0.0.66', '10.0.0.1'])
  })
})
