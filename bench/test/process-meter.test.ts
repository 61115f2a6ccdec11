import { fork } from 'node:child_process'
import type { ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { rmSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { ProcessMeter } from '../src/process-meter.ts'
import type { Consumption } from '../src/process-meter.ts'
import type { Order } from './support/consumer.ts'
import { makeScratch } from './support/scratch.ts'

const CONSUMER = fileURLToPath(new URL('./support/consumer.ts', import.meta.url))
const MB = 1_000_000
const SIZE_BYTES = 128 << 20

let scratch: string
let consumers: ChildProcess[]
beforeEach(() => {
  scratch = makeScratch()
  consumers = [0, 1].map(() => fork(CONSUMER, { execArgv: [...process.execArgv, '--expose-gc'] }))
})
afterEach(async () => {
  for (const consumer of consumers) {
    const exited = once(consumer, 'exit')
    consumer.kill()
    await exited
  }
  rmSync(scratch, { recursive: true })
})

test('memory, written bytes and processor time are counted where they were used, and only in their window', async () => {
  const [server, client] = consumers
  if (server?.pid === undefined || client?.pid === undefined) throw new Error('A process did not start.')
  // Until they have started.
  for (const consumer of [server, client]) await give(consumer, { use: 'cpu', cpuMs: 50 })
  const measure = async (...work: [ChildProcess, Order][]): Promise<Consumption> => {
    const meter = new ProcessMeter(server.pid ?? -1)
    meter.watchRunning(client.pid ?? -1)
    for (const [consumer, order] of work) await give(consumer, order)
    return await meter.finish()
  }

  const first = await measure(
    [server, { use: 'memory', sizeBytes: SIZE_BYTES }],
    // Memory is sampled meanwhile, and is free again at the end.
    [server, { use: 'cpu', cpuMs: 200 }],
    [server, { use: 'no memory' }],
    [server, { use: 'file', sizeBytes: 8 << 20, path: join(scratch, 'by-server') }],
    [client, { use: 'file', sizeBytes: 3 << 20, path: join(scratch, 'by-client') }],
  )
  expect(first.serverAnonymousBytes).toBeGreaterThan(SIZE_BYTES)
  expect(first.serverPeakBytes).toBeGreaterThan(first.serverAnonymousBytes)
  expect(first.clientAnonymousBytes).toBeGreaterThan(1 * MB)
  expect(first.clientPeakBytes).toBeLessThan(SIZE_BYTES)
  expect(first.serverCpuMs).toBeGreaterThanOrEqual(190)
  expect(first.clientCpuMs).toBeLessThan(first.serverCpuMs)
  expectAbout(first.serverWrittenBytes, 8 << 20)
  expectAbout(first.clientWrittenBytes, 3 << 20)

  const second = await measure([client, { use: 'cpu', cpuMs: 200 }], [client, { use: 'memory', sizeBytes: SIZE_BYTES }])
  expect(second.serverPeakBytes).toBeLessThan(first.serverPeakBytes - SIZE_BYTES / 2)
  expect(second.serverAnonymousBytes).toBeLessThan(first.serverAnonymousBytes - SIZE_BYTES / 2)
  expect(second.clientAnonymousBytes).toBeGreaterThan(SIZE_BYTES)
  expect(second.clientCpuMs).toBeGreaterThanOrEqual(190)
  expect(second.serverCpuMs).toBeLessThan(100)
  expect(second.serverWrittenBytes).toBeLessThan(0.1 * MB)
})

/** The answer itself is written too. */
function expectAbout (bytes: number | undefined, expected: number): void {
  expect(bytes).toBeGreaterThanOrEqual(expected)
  expect(bytes).toBeLessThan(expected + 0.1 * MB)
}

async function give (consumer: ChildProcess, order: Order): Promise<void> {
  const answered = once(consumer, 'message')
  consumer.send(order)
  await answered
}
