import { readdir, readFile, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { systemClock } from '@filesync/protocol/node'
import type { MemoryStreamInit, TreeLiteral } from '@filesync/protocol/testing'
import { SessionQueue } from '@filesync/server'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { Ground } from '../src/hostile-ground.ts'
import type { SessionOutcome } from '../src/hostile-ground.ts'

const BEFORE: TreeLiteral = { 'keep.txt': 'stays as it is', 'change.txt': 'old content', gone: { 'a.txt': 'will vanish' }, empty: {} }
const AFTER: TreeLiteral = {
  'keep.txt': 'stays as it is',
  'change.txt': 'new content, longer',
  new: { 'b.txt': 'arrives', link: { symlink: 'b.txt' } },
  empty: {},
}

/** Each path with the contents it may have at any moment while AFTER replaces BEFORE. */
const ALLOWED: Readonly<Record<string, readonly string[]>> = {
  'keep.txt': ['stays as it is'],
  'change.txt': ['old content', 'new content, longer'],
  'gone/a.txt': ['will vanish'],
  'new/b.txt': ['arrives'],
}

let ground: Ground

beforeAll(async () => {
  ground = await Ground.open()
})

afterAll(async () => { await ground.close() })

/** One whole session between the two real sides, over a pair of streams in memory. */
async function sync (area: string, literal: TreeLiteral, stream: MemoryStreamInit): Promise<SessionOutcome> {
  return await ground.session(area, literal, { stream, queue: new SessionQueue({ maxActive: 1, maxWaiting: 1, clock: systemClock }) })
}

/** What the client heard; the code of the error where it heard nothing. */
function resultOf ({ heard }: SessionOutcome): string {
  return typeof heard === 'string' ? heard : heard.result
}

async function filesIn (directory: string): Promise<Record<string, string>> {
  const files: Record<string, string> = {}
  for (const entry of await readdir(directory, { recursive: true, withFileTypes: true })) {
    if (!entry.isFile()) continue
    const path = join(entry.parentPath, entry.name)
    files[path.slice(directory.length + 1)] = await readFile(path, 'utf8')
  }
  return files
}

/** Sessions in different areas do not touch each other, and each mostly waits for its turn on the disk. */
const CONCURRENCY = 16

/** Every so manyth byte, from another one each time; with 1 every byte in one run. */
const EVERY = Number(process.env['FILESYNC_TEST_CUT_EVERY'] ?? 4)
const FIRST = Number(process.env['FILESYNC_TEST_SEED'] ?? Date.now()) % EVERY

async function cutAfter (bytes: number, side: 'client' | 'server', expected: Record<string, string>): Promise<void> {
  const area = `${side}-${bytes}`
  await sync(area, BEFORE, {})
  const { heard } = await sync(area, AFTER, { cutAfterBytes: side === 'client' ? [bytes, undefined] : [undefined, bytes] })
  const held = await filesIn(ground.mirror(area))
  for (const [path, content] of Object.entries(held)) expect(ALLOWED[path], `${path} after byte ${bytes}`).toContain(content)
  expect(held).toHaveProperty(['keep.txt'])
  expect(held).toHaveProperty(['change.txt'])
  if (typeof heard !== 'string') expect(held).toEqual(expected)

  const next = await sync(area, AFTER, {})
  expect(resultOf(next), `the sync after byte ${bytes}`).toBe('OK')
  expect(await filesIn(ground.mirror(area))).toEqual(expected)
  await rm(join(ground.root, 'archive', area), { recursive: true })
}

describe(`a session that is cut after any byte, in either direction (FILESYNC_TEST_SEED=${FIRST})`, () => {
  test.each(['client', 'server'] as const)('cut in what the %s sends', { timeout: 300_000 }, async side => {
    const whole = await sync(`measure-${side}`, BEFORE, {})
    expect(resultOf(whole)).toBe('OK')
    const full = await sync(`measure-${side}`, AFTER, {})
    expect(resultOf(full)).toBe('OK')
    const bytes = side === 'client' ? full.clientBytes : full.serverBytes

    const expected = await filesIn(ground.mirror(`measure-${side}`))
    let next = 1 + FIRST
    const worker = async (): Promise<void> => {
      while (next < bytes) {
        const at = next
        next += EVERY
        await cutAfter(at, side, expected)
      }
    }
    await Promise.all(Array.from({ length: CONCURRENCY }, worker))
  })
})
