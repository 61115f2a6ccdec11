import { seededRandom } from '@filesync/protocol/testing'
import { expect, test } from 'vitest'
import { HandshakeSlots } from '../src/handshake-slots.ts'
import type { HandshakeLimits } from '../src/handshake-slots.ts'

const LIMITS: HandshakeLimits = { handshakes: 8, handshakesPerAddress: 4, handshakesOfStrangers: 6, waiting: 10 }

interface Scene {
  readonly slots: HandshakeSlots<string>
  /** Connections from an address that have sent their first message. Each is called by its address and a number. */
  readonly arrive: (address: string, count: number) => void
  /** Gives slots until none is free. */
  readonly begin: () => string[]
}

function setScene (limits: Partial<HandshakeLimits> = {}): Scene {
  const slots = new HandshakeSlots<string>({ ...LIMITS, waiting: 1000, ...limits })
  const counts = new Map<string, number>()
  return {
    slots,
    arrive (address, count) {
      for (let n = 0; n < count; n++) {
        const number = (counts.get(address) ?? 0) + 1
        counts.set(address, number)
        slots.arrive(`${address}${number}`, address)
        slots.ready(`${address}${number}`)
      }
    },
    begin () {
      const begun: string[] = []
      for (let next = slots.next(); next !== undefined; next = slots.next()) begun.push(next)
      return begun
    },
  }
}

test('addresses take turns, each first come, first served, so a flood from one delays no other', () => {
  const { slots, arrive, begin } = setScene({ handshakesOfStrangers: 8 })
  arrive('a', 100)
  expect(begin()).toEqual(['a1', 'a2', 'a3', 'a4'])
  arrive('b', 1)
  arrive('c', 50)
  expect(begin()).toEqual(['b1', 'c1', 'c2', 'c3'])
  arrive('d', 1)
  slots.leave('a2')
  slots.leave('c1')
  slots.leave('c2')
  expect(begin()).toEqual(['d1', 'a5', 'c4'])
})

test('addresses of paired clients go first, and strangers leave them a share', () => {
  const { slots, arrive, begin } = setScene()
  slots.trust('home')
  for (const stranger of ['a', 'b', 'c', 'd']) arrive(stranger, 2)
  expect(begin()).toEqual(['a1', 'b1', 'c1', 'd1', 'a2', 'b2'])
  arrive('home', 3)
  expect(begin()).toEqual(['home1', 'home2'])
  slots.leave('a1')
  expect(begin()).toEqual(['home3'])
  // One that was waiting already when a client from its address has proven itself.
  slots.trust('d')
  slots.leave('a2')
  expect(begin()).toEqual(['d2'])
})

test('a known address has no more slots than another, so it keeps no stranger out', () => {
  const { slots, arrive, begin } = setScene()
  slots.trust('home')
  arrive('home', 100)
  arrive('a', 100)
  expect(begin()).toEqual(['home1', 'home2', 'home3', 'home4', 'a1', 'a2', 'a3', 'a4'])
})

test('a connection that has sent nothing takes no slot', () => {
  const { slots, begin } = setScene()
  for (let n = 0; n < 100; n++) slots.arrive(`silent${n}`, `address ${n}`)
  expect([begin(), slots.hasReady]).toEqual([[], false])
  slots.ready('silent77')
  expect(begin()).toEqual(['silent77'])
})

test('if too many wait, one of the most crowded address goes: the one that is silent for longest, or else the newest', () => {
  const { slots } = setScene({ waiting: 10, handshakes: 0 })
  const arrive = (name: string, address: string, isReady = true): string | undefined => {
    const surplus = slots.arrive(name, address)
    if (isReady && surplus !== name) slots.ready(name)
    return surplus
  }
  for (let n = 0; n < 6; n++) expect(arrive(`a${n}`, 'a', n % 2 === 0)).toBeUndefined()
  for (let n = 0; n < 4; n++) expect(arrive(`b${n}`, 'b')).toBeUndefined()
  expect(['c', 'd', 'e'].map(address => arrive(address, address))).toEqual(['a1', 'a3', 'a5'])
  // Now all of a and b are ready: the newest of the one with most.
  expect(arrive('f', 'f')).toBe('b3')
  expect(arrive('g', 'g')).toBe('a4')
  expect(arrive('h', 'h')).toBe('b2')
})

test('among addresses with one connection each, silent ones of strangers go first, and those that are ready stay', () => {
  const { slots } = setScene({ waiting: 4, handshakes: 0 })
  slots.trust('home')
  for (const name of ['home', 'a', 'b', 'c']) slots.arrive(name, name)
  slots.ready('a')
  slots.ready('b')
  expect(slots.arrive('d', 'd')).toBe('c')
  expect(slots.arrive('e', 'e')).toBe('d')
  slots.ready('e')
  expect(slots.arrive('f', 'f')).toBe('f')
  slots.trust('f')
  expect(slots.arrive('f', 'f')).toBe('home')
})

test('the oldest of several from one address is contested while another address waits for its first', () => {
  const { slots, arrive, begin } = setScene({ handshakesOfStrangers: 8 })
  arrive('single', 1)
  arrive('a', 9)
  arrive('b', 9)
  begin()
  expect(slots.contested()).toBeUndefined()
  arrive('c', 1)
  expect([begin(), slots.contested()]).toEqual([[], 'a1'])
  slots.leave('a1')
  expect(begin()).toEqual(['c1'])
  expect(slots.contested()).toBeUndefined()
})

test('whatever comes and goes, the limits hold, no address waits while it could begin, and nothing is left in the end', () => {
  const seed = Math.floor(Math.random() * 2 ** 32)
  const random = seededRandom(seed)
  const below = (limit: number): number => Math.floor(random() * limit)
  const slots = new HandshakeSlots<number>(LIMITS)
  const where = new Map<number, { readonly address: string, state: 'silent' | 'ready' | 'running' }>()
  const known = new Set<string>()
  const inState = (state: string, of: (address: string) => boolean = () => true): number[] =>
    [...where].filter(([, one]) => one.state === state && of(one.address)).map(([name]) => name)
  const check = (): void => {
    const waiting = inState('silent').length + inState('ready').length
    expect(waiting, `seed ${seed}`).toBeLessThanOrEqual(LIMITS.waiting)
    expect(slots.hasReady).toBe(inState('ready').length > 0)
    for (let next = slots.next(); next !== undefined; next = slots.next()) {
      const begun = where.get(next)
      if (begun?.state !== 'ready') throw new Error(`seed ${seed}: ${next} was not ready`)
      begun.state = 'running'
    }
    const strangers = inState('running', address => !known.has(address)).length
    expect(inState('running').length, `seed ${seed}`).toBeLessThanOrEqual(LIMITS.handshakes)
    for (const address of new Set([...where.values()].map(one => one.address))) {
      const here = (other: string): boolean => other === address
      const running = inState('running', here).length
      expect(running, `seed ${seed}`).toBeLessThanOrEqual(LIMITS.handshakesPerAddress)
      const isFree = inState('running').length < LIMITS.handshakes && running < LIMITS.handshakesPerAddress &&
        (known.has(address) || strangers < LIMITS.handshakesOfStrangers)
      if (isFree) expect(inState('ready', here), `seed ${seed}`).toEqual([])
    }
  }
  for (let step = 0; step < 3_000; step++) {
    const [name] = [...where.keys()].slice(below(where.size))
    const dice = below(10)
    if (dice < 5) {
      const address = `address ${below(6)}`
      where.set(step, { address, state: 'silent' })
      const surplus = slots.arrive(step, address)
      if (surplus !== undefined) where.delete(surplus)
    } else if (dice < 7) {
      const one = where.get(name ?? -1)
      if (name !== undefined && one !== undefined) {
        slots.ready(name)
        if (one.state === 'silent') one.state = 'ready'
      }
    } else if (dice < 9 && name !== undefined) {
      slots.leave(name)
      where.delete(name)
    } else if (below(200) === 0) {
      const address = `address ${below(6)}`
      known.add(address)
      slots.trust(address)
    }
    check()
  }
  for (const name of where.keys()) slots.leave(name)
  where.clear()
  check()
  // Full again from nothing: no count is off.
  for (let n = 0; n < LIMITS.waiting; n++) expect(slots.arrive(-1 - n, `new ${n}`), `seed ${seed}`).toBeUndefined()
  expect(slots.arrive(-100, 'new')).toBe(-1)
})
