import { mkdtemp, readdir, readFile, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { openArchive } from '@filesync/archive/node'
import type { Archive } from '@filesync/archive'
import { pushSession } from '@filesync/client'
import { LIMITS, openConnection } from '@filesync/protocol'
import type { NextSync } from '@filesync/protocol'
import { createHasher, hashBytes, systemClock } from '@filesync/protocol/node'
import { memoryStreamPair, memoryTree } from '@filesync/protocol/testing'
import type { MemoryStreamInit, TreeLiteral } from '@filesync/protocol/testing'
import { QuestionDesk, serveSession, SessionQueue } from '@filesync/server'
import { MemorySource } from '@filesync/transfer/testing'
import { zstdDecompress } from '@filesync/transfer/node'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { SCRATCH } from '../src/programs.ts'

const BEFORE: TreeLiteral = { 'keep.txt': 'stays as it is', 'change.txt': 'old content', gone: { 'a.txt': 'will vanish' }, empty: {} }
const AFTER: TreeLiteral = { 'keep.txt': 'stays as it is', 'change.txt': 'new content, longer', new: { 'b.txt': 'arrives', link: { symlink: 'b.txt' } }, empty: {} }

/** Each path with the contents it may have at any moment while AFTER replaces BEFORE. */
const ALLOWED: Readonly<Record<string, readonly string[]>> = {
  'keep.txt': ['stays as it is'],
  'change.txt': ['old content', 'new content, longer'],
  'gone/a.txt': ['will vanish'],
  'new/b.txt': ['arrives'],
}

let root: string
let archive: Archive
const stopped = new AbortController()

beforeAll(async () => {
  root = await mkdtemp(join(SCRATCH, 'filesync-cut-'))
  archive = await openArchive({ root, keepMs: 86_400_000, mode: 'mirror', clock: systemClock, signal: stopped.signal, reserveBytes: 0 })
})

afterAll(async () => {
  await archive.close()
  await rm(root, { recursive: true, force: true })
})

interface Outcome {
  /** Undefined where the connection was cut before the client heard. */
  readonly heard: NextSync | undefined
  readonly clientBytes: number
  readonly serverBytes: number
}

/** One whole session between the two real sides, over a pair of streams in memory. */
async function sync (area: string, literal: TreeLiteral, init: MemoryStreamInit): Promise<Outcome> {
  const [clientStream, serverStream] = memoryStreamPair(init)
  const client = openConnection({ stream: clientStream, clock: systemClock })
  const server = openConnection({ stream: serverStream, clock: systemClock })
  const tree = memoryTree(literal, hashBytes)
  const serving = serveSession(server, { identity: area, area }, {
    queue: new SessionQueue({ maxActive: 1, maxWaiting: 1, clock: systemClock }),
    openArea: async name => await archive.area(name),
    questions: new QuestionDesk(async name => await archive.area(name)),
    hash: hashBytes,
    decompress: zstdDecompress,
    clock: systemClock,
    signal: stopped.signal,
    software: 'test',
    serverName: 'test',
    policy: { mode: 'mirror', maxFileBytes: LIMITS.fileBytes },
    newSessionName: () => 'session',
    nextSyncInMs: () => 1000,
  }).then(async () => { await server.close() }, async (error: unknown) => { await server.close(error) })
  const pushing = pushSession(client, {
    scan: async () => ({
      ...tree, complete: true, problems: [], problemCount: 0, isUnsettled: () => false,
    }),
    source: new MemorySource({ content: path => tree.content(path), hashBytes, createHasher }),
    clock: systemClock,
    signal: stopped.signal,
    software: 'test',
    limitBytesPerSecond: undefined,
    compression: 'never',
    onBusy () { /* nobody looks */ },
    onReady () { /* nobody looks */ },
    onProgress () { /* nobody looks */ },
  }).then(async ({ next }) => {
    await client.close()
    return next
  }, async (error: unknown) => {
    await client.close(error)
    return undefined
  })
  const [heard] = await Promise.all([pushing, serving])
  return { heard, clientBytes: client.bytesSent, serverBytes: server.bytesSent }
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

async function cutAfter (bytes: number, side: 'client' | 'server', expected: Record<string, string>): Promise<void> {
  const area = `${side}-${bytes}`
  await sync(area, BEFORE, {})
  const { heard } = await sync(area, AFTER, { cutAfterBytes: side === 'client' ? [bytes, undefined] : [undefined, bytes] })
  const held = await filesIn(join(root, area))
  for (const [path, content] of Object.entries(held)) expect(ALLOWED[path], `${path} after byte ${bytes}`).toContain(content)
  expect(held).toHaveProperty(['keep.txt'])
  expect(held).toHaveProperty(['change.txt'])
  if (heard !== undefined) expect(held).toEqual(expected)

  const next = await sync(area, AFTER, {})
  expect(next.heard?.result, `the sync after byte ${bytes}`).toBe('OK')
  expect(await filesIn(join(root, area))).toEqual(expected)
  await rm(join(root, area), { recursive: true })
}

describe('a session that is cut after any byte, in either direction', () => {
  test.each(['client', 'server'] as const)('cut in what the %s sends', { timeout: 300_000 }, async side => {
    const whole = await sync(`measure-${side}`, BEFORE, {})
    expect(whole.heard?.result).toBe('OK')
    const full = await sync(`measure-${side}`, AFTER, {})
    expect(full.heard?.result).toBe('OK')
    const bytes = side === 'client' ? full.clientBytes : full.serverBytes

    const expected = await filesIn(join(root, `measure-${side}`))
    let at = 0
    const worker = async (): Promise<void> => {
      for (at++; at < bytes; at++) await cutAfter(at, side, expected)
    }
    await Promise.all(Array.from({ length: CONCURRENCY }, worker))
  })
})
