import { beforeEach, expect, test } from 'vitest'
import { FileSyncError } from '@filesync/protocol'
import type { ErrorCode } from '@filesync/protocol'
import { ManualClock } from '@filesync/protocol/testing'
import type { ServerCandidate } from '../src/connect/server-candidate.ts'
import { findPairing } from '../src/connect/find-pairing.ts'

interface Attempt {
  readonly port: number
  readonly signal: AbortSignal
  readonly grant: () => void
  readonly fail: (code: ErrorCode) => void
}

let clock: ManualClock
let attempts: Attempt[]
let stop: AbortController
let offers: ServerCandidate[]
/** Whether no more offers will come. */
let isOver: boolean
let wake: () => void
beforeEach(() => {
  [clock, attempts, stop, offers, isOver, wake] = [
    new ManualClock(), [], new AbortController(), [], false, () => { /* nothing waits yet */ },
  ]
})

function offer (port: number, idPrefix = `ID${port}`, address = '10.0.0.1'): ServerCandidate {
  return { address, port, origin: 'offered', idPrefix }
}

async function * listen (signal: AbortSignal): AsyncGenerator<ServerCandidate, void, undefined> {
  signal.addEventListener('abort', () => { wake() })
  while (!signal.aborted) {
    const next = offers.shift()
    if (next !== undefined) yield next
    else if (isOver) return
    else await new Promise<void>(resolve => { wake = resolve })
  }
}

async function find (): Promise<number | undefined> {
  const finding = findPairing<number>({
    candidates: listen, random: () => 0, clock, signal: stop.signal,
    attempt: async ({ port }, signal) => await new Promise((resolve, reject) => {
      attempts.push({
        port, signal, grant: () => { resolve(port) }, fail: code => { reject(new FileSyncError(code, `${code} at ${port}.`)) },
      })
    }),
  })
  finding.catch(() => { /* awaited by the test */ })
  await settle()
  return await finding
}

async function settle (): Promise<void> {
  for (let turn = 0; turn < 4; turn++) await new Promise(resolve => { setImmediate(resolve) })
}

async function begin (): Promise<{ finding: Promise<number | undefined> }> {
  const finding = find()
  finding.catch(() => { /* awaited by the test */ })
  await settle()
  return { finding }
}

test('finds the server that shows the code, even if others refuse first', async () => {
  offers.push(offer(1), offer(2), offer(3))
  const { finding } = await begin()
  expect(attempts.map(({ port }) => port)).toEqual([1, 2, 3])
  attempts[0]?.fail('PAIRING_REFUSED')
  attempts[1]?.fail('PAIRING_UNPROVEN')
  await settle()
  attempts[2]?.grant()
  expect(await finding).toBe(3)
})

test('is not held up by a server that does not answer, and aborts that attempt when another one succeeds', async () => {
  offers.push(offer(1), offer(2))
  const { finding } = await begin()
  attempts[1]?.grant()
  expect(await finding).toBe(2)
  expect(attempts[0]?.signal.aborted).toBe(true)
  expect(clock.scheduled).toBe(0)
})

test('waits two seconds for other servers after a refusal, then reports a wrong code', async () => {
  offers.push(offer(1))
  const { finding } = await begin()
  attempts[0]?.fail('PAIRING_REFUSED')
  await settle()
  clock.advance(1_900)
  offers.push(offer(2))
  wake()
  await settle()
  clock.advance(5_000)
  attempts[1]?.fail('PAIRING_REFUSED')
  await settle()
  clock.advance(1_999)
  await settle()
  expect(clock.scheduled).toBe(1)
  clock.advance(1)
  await expect(finding).rejects.toMatchObject({ code: 'PAIRING_REFUSED', message: expect.stringContaining('All 2 servers') as unknown })
})

test('reports the failure of a server that the user named immediately', async () => {
  offers.push({ address: '10.0.0.1', port: 1, origin: 'given' })
  isOver = true
  const { finding } = await begin()
  attempts[0]?.fail('PAIRING_REFUSED')
  await expect(finding).rejects.toMatchObject({ code: 'PAIRING_REFUSED', message: 'PAIRING_REFUSED at 1.' })
  expect(clock.monotonicMs()).toBe(0)
})

test('prefers to report a server that does not know the code over refusals', async () => {
  offers.push(offer(1), offer(2), offer(3))
  isOver = true
  const { finding } = await begin()
  for (const [at, code] of (['PAIRING_REFUSED', 'PAIRING_UNPROVEN', 'SERVER_UNREACHABLE'] as const).entries()) attempts[at]?.fail(code)
  await expect(finding).rejects.toMatchObject({ code: 'PAIRING_UNPROVEN' })
})

test('resolves with undefined if no server is discovered, and rejects when it is aborted', async () => {
  isOver = true
  expect(await (await begin()).finding).toBeUndefined()
  isOver = false
  offers.push(offer(1))
  const { finding } = await begin()
  stop.abort(new FileSyncError('ABORTED', 'Stopped on request.'))
  await expect(finding).rejects.toMatchObject({ code: 'ABORTED' })
})
