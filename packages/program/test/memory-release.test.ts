import { constants, PerformanceObserver } from 'node:perf_hooks'
import type { PerformanceEntry } from 'node:perf_hooks'
import type { Connection, Incoming } from '@filesync/protocol'
import { expect, it } from 'vitest'
import { collectWhileReceiving, prepareMemoryRelease } from '../src/node/memory.ts'

const MESSAGE: Incoming = { kind: 'message', message: { type: 'FILE_PROBLEM', task: 0, code: 'VANISHED', message: 'gone' } }

/** A connection that receives this many bytes with each message. */
function connectionOf (bytesEach: number): Connection {
  let bytesReceived = 0
  return {
    get bytesReceived () { return bytesReceived },
    next: async () => {
      bytesReceived += bytesEach
      return MESSAGE
    },
  } as Connection
}

// The types of the oldest supported Node do not declare it.
function kindOf (entry: PerformanceEntry): number | undefined {
  return (entry as PerformanceEntry & { readonly detail?: { readonly kind: number } }).detail?.kind
}

/** Counts from now on. The engine reports collections in a later turn of the event loop. */
function minorCollections (): { count: number, stop: () => void } {
  const seen = { count: 0, stop: () => { observer.disconnect() } }
  const observer = new PerformanceObserver(list => {
    for (const entry of list.getEntries()) if (kindOf(entry) === constants.NODE_PERFORMANCE_GC_MINOR) seen.count++
  })
  observer.observe({ entryTypes: ['gc'] })
  return seen
}

async function receive (connection: Connection, messages: number): Promise<void> {
  for (let i = 0; i < messages; i++) expect(await connection.next()).toBe(MESSAGE)
}

it('collects young garbage each time much data has arrived, and passes on the messages', async () => {
  const seen = minorCollections()
  await receive(collectWhileReceiving(connectionOf(16 << 20)), 8)
  await expect.poll(() => seen.count).toBeGreaterThanOrEqual(8)
  seen.stop()
})

it('collects nothing if little data arrives', async () => {
  const seen = minorCollections()
  await receive(collectWhileReceiving(connectionOf(64)), 8)
  await receive(collectWhileReceiving(connectionOf(16 << 20)), 1)
  await expect.poll(() => seen.count, { timeout: 10_000 }).toBeGreaterThanOrEqual(1)
  expect(seen.count).toBeLessThan(8)
  seen.stop()
})

/** Creates objects that nothing references afterwards. Returns the size of the heap with them. */
function grow (objects: number): number {
  const held = Array.from({ length: objects }, (_, i) => ({ name: i, next: { i } }))
  const { heapUsed } = process.memoryUsage()
  expect(held).toHaveLength(objects)
  return heapUsed
}

it('releases memory after work that made the heap grow by much', async () => {
  const releaseLittle = prepareMemoryRelease()
  releaseLittle()
  const release = prepareMemoryRelease()
  const startBytes = process.memoryUsage().heapUsed
  const grownBytes = grow(2_000_000) - startBytes
  release()
  await expect.poll(() => process.memoryUsage().heapUsed - startBytes).toBeLessThan(grownBytes / 4)
})
