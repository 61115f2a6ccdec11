import { describe, expect, test } from 'vitest'
import { LIMITS, openConnection } from '@filesync/protocol'
import type { Connection, FileSyncError, Task } from '@filesync/protocol'
import { ManualClock, memoryStreamPair } from '@filesync/protocol/testing'
import { withPatience } from '../src/session/patience.ts'
import { passTime } from './support/time.ts'

interface Scene {
  readonly clock: ManualClock
  readonly client: Connection
  readonly server: Connection
  /** Waits for the client: resolves with the type of what arrived, or with the error code. */
  readonly wait: () => Promise<string>
}

function scene (limitMs: number, sizeBytes = 0): Scene {
  const clock = new ManualClock()
  const [left, right] = memoryStreamPair()
  const client = openConnection({ stream: left, clock })
  const server = withPatience(openConnection({ stream: right, clock }), { clock, limitMs, sizeOf: () => sizeBytes })
  const wait = async (): Promise<string> => await server.next().then(
    incoming => incoming.kind === 'raw' ? incoming.type : incoming.message.type,
    (error: FileSyncError) => error.code,
  )
  return { clock, client, server, wait }
}

/** Lets seconds pass while both ends send their heartbeats. */
async function pass (clock: ManualClock, seconds: number): Promise<void> {
  await passTime(clock, 1000 * seconds)
}

describe('patience with a client', () => {
  test('ends if only heartbeats arrive', async () => {
    const { clock, wait } = scene(20_000)
    const waiting = wait()
    await pass(clock, 21)
    expect(await waiting).toBe('PEER_TOO_SLOW')
  })

  test('is not used up while the server itself is busy', async () => {
    const { clock, client, wait } = scene(20_000)
    await pass(clock, 100)
    await client.sendRaw('DATA', [new Uint8Array(10)])
    expect(await wait()).toBe('DATA')
  })

  test('is won back by what is sent, up to the limit', async () => {
    const { clock, client, wait } = scene(20_000)
    for (let frame = 0; frame < 10; frame++) {
      const waiting = wait()
      await pass(clock, 15)
      await client.sendRaw('DATA', [new Uint8Array(15 * LIMITS.leastBytesPerSecond)])
      expect(await waiting).toBe('DATA')
    }
    await client.sendRaw('DATA', [new Uint8Array(1_000_000)])
    expect(await wait()).toBe('DATA')
    const waiting = wait()
    await pass(clock, 21)
    expect(await waiting).toBe('PEER_TOO_SLOW')
  })

  test('is not won back by a trickle', async () => {
    const { clock, client, wait } = scene(20_000)
    let outcome = 'DATA'
    let frames = 0
    for (; outcome === 'DATA' && frames < 100; frames++) {
      const waiting = wait()
      await pass(clock, 1)
      await client.sendRaw('DATA', [new Uint8Array(8)]).catch(() => { /* it is over */ })
      outcome = await waiting
    }
    expect(outcome).toBe('PEER_TOO_SLOW')
    expect(frames).toBeLessThan(25)
  })

  const silent: readonly [what: string, task: Task][] = [
    ['the rest of a file', [0, 0, 'RESUME', 100 * LIMITS.rereadBytesPerSecond]],
    ['a delta', [0, 0, 'DELTA', 12]],
    ['a digest', [0, 0, 'DIGEST']],
  ]
  test.each(silent)('is extended for %s, which the client reads without sending it', async (_, task) => {
    const { clock, server, wait } = scene(20_000, 100 * LIMITS.rereadBytesPerSecond)
    await server.send({ type: 'TASKS', first: 0, tasks: [task], last: true })
    const waiting = wait()
    let isOver = false
    void waiting.then(() => { isOver = true })
    await pass(clock, 119)
    expect(isOver).toBe(false)
    await pass(clock, 2)
    expect(await waiting).toBe('PEER_TOO_SLOW')
  })
})
