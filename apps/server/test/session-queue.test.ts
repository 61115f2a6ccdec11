import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { FileSyncError } from '@filesync/protocol'
import { arrivalOf, queueScene } from './support/queue.ts'
import type { Visitor } from './support/queue.ts'
import { settlePromises } from './support/time.ts'

const gone = (): FileSyncError => new FileSyncError('PEER_GONE', 'The connection was lost.')
const states = (visitors: readonly Visitor[]): string[] => visitors.map(({ state }) => state)

test('serves clients in order of arrival, and reports each new position to the others', async () => {
  const { arrive } = queueScene()
  const visitors = ['a', 'b', 'c'].map(identity => arrive(identity))
  const [a, b, c] = visitors as [Visitor, Visitor, Visitor]
  await settlePromises()
  expect(states(visitors)).toEqual(['active', 'waiting', 'waiting'])
  expect([a.reports, b.reports, c.reports]).toEqual([[], [[1, undefined]], [[2, undefined]]])
  a.leave()
  await settlePromises()
  expect(states(visitors)).toEqual(['active', 'active', 'waiting'])
  expect(b.reports).toHaveLength(1)
  expect(c.reports.map(([position]) => position)).toEqual([2, 1])
  a.leave()
  await settlePromises()
  expect(c.state).toBe('waiting')
  b.leave()
  await settlePromises()
  expect(c.state).toBe('active')
})

test('estimates the wait as the mean of past sessions, times the turns to wait', async () => {
  const { arrive, clock } = queueScene()
  for (const durationMs of [1000, 3000]) {
    const past = arrive('past')
    await settlePromises()
    clock.advance(durationMs)
    past.leave()
  }
  arrive('a')
  const [b, c] = [arrive('b'), arrive('c')]
  expect([b.reports, c.reports]).toEqual([[[1, 2000]], [[2, 4000]]])
})

test('estimates two clients per turn if two are served at once', async () => {
  const { arrive, clock } = queueScene({ maxActive: 2 })
  const past = arrive('past')
  await settlePromises()
  clock.advance(500)
  past.leave()
  const visitors = ['a', 'b', 'c', 'd', 'e'].map(identity => arrive(identity))
  await settlePromises()
  expect(states(visitors)).toEqual(['active', 'active', 'waiting', 'waiting', 'waiting'])
  expect(visitors.flatMap(({ reports }) => reports)).toEqual([[1, 500], [2, 500], [3, 1000]])
})

test('estimates from the rest of the running transfer, and updates the estimate while it runs', async () => {
  const { arrive, clock, queue } = queueScene()
  const past = arrive('past')
  await settlePromises()
  clock.advance(10_000)
  past.leave()
  let leftMs: number | undefined
  arrive('a', () => leftMs)
  const [b, c] = [arrive('b'), arrive('c')]
  // Of the running session nothing is known except how long others took.
  expect([b.reports, c.reports]).toEqual([[[1, 10_000]], [[2, 20_000]]])
  leftMs = 60_000
  clock.advance(5_000)
  expect([b.reports.at(-1), c.reports.at(-1)]).toEqual([[1, 60_000], [2, 70_000]])
  leftMs = 54_500
  clock.advance(5_000)
  expect(b.reports.at(-1)).toEqual([1, 54_500])
  expect(queue.places.map(({ estimateMs }) => estimateMs)).toEqual([54_500, 64_500])
  leftMs = 54_000
  clock.advance(5_000)
  expect(b.reports).toHaveLength(3)
  // It runs for longer than the others did and reports no estimate, so its end is unknown.
  leftMs = undefined
  clock.advance(5_000)
  expect([b.reports.at(-1), c.reports.at(-1)]).toEqual([[1, undefined], [2, undefined]])
})

test('a client far from its turn learns its position at times, one that is near at once, and a long queue takes few messages', async () => {
  const { arrive, clock } = queueScene({ maxWaiting: 500 })
  const active = arrive('first')
  const visitors = Array.from({ length: 500 }, (_, n) => arrive(`client ${n}`))
  await settlePromises()
  // At first each receives its place, however many come.
  expect(visitors.map(({ reports }) => reports.map(([position]) => position))).toEqual(visitors.map((_, n) => [n + 1]))
  active.leave()
  for (const visitor of visitors) {
    await settlePromises()
    expect(visitor.state).toBe('active')
    clock.advance(100)
    visitor.leave()
  }
  const count = visitors.reduce((sum, { reports }) => sum + reports.length, 0)
  // One for each client and turn would be 125,250; the turns take 50 s.
  expect(count).toBeLessThan(50 * 400)
  for (const [n, { reports }] of visitors.entries()) {
    const positions = reports.map(([position]) => position)
    const near = Array.from({ length: Math.min(n + 1, 8) }, (_, i) => Math.min(n + 1, 8) - i)
    expect(positions.filter((position, i) => position <= 8 && position !== positions[i - 1])).toEqual(near)
  }
  // Nobody waits for news for longer than its distance is worth.
  expect(visitors[499]?.reports.length).toBeGreaterThanOrEqual(50 / 5)
})

test('a change that was held back is reported when it is due, even if nothing else happens', async () => {
  const { arrive, clock } = queueScene()
  const [first, second] = [arrive('a'), arrive('b')]
  const far = Array.from({ length: 20 }, (_, n) => arrive(`client ${n}`)).at(-1)
  await settlePromises()
  first.leave()
  await settlePromises()
  second.leave()
  await settlePromises()
  expect(far?.reports.map(([position]) => position)).toEqual([21])
  clock.advance(999)
  expect(far?.reports).toHaveLength(1)
  clock.advance(1)
  expect(far?.reports.map(([position]) => position)).toEqual([21, 19])
})

test('reports nothing to a client that left', async () => {
  const { arrive, clock } = queueScene()
  const a = arrive('a')
  const b = arrive('b')
  await settlePromises()
  b.gone.abort(gone())
  a.leave()
  const before = b.reports.length
  clock.advance(60_000)
  expect(b.reports).toHaveLength(before)
})

describe('an identity has one place', () => {
  test('a waiting client that reconnects keeps its place, and its older arrival has to leave', async () => {
    const { arrive, queue } = queueScene()
    arrive('a')
    const [older, c] = [arrive('b'), arrive('c')]
    const newer = arrive('b')
    await settlePromises()
    expect([older.state, older.replaced]).toEqual(['SESSION_REPLACED', ['SESSION_REPLACED']])
    expect(newer.reports).toEqual([[1, undefined]])
    expect(c.reports).toEqual([[2, undefined]])
    expect(queue.identities).toEqual(['a', 'b', 'c'])
    older.gone.abort(gone())
    expect(queue.identities).toEqual(['a', 'b', 'c'])
  })

  test('an active client that reconnects is next once its older session has ended', async () => {
    const { arrive, queue } = queueScene()
    const [older, b] = [arrive('a'), arrive('b')]
    await settlePromises()
    const newer = arrive('a')
    await settlePromises()
    expect([older.state, older.replaced, newer.state]).toEqual(['active', ['SESSION_REPLACED'], 'waiting'])
    expect(b.reports.at(-1)?.[0]).toBe(2)
    older.leave()
    await settlePromises()
    expect([newer.state, b.state]).toEqual(['active', 'waiting'])
    older.leave()
    expect(queue.activeCount).toBe(1)
  })

  test('an older session that ends slowly does not delay other clients', async () => {
    const { arrive } = queueScene({ maxActive: 2 })
    const older = arrive('a')
    await settlePromises()
    const [newer, b] = [arrive('a'), arrive('b')]
    await settlePromises()
    expect([older.state, newer.state, b.state]).toEqual(['active', 'waiting', 'active'])
  })
})

describe('leaving', () => {
  test('a waiting client that is gone loses its place, and the next ones are notified', async () => {
    const { arrive } = queueScene()
    arrive('a')
    const [b, c] = [arrive('b'), arrive('c')]
    b.gone.abort(gone())
    await settlePromises()
    expect(b.state).toBe('PEER_GONE')
    expect(c.reports).toEqual([[2, undefined], [1, undefined]])
  })

  test('a client that is already gone is not admitted', async () => {
    const { queue } = queueScene()
    const entering = queue.enter(arrivalOf('a', { signal: AbortSignal.abort(gone()) }))
    await expect(entering).rejects.toEqual(expect.objectContaining({ code: 'PEER_GONE' }))
    expect(queue.identities).toEqual([])
  })

  test('an arrival beyond maxWaiting is refused and takes no place', async () => {
    const { arrive, queue } = queueScene({ maxWaiting: 1 })
    const visitors = ['a', 'b', 'c'].map(identity => arrive(identity))
    await settlePromises()
    expect(states(visitors)).toEqual(['active', 'waiting', 'SERVER_BUSY'])
    const again = arrive('b')
    await settlePromises()
    expect(again.state).toBe('waiting')
    expect(queue.waitingCount).toBe(1)
  })
})

/** The same rules in their simplest form: a list of active clients and a list of waiting ones. */
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
      // A client that reconnects keeps its turn, once.
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

test('follows the model after any arrivals, departures and losses', async () => {
  const step = fc.oneof(
    fc.record({ kind: fc.constant('arrive' as const), who: fc.constantFrom('a', 'b', 'c', 'd', 'e') }),
    fc.record({ kind: fc.constantFrom('leave' as const, 'lose' as const), pick: fc.nat(9) }),
  )
  const bounds = [fc.integer({ min: 1, max: 3 }), fc.integer({ min: 1, max: 4 })] as const
  await fc.assert(fc.asyncProperty(fc.array(step, { maxLength: 40 }), ...bounds, async (steps, maxActive, maxWaiting) => {
    const { queue, arrive } = queueScene({ maxActive, maxWaiting })
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
      await settlePromises()
      expect(queue.identities).toEqual([...model.active, ...model.waiting].map(({ identity }) => identity))
      expect(queue.activeCount).toBe(model.active.length)
      expect(model.active.map(({ state }) => state)).toEqual(model.active.map(() => 'active'))
      const waiting = model.waiting.map(({ state, reports }) => [state, reports.at(-1)?.[0]])
      expect(waiting).toEqual(model.waiting.map((_, index) => ['waiting', index + 1]))
    }
  }), { numRuns: 200 })
})

describe('yielding', () => {
  test('is required of an active client only if another one waits', async () => {
    const { arrive, queue } = queueScene()
    arrive('a')
    expect(queue.mustYield('a')).toBe(false)
    const b = arrive('b')
    expect(queue.mustYield('b')).toBe(false)
    expect(queue.mustYield('a')).toBe(true)
    b.gone.abort(gone())
    await settlePromises()
    expect(queue.mustYield('a')).toBe(true)
  })

  test('is required of no more clients than wait, and again of the next active ones', async () => {
    const { arrive, queue } = queueScene({ maxActive: 2 })
    const a = arrive('a')
    arrive('b')
    arrive('c')
    expect(['b', 'a', 'b'].map(identity => queue.mustYield(identity))).toEqual([true, false, true])
    await settlePromises()
    a.leave()
    await settlePromises()
    expect(queue.identities).toEqual(['b', 'c'])
    arrive('d')
    arrive('e')
    expect(['c', 'b'].map(identity => queue.mustYield(identity))).toEqual([true, true])
  })

  test('is not required if only a newer connection of the same client waits', async () => {
    const { arrive, queue } = queueScene()
    arrive('a')
    await settlePromises()
    arrive('a')
    expect(queue.mustYield('a')).toBe(false)
  })

  test('puts a client that returns after those that waited', async () => {
    const { arrive, queue } = queueScene()
    const a = arrive('a')
    await settlePromises()
    for (const identity of ['b', 'c']) arrive(identity)
    expect(queue.mustYield('a')).toBe(true)
    a.leave()
    arrive('a')
    await settlePromises()
    expect(queue.identities).toEqual(['b', 'c', 'a'])
  })
})

test('once a key seems cloned, a session of one machine does not end a session of the other, but one of its own', async () => {
  const { queue } = queueScene()
  const outcomes: string[] = []
  const arrive = (mark: string, replacesOthers: boolean): void => {
    const onReplaced = ({ code }: FileSyncError): void => { outcomes.push(`${mark} ${code}`) }
    queue.enter(arrivalOf('key', { mark, replacesOthers, onReplaced })).then(
      () => { outcomes.push(`${mark} active`) },
      ({ code, retryInMs }: FileSyncError) => { outcomes.push(`${mark} ${code} ${String(retryInMs)}`) },
    )
  }
  arrive('a', true)
  await settlePromises()
  arrive('b', false)
  await settlePromises()
  expect(outcomes).toEqual(['a active', 'b SERVER_BUSY 60000'])
  arrive('a', false)
  await settlePromises()
  expect(outcomes.at(-1)).toBe('a SESSION_REPLACED')
})
