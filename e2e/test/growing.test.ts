import { randomBytes } from 'node:crypto'
import { appendFile, readdir, readFile, stat, utimes, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { setTimeout as delay } from 'node:timers/promises'
import type { PushResult } from '@filesync/client'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { CLIENT_PROGRAM, mirrorOf, openPairedStage } from '../src/programs.ts'
import type { RunningServer, Stage } from '../src/programs.ts'
import { treeDifferences } from '../src/trees.ts'

const SIZE_BYTES = 4 << 20
const LONG_AGO = 1_700_000_000

let stage: Stage
let server: RunningServer
let source: string
beforeEach(async () => {
  ({ stage, server, source } = await openPairedStage())
  await writeFile(join(source, 'growing.log'), randomBytes(SIZE_BYTES))
  await writeFile(join(source, 'quiet'), 'quiet')
  for (const name of ['growing.log', 'quiet']) await utimes(join(source, name), LONG_AGO, LONG_AGO)
})
afterEach(async () => { await stage.dispose() })

const stored = (): string => join(mirrorOf(server, 'client', source), 'growing.log')

/** Resolves when a part of the file has arrived. */
async function untilItArrives (): Promise<void> {
  const partial = join(server.archive, '.filesync', 'partial', 'client')
  await expect.poll(async () => {
    const names = await readdir(partial).catch(() => [])
    return Math.max(0, ...await Promise.all(names.map(async name => (await stat(join(partial, name))).size)))
  }, { timeout: 20_000, interval: 5 }).toBeGreaterThan(0)
}

/** One push that takes a second or two, and what it came to. */
async function slowPush (act: () => Promise<void>): Promise<PushResult> {
  const child = stage.start(CLIENT_PROGRAM, ['push', source, '--json', '--settle', '0s', '--limit', '4M', ...stage.clientArgs('client')])
  const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]()
  await act()
  return JSON.parse((await lines.next()).value as string) as PushResult
}

/** What is stored of the file was its content at some moment: it only ever grew, so a part from its start. */
async function expectConsistent (): Promise<number> {
  const [there, here] = await Promise.all([readFile(stored()).catch(() => Buffer.alloc(0)), readFile(join(source, 'growing.log'))])
  expect(here.subarray(0, there.length).equals(there)).toBe(true)
  return there.length
}

test('a file that grows while it is sent is named, never stored mixed, and the next sync brings all of it', async () => {
  const first = await slowPush(async () => {
    await untilItArrives()
    await appendFile(join(source, 'growing.log'), 'one more line')
  })
  expect(first).toMatchObject({ result: 'problems', problems: [{ path: 'source/growing.log', code: 'CHANGED_DURING_READ' }] })
  expect(await expectConsistent()).toBe(0)
  expect(await readFile(join(mirrorOf(server, 'client', source), 'quiet'), 'utf8')).toBe('quiet')
  expect(await stage.push('client', source, ['--settle', '0s'])).toMatchObject({ code: 0, result: { result: 'ok', filesSent: 1 } })
  expect(await treeDifferences(source, mirrorOf(server, 'client', source))).toEqual([])
}, 60_000)

test('a stored file that grows while what it grew by is sent stays the version that it was, until the next sync', async () => {
  expect(await stage.push('client', source)).toMatchObject({ code: 0, result: { filesSent: 2 } })
  await appendFile(join(source, 'growing.log'), randomBytes(SIZE_BYTES))
  const second = await slowPush(async () => {
    await untilItArrives()
    await appendFile(join(source, 'growing.log'), 'and more')
  })
  expect(second).toMatchObject({ result: 'problems', problems: [{ path: 'source/growing.log', code: 'CHANGED_DURING_READ' }] })
  expect(await expectConsistent()).toBe(SIZE_BYTES)
  expect(await stage.push('client', source, ['--settle', '0s'])).toMatchObject({ code: 0, result: { filesSent: 1 } })
  expect(await treeDifferences(source, mirrorOf(server, 'client', source))).toEqual([])
}, 60_000)

test('of a file that is appended to without a pause the beginning is stored after the wait for quiet files, and it is named', async () => {
  const log = join(source, 'growing.log')
  let isOver = false
  const writing = (async () => {
    while (!isOver) {
      await appendFile(log, 'one more line\n')
      // The pace of the program that writes; nothing is waited for by it.
      await delay(100)
    }
  })()
  try {
    const { code, result } = await stage.push('client', source)
    expect(code).toBe(5)
    expect(result).toMatchObject({
      result: 'problems',
      filesSent: 2,
      problems: [{ path: 'source/growing.log', code: 'GROWING' }],
      problemCount: 1,
    })
    expect(await expectConsistent()).toBeGreaterThan(SIZE_BYTES)
  } finally {
    isOver = true
    await writing
  }
  expect(await stage.push('client', source)).toMatchObject({ code: 0 })
  expect(await treeDifferences(source, mirrorOf(server, 'client', source))).toEqual([])
}, 90_000)
