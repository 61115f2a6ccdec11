import { constants, PerformanceObserver } from 'node:perf_hooks'
import type { Connection, Incoming } from '@filesync/protocol'
import { expect, it } from 'vitest'
import { collectingYoung } from '../src/young-garbage.ts'

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

async function minorCollections (work: () => Promise<void>): Promise<number> {
  let count = 0
  const observer = new PerformanceObserver(list => {
    for (const { detail } of list.getEntries()) if ((detail as { kind: number }).kind === constants.NODE_PERFORMANCE_GC_MINOR) count++
  })
  observer.observe({ entryTypes: ['gc'] })
  await work()
  // What was observed is told in a later turn of the event loop.
  await new Promise(resolve => { setImmediate(resolve) })
  observer.disconnect()
  return count
}

async function take (connection: Connection, messages: number): Promise<void> {
  for (let i = 0; i < messages; i++) expect(await connection.next()).toBe(MESSAGE)
}

it('looks at young garbage each time that much has arrived, and passes on what came', async () => {
  const connection = collectingYoung(connectionOf(16 << 20))
  expect(await minorCollections(async () => { await take(connection, 4) })).toBeGreaterThanOrEqual(4)
})

it('leaves a connection alone over which little comes', async () => {
  const connection = collectingYoung(connectionOf(64))
  expect(await minorCollections(async () => { await take(connection, 4) })).toBe(0)
})
