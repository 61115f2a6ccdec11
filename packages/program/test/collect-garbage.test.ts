import { constants, PerformanceObserver } from 'node:perf_hooks'
import type { PerformanceEntry } from 'node:perf_hooks'
import type { Connection, Incoming } from '@filesync/protocol'
import { expect, it } from 'vitest'
import { collectingGarbage, givingMemoryBack } from '../src/node/collect-garbage.ts'

const MESSAGE: Incoming = { kind: 'message', message: { type: 'FILE_PROBLEM', task: 0, code: 'VANISHED', message: 'gone' } }

/** A connection over which so many bytes come with each message. */
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

// The types of the oldest Node that is supported do not tell of it.
function kindOf (entry: PerformanceEntry): number | undefined {
  return (entry as PerformanceEntry & { readonly detail?: { readonly kind: number } }).detail?.kind
}

/** Counts from now on. What the engine did is told in a later turn of the event loop. */
function minorCollections (): { count: number, stop: () => void } {
  const seen = { count: 0, stop: () => { observer.disconnect() } }
  const observer = new PerformanceObserver(list => {
    for (const entry of list.getEntries()) if (kindOf(entry) === constants.NODE_PERFORMANCE_GC_MINOR) seen.count++
  })
  observer.observe({ entryTypes: ['gc'] })
  return seen
}

async function take (connection: Connection, messages: number): Promise<void> {
  for (let i = 0; i < messages; i++) expect(await connection.next()).toBe(MESSAGE)
}

it('looks at young garbage each time that much has arrived, and passes on what came', async () => {
  const seen = minorCollections()
  await take(collectingGarbage(connectionOf(16 << 20)), 8)
  await expect.poll(() => seen.count).toBeGreaterThanOrEqual(8)
  seen.stop()
})

it('leaves a connection alone over which little comes', async () => {
  const seen = minorCollections()
  await take(collectingGarbage(connectionOf(64)), 8)
  await take(collectingGarbage(connectionOf(16 << 20)), 1)
  await expect.poll(() => seen.count, { timeout: 10_000 }).toBeGreaterThanOrEqual(1)
  expect(seen.count).toBeLessThan(8)
  seen.stop()
})

/** Makes so many objects that nothing holds afterwards. Returns what the heap was with them. */
function grow (objects: number): number {
  const held = Array.from({ length: objects }, (_, i) => ({ name: i, next: { i } }))
  const { heapUsed } = process.memoryUsage()
  expect(held).toHaveLength(objects)
  return heapUsed
}

it('gives back what work took that made the heap grow by much, and only that', async () => {
  const giveLittleBack = givingMemoryBack()
  giveLittleBack()
  const giveBack = givingMemoryBack()
  const startBytes = process.memoryUsage().heapUsed
  const grownBytes = grow(2_000_000) - startBytes
  giveBack()
  await expect.poll(() => process.memoryUsage().heapUsed - startBytes).toBeLessThan(grownBytes / 4)
})
