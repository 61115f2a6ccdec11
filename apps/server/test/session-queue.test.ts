import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { FileSyncError } from '@filesync/protocol'
import { ManualClock } from '@filesync/protocol/testing'
import { SessionQueue } from '../src/schedule/session-queue.ts'

/** Somebody in a queue, and what became of them so far. */
interface Visitor {
  readonly identity: string
  readonly told: [position: number, estimateMs: number | undefined][]
  readonly replaced: string[]
  /** `waiting`, `active`, or the code of the error that ended it. */
  state: string
  leave: () => void
  readonly gone: AbortController
}

interface Room {
  readonly queue: SessionQueue
  readonly clock: ManualClock
  readonly arrive: (identity: string, remainingMs?: () => number | undefined) => Visitor
}

function room (init: { maxActive?: number, maxWaiting?: number } = {}): Room {
  const clock = new ManualClock()
  const queue = new SessionQueue({ maxActive: init.maxActive ?? 1, maxWaiting: init.maxWaiting ?? 100, clock })
  return {
    queue,
    clock,
    arrive (identity, remainingMs) {
      const visitor: Visitor = { identity, told: [], replaced: [], state: 'waiting', leave: () => { throw new Error(`${identity} is not active`) }, gone: new AbortController() }
      queue.enter({
        identity,
        signal: visitor.gone.signal,
        ...(remainingMs !== undefined && { remainingMs }),
        onPosition: (position, estimateMs) => { visitor.told.push([position, estimateMs]) },
        onReplaced: error => { visitor.replaced.push(error.code) },
      }).then(
        leave => { visitor.state = 'active'; visitor.leave = leave },
        (error: FileSyncError) => { visitor.state = error.code },
      )
      return visitor
    },
  }
}

/** Lets promises that are settled be noticed. */
async function settle (): Promise<void> {
  await new Promise(resolve => { setImmediate(resolve) })
}

const gone = (): FileSyncError => new FileSyncError('PEER_GONE', 'The connection was lost.')
const states = (visitors: readonly Visitor[]): string[] => visitors.map(({ state }) => state)

test('who comes first is served first, and the others are told each new place', async () => {
  const { arrive } = room()
  const visitors = ['a', 'b', 'c'].map(identity => arrive(identity))
  const [a, b, c] = visitors as [Visitor, Visitor, Visitor]
  await settle()
  expect(states(visitors)).toEqual(['active', 'waiting', 'waiting'])
  expect([a.told, b.told, c.told]).toEqual([[], [[1, undefined]], [[2, undefined]]])
  a.leave()
  await settle()
  expect(states(visitors)).toEqual(['active', 'active', 'waiting'])
  expect(b.told).toHaveLength(1)
  expect(c.told.map(([position]) => position)).toEqual([2, 1])
  a.leave()
  await settle()
  expect(c.state).toBe('waiting')
  b.leave()
  await settle()
  expect(c.state).toBe('active')
})

test('the estimate is the mean of past sessions, times the turns to wait', async () => {
  const { arrive, clock } = room()
  for (const durationMs of [1000, 3000]) {
    const past = arrive('past')
    await settle()
    clock.advance(durationMs)
    past.leave()
  }
  arrive('a')
  const [b, c] = [arrive('b'), arrive('c')]
  expect([b.told, c.told]).toEqual([[[1, 2000]], [[2, 4000]]])
})

test('with two at once, the estimate counts two a turn', async () => {
  const { arrive, clock } = room({ maxActive: 2 })
  const past = arrive('past')
  await settle()
  clock.advance(500)
  past.leave()
  const visitors = ['a', 'b', 'c', 'd', 'e'].map(identity => arrive(identity))
  await settle()
  expect(states(visitors)).toEqual(['active', 'active', 'waiting', 'waiting', 'waiting'])
  expect(visitors.flatMap(({ told }) => told)).toEqual([[1, 500], [2, 500], [3, 1000]])
})

test('the estimate is what the transfer that runs still takes, and is told again while it runs', async () => {
  const { arrive, clock, queue } = room()
  const past = arrive('past')
  await settle()
  clock.advance(10_000)
  past.leave()
  let leftMs: number | undefined
  arrive('a', () => leftMs)
  const [b, c] = [arrive('b'), arrive('c')]
  // Nothing is known of the one that runs but how long others took.
  expect([b.told, c.told]).toEqual([[[1, 10_000]], [[2, 20_000]]])
  leftMs = 60_000
  clock.advance(5_000)
  expect([b.told.at(-1), c.told.at(-1)]).toEqual([[1, 60_000], [2, 70_000]])
  leftMs = 54_500
  clock.advance(5_000)
  expect(b.told.at(-1)).toEqual([1, 54_500])
  expect(queue.places.map(({ estimateMs }) => estimateMs)).toEqual([54_500, 64_500])
  leftMs = 54_000
  clock.advance(5_000)
  expect(b.told).toHaveLength(3)
  // It runs for longer than others did, and does not know itself how long it takes: nobody does.
  leftMs = undefined
  clock.advance(5_000)
  expect([b.told.at(-1), c.told.at(-1)]).toEqual([[1, undefined], [2, undefined]])
})

test('nothing is told any more once nobody waits', async () => {
  const { arrive, clock } = room()
  const a = arrive('a')
  const b = arrive('b')
  await settle()
  b.gone.abort(gone())
  a.leave()
  const told = b.told.length
  clock.advance(60_000)
  expect(b.told).toHaveLength(told)
})

describe('an identity has one place', () => {
  test('who waits and connects anew keeps the place, and the older arrival has to go', async () => {
    const { arrive, queue } = room()
    arrive('a')
    const [older, c] = [arrive('b'), arrive('c')]
    const newer = arrive('b')
    await settle()
    expect([older.state, older.replaced]).toEqual(['SESSION_REPLACED', ['SESSION_REPLACED']])
    expect(newer.told).toEqual([[1, undefined]])
    expect(c.told).toEqual([[2, undefined]])
    expect(queue.identities).toEqual(['a', 'b', 'c'])
    older.gone.abort(gone())
    expect(queue.identities).toEqual(['a', 'b', 'c'])
  })

  test('who is served and connects anew is next, once the older session has let go', async () => {
    const { arrive, queue } = room()
    const [older, b] = [arrive('a'), arrive('b')]
    await settle()
    const newer = arrive('a')
    await settle()
    expect([older.state, older.replaced, newer.state]).toEqual(['active', ['SESSION_REPLACED'], 'waiting'])
    expect(b.told.at(-1)?.[0]).toBe(2)
    older.leave()
    await settle()
    expect([newer.state, b.state]).toEqual(['active', 'waiting'])
    older.leave()
    expect(queue.activeCount).toBe(1)
  })

  test('an older session that is slow to let go holds up nobody else', async () => {
    const { arrive } = room({ maxActive: 2 })
    const older = arrive('a')
    await settle()
    const [newer, b] = [arrive('a'), arrive('b')]
    await settle()
    expect([older.state, newer.state, b.state]).toEqual(['active', 'waiting', 'active'])
  })
})

describe('leaving', () => {
  test('a dead waiter gives its place up, and those behind are told', async () => {
    const { arrive } = room()
    arrive('a')
    const [b, c] = [arrive('b'), arrive('c')]
    b.gone.abort(gone())
    await settle()
    expect(b.state).toBe('PEER_GONE')
    expect(c.told).toEqual([[2, undefined], [1, undefined]])
  })

  test('who is gone already is not let in', async () => {
    const { queue } = room()
    const entering = queue.enter({ identity: 'a', signal: AbortSignal.abort(gone()), onPosition () { /* not told */ }, onReplaced () { /* not told */ } })
    await expect(entering).rejects.toEqual(expect.objectContaining({ code: 'PEER_GONE' }))
    expect(queue.identities).toEqual([])
  })

  test('beyond the bound an arrival is turned away, and takes no place', async () => {
    const { arrive, queue } = room({ maxWaiting: 1 })
    const visitors = ['a', 'b', 'c'].map(identity => arrive(identity))
    await settle()
    expect(states(visitors)).toEqual(['active', 'waiting', 'SERVER_BUSY'])
    const again = arrive('b')
    await settle()
    expect(again.state).toBe('waiting')
    expect(queue.waitingCount).toBe(1)
  })
})

/** The same rules, told as simply as they can be: a list of who is served and one of who waits. */
class Model {
  active: Visitor[] = []
  waiting: Visitor[] = []
  readonly #heirs = new Set<Visitor>()
  readonly #maxActive: number
  readonly #maxWaiting: number

  constructor (maxActive: number, maxWaiting: number) {
    this.#maxActive = maxActive
    this.#maxWaiting = maxWaiting
  }

  arrive (visitor: Visitor): void {
    const same = (other: Visitor): boolean => other.identity === visitor.identity
    const older = this.waiting.find(same) ?? this.active.find(same)
    if (older !== undefined && this.waiting.includes(older)) {
      if (this.#heirs.has(older)) this.#heirs.add(visitor)
      this.waiting = this.waiting.map(other => other === older ? visitor : other)
    } else if (older !== undefined && !this.#heirs.has(older)) {
      // Who connects anew keeps the turn, once.
      this.#heirs.add(visitor)
      this.waiting = [visitor, ...this.waiting]
    }
    else if (this.waiting.length < this.#maxWaiting) this.waiting = [...this.waiting, visitor]
    this.fill()
  }

  remove (visitor: Visitor): void {
    this.active = this.active.filter(other => other !== visitor)
    this.waiting = this.waiting.filter(other => other !== visitor)
    this.fill()
  }

  fill (): void {
    for (const visitor of [...this.waiting]) {
      if (this.active.length >= this.#maxActive) return
      if (this.active.some(({ identity }) => identity === visitor.identity)) continue
      this.active.push(visitor)
      this.waiting = this.waiting.filter(other => other !== visitor)
    }
  }
}

test('after any arrivals, departures and losses the queue is as the rules say', async () => {
  const step = fc.oneof(
    fc.record({ kind: fc.constant('arrive' as const), who: fc.constantFrom('a', 'b', 'c', 'd', 'e') }),
    fc.record({ kind: fc.constantFrom('leave' as const, 'lose' as const), pick: fc.nat(9) }),
  )
  await fc.assert(fc.asyncProperty(fc.array(step, { maxLength: 40 }), fc.integer({ min: 1, max: 3 }), fc.integer({ min: 1, max: 4 }), async (steps, maxActive, maxWaiting) => {
    const { queue, arrive } = room({ maxActive, maxWaiting })
    const model = new Model(maxActive, maxWaiting)
    for (const made of steps) {
      if (made.kind === 'arrive') model.arrive(arrive(made.who))
      else {
        const from = made.kind === 'leave' ? model.active : model.waiting
        const visitor = from[made.pick % from.length]
        if (visitor !== undefined && made.kind === 'leave') visitor.leave()
        else visitor?.gone.abort(gone())
        if (visitor !== undefined) model.remove(visitor)
      }
      await settle()
      expect(queue.identities).toEqual([...model.active, ...model.waiting].map(({ identity }) => identity))
      expect(queue.activeCount).toBe(model.active.length)
      expect(model.active.map(({ state }) => state)).toEqual(model.active.map(() => 'active'))
      expect(model.waiting.map(({ state, told }) => [state, told.at(-1)?.[0]])).toEqual(model.waiting.map((_, index) => ['waiting', index + 1]))
    }
  }), { numRuns: 200 })
})

describe('making room', () => {
  test('is asked of nobody while nobody waits, and of who is served when somebody does', async () => {
    const { arrive, queue } = room()
    arrive('a')
    expect(queue.mustYield('a')).toBe(false)
    const b = arrive('b')
    expect(queue.mustYield('b')).toBe(false)
    expect(queue.mustYield('a')).toBe(true)
    b.gone.abort(gone())
    await settle()
    expect(queue.mustYield('a')).toBe(true)
  })

  test('is asked of no more than wait, and anew of those who are served next', async () => {
    const { arrive, queue } = room({ maxActive: 2 })
    const a = arrive('a')
    arrive('b')
    arrive('c')
    expect(['b', 'a', 'b'].map(identity => queue.mustYield(identity))).toEqual([true, false, true])
    await settle()
    a.leave()
    await settle()
    expect(queue.identities).toEqual(['b', 'c'])
    arrive('d')
    arrive('e')
    expect(['c', 'b'].map(identity => queue.mustYield(identity))).toEqual([true, true])
  })

  test('is not asked for the sake of the same client on a newer connection', async () => {
    const { arrive, queue } = room()
    arrive('a')
    await settle()
    arrive('a')
    expect(queue.mustYield('a')).toBe(false)
  })

  test('puts who comes back behind those who waited', async () => {
    const { arrive, queue } = room()
    const a = arrive('a')
    await settle()
    for (const identity of ['b', 'c']) arrive(identity)
    expect(queue.mustYield('a')).toBe(true)
    a.leave()
    arrive('a')
    await settle()
    expect(queue.identities).toEqual(['b', 'c', 'a'])
  })
})
