import { randomBytes } from 'node:crypto'
import { readdir, utimes, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import type { PushResult } from '@filesync/client'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { CLIENT_PROGRAM, mirrorOf, openPairedStage } from '../src/programs.ts'
import type { RunningServer, Stage } from '../src/programs.ts'
import { treeDifferences } from '../src/trees.ts'

const FILES = 40
const FILE_BYTES = 50_000
const LONG_AGO = 1_700_000_000
/** What a stop may take, and what the machines of tests may add. */
const STOP_MS = 5_000

let stage: Stage
let server: RunningServer
let source: string

beforeEach(async () => {
  ({ stage, server, source } = await openPairedStage())
  for (let i = 0; i < FILES; i++) {
    await writeFile(join(source, `f${i}`), randomBytes(FILE_BYTES))
    await utimes(join(source, `f${i}`), LONG_AGO, LONG_AGO)
  }
})

afterEach(async () => { await stage.dispose() })

/** A client that is in the middle of its transfer. */
async function startSending (command: 'push' | 'start'): Promise<{ child: ReturnType<Stage['start']>, results: AsyncIterator<string> }> {
  const child = stage.start(CLIENT_PROGRAM, [command, source, '--json', '--limit', '1M', ...stage.clientArgs('client')])
  const results = createInterface({ input: child.stdout })[Symbol.asyncIterator]()
  await expect.poll(async () => (await stored()).length, { timeout: 20_000, interval: 20 }).toBeGreaterThan(0)
  return { child, results }
}

async function stored (): Promise<string[]> {
  return await readdir(mirrorOf(server, 'client', source)).catch(() => [])
}

async function nextResult (results: AsyncIterator<string>): Promise<PushResult> {
  return JSON.parse((await results.next()).value as string) as PushResult
}

test('a server that is stopped commits what it has, tells the client when to return, and goes on from there', async () => {
  const { child, results } = await startSending('push')
  const code = new Promise<number | null>(resolve => { child.once('exit', resolve) })
  const startedMs = Date.now()
  expect(await stage.stop(server.child)).toBe(0)
  expect(Date.now() - startedMs).toBeLessThan(STOP_MS)
  const result = await nextResult(results)
  expect(result).toMatchObject({ result: 'failed', code: 'SERVER_STOPPING', nextSyncAt: expect.any(String) as unknown })
  expect(await code).toBe(75)
  const kept = await stored()
  expect(kept.length).toBeLessThan(FILES)
  expect(result.filesSent).toBe(kept.length)
  server = await stage.startServer()
  expect(await stage.push('client', source)).toMatchObject({ code: 0, result: { filesSent: FILES - kept.length } })
  expect(await treeDifferences(source, mirrorOf(server, 'client', source))).toEqual([])
}, 60_000)

test('a running client reconnects by itself when its server was restarted on another port', async () => {
  const { results } = await startSending('start')
  await stage.stop(server.child)
  expect(await nextResult(results)).toMatchObject({ code: 'SERVER_STOPPING' })
  server = await stage.startServer()
  let result = await nextResult(results)
  while (result.result === 'failed') result = await nextResult(results)
  expect(result).toMatchObject({ result: 'ok', filesTotal: FILES })
  expect(await treeDifferences(source, mirrorOf(server, 'client', source))).toEqual([])
}, 60_000)

test('a client that is stopped leaves what arrived committed, and the next run sends the rest', async () => {
  const { child } = await startSending('push')
  const startedMs = Date.now()
  expect(await stage.stop(child)).toBe(1)
  expect(Date.now() - startedMs).toBeLessThan(STOP_MS)
  const { result, code } = await stage.push('client', source)
  expect([code, result.result]).toEqual([0, 'ok'])
  expect(result.filesSent).toBeLessThan(FILES)
  expect(await treeDifferences(source, mirrorOf(server, 'client', source))).toEqual([])
}, 60_000)

test('a second signal ends a server at once that waits for a client', async () => {
  const { child } = await startSending('push')
  // It takes the farewell no more, which the server would wait two seconds for.
  child.kill('SIGSTOP')
  server.child.kill('SIGTERM')
  const announced = createInterface({ input: server.child.stdout })
  const startedMs = Date.now()
  await new Promise(resolve => { announced.once('line', resolve) })
  expect(await stage.stop(server.child)).toBe(130)
  expect(Date.now() - startedMs).toBeLessThan(1_500)
  child.kill('SIGCONT')
}, 60_000)
