import { expect, test } from 'vitest'
import { EventFeed } from '@filesync/program'
import type { LogEvent } from '@filesync/program'

const named = (n: number): LogEvent => ({ event: String(n) })

test('each reader receives all events after its call, in order', async () => {
  const feed = new EventFeed()
  const stop = new AbortController()
  feed.push(named(0))
  const [left, right] = [feed.read(stop.signal), feed.read(stop.signal)]
  for (const n of [1, 2]) feed.push(named(n))
  for (const reader of [left, right]) for (const n of [1, 2]) expect((await reader.next()).value).toEqual(named(n))
  const due = left.next()
  feed.push(named(3))
  expect((await due).value).toEqual(named(3))
})

test('a slow reader loses the oldest events and receives their number; the others lose nothing', async () => {
  const feed = new EventFeed()
  const stop = new AbortController()
  const [slow, quick] = [feed.read(stop.signal), feed.read(stop.signal)]
  for (let n = 0; n < 1_500; n++) {
    feed.push(named(n))
    expect((await quick.next()).value).toEqual(named(n))
  }
  expect((await slow.next()).value).toEqual({ event: 'missed', count: 500 })
  expect((await slow.next()).value).toEqual(named(500))
})

test('reading ends with the signal, and frees the place for another reader', async () => {
  const feed = new EventFeed()
  const stop = new AbortController()
  const readers = Array.from({ length: 16 }, () => feed.read(stop.signal))
  expect(() => feed.read(new AbortController().signal)).toThrow(expect.objectContaining({ code: 'SERVER_BUSY' }))
  const due = readers[0]?.next()
  stop.abort()
  expect(await due).toEqual({ done: true, value: undefined })
  expect(feed.hasReaders).toBe(false)
  feed.read(new AbortController().signal)
  expect(feed.hasReaders).toBe(true)
})
