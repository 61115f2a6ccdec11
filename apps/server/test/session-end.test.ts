import { mkdtemp, readdir, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { openArchive } from '@filesync/archive/node'
import type { Archive } from '@filesync/archive'
import {
  encodeParts, FEATURES, hello, LIMITS, ListingResponder, openConnection, PACK_RECORD_BYTES, writePackRecord,
} from '@filesync/protocol'
import type { Connection, FileSyncError, Name, Stored } from '@filesync/protocol'
import { hashBytes, systemClock } from '@filesync/protocol/node'
import { ManualClock, memoryStreamPair, memoryTree } from '@filesync/protocol/testing'
import { zstdDecompress } from '@filesync/transfer/node'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { SafeCheckDesk } from '../src/session/safe-check-desk.ts'
import { Schedule } from '../src/schedule/schedule.ts'
import { serveSession } from '../src/session/serve-session.ts'
import { SessionQueue } from '../src/schedule/session-queue.ts'
import type { SessionRules } from '../src/session/session-turn.ts'
import { parseWindow } from '../src/schedule/windows.ts'
import { UTC } from './support/time.ts'

const HOUR_MS = 3_600_000
const FILES = { arrives: 'in time', late: 'never comes' }

let root: string
let archive: Archive
let wall: ManualClock
let stopping: AbortController
let queue: SessionQueue
const over = new AbortController()

beforeEach(async () => {
  root = await mkdtemp(join(tmpdir(), 'filesync-session-end-'))
  archive = await openArchive({ root, keepMs: 86_400_000, deletions: 'mirror', clock: systemClock, signal: over.signal, reserveBytes: 0 })
  wall = new ManualClock(Date.parse('2026-11-22T23:00Z'))
  stopping = new AbortController()
  queue = new SessionQueue({ maxActive: 1, maxWaiting: 9, clock: systemClock })
})

afterEach(async () => {
  await archive.close()
  await rm(root, { recursive: true })
})

interface Session {
  readonly client: Connection
  readonly staged: Promise<void>
  readonly ended: Promise<void>
}

/** A session of the real server with an archive on disk. Its windows use a clock of their own. */
function serve (identity: string, onPlan = (): void => { /* ignored */ }): Session {
  const [left, right] = memoryStreamPair()
  const server = openConnection({ stream: right, clock: systemClock })
  const windows = [parseWindow('22:00-06:00')]
  const schedule = new Schedule({ intervalMs: HOUR_MS, windows, zone: UTC, clock: wall, random: () => 0 })
  const rules: SessionRules = { schedule, stopping: stopping.signal, sessionTimeMs: HOUR_MS, limit: undefined }
  let noteStaged: () => void = () => { /* set below */ }
  const staged = new Promise<void>(resolve => { noteStaged = resolve })
  const ended = serveSession(server, { identity, area: identity }, {
    queue,
    rules,
    clock: systemClock,
    signal: over.signal,
    hash: hashBytes,
    decompress: zstdDecompress,
    software: 'test',
    serverName: 'test',
    openArea: async name => await archive.area(name),
    safeChecks: new SafeCheckDesk(async () => undefined),
    policy: { mode: 'mirror', maxFileBytes: LIMITS.fileBytes },
    newSessionName: () => 's',
    nextSyncInMs: () => HOUR_MS,
    observer: {
      onWaiting () { /* ignored */ },
      onTurn () { /* ignored */ },
      remainingMs: () => undefined,
      onTree () { /* ignored */ },
      onPlan,
      onProgress: ({ files }) => { if (files === 1) noteStaged() },
      observeStaging: staging => staging,
    },
  }).then(async () => { await server.close() }, async (error: unknown) => { await server.close(error) })
  return { client: openConnection({ stream: left, clock: systemClock }), staged, ended }
}

/** The client's part up to TASKS. */
async function announce ({ client }: Session, files: Readonly<Record<string, string>>): Promise<void> {
  const tree = memoryTree({ docs: files }, hashBytes)
  await client.send(hello('client', [FEATURES.RESUME]))
  await client.receive(['HELLO'])
  await client.receive(['SERVER_STATUS'])
  const { rootDigest, files: fileCount, bytes } = tree
  await client.send({
    type: 'CLIENT_FILES_INFO', rootDigest, files: fileCount, directories: 1, bytes,
    folders: [{ name: 'docs' as Name, complete: true, files: fileCount }], away: [], removed: [], problems: [], problemCount: 0,
  })
  const answers = new ListingResponder(tree, hashBytes)
  // The root, and the folder in it.
  for (let page = 0; page < 2; page++) {
    const { directories } = await client.receive(['LISTINGS_WANTED'])
    for (const part of encodeParts(answers.answer(directories), LIMITS.rawFrameBytes)) await client.sendRaw('LISTINGS', [part])
  }
}

async function sendTask0 (client: Connection, text: string): Promise<void> {
  const content = Buffer.from(text)
  const pack = new Uint8Array(PACK_RECORD_BYTES + content.length)
  writePackRecord(pack, 0, { task: 0, sizeBytes: content.length, digest: hashBytes(content) })
  pack.set(content, PACK_RECORD_BYTES)
  await client.sendRaw('PACK', [pack])
}

/** The client's part up to the first of its two files. The second never comes. */
async function sendFirst (session: Session): Promise<void> {
  await announce(session, FILES)
  expect(await session.client.receive(['TASKS'])).toMatchObject({ tasks: [[1, 0], [1, 1]] })
  await sendTask0(session.client, FILES.arrives)
  await session.staged
}

/** A whole session of a client with one file. */
async function sendOne (name: string, text: string): Promise<void> {
  const session = serve('client')
  await announce(session, { [name]: text })
  await session.client.receive(['TASKS'])
  await sendTask0(session.client, text)
  await heard(session.client)
  await session.ended
}

/** The last STORED of the server, and the error with which it ends. */
async function heard (client: Connection): Promise<{ readonly stored: Stored | undefined, readonly error: FileSyncError }> {
  let stored: Stored | undefined
  for (;;) {
    try {
      const incoming = await client.next()
      if (incoming.kind === 'message' && incoming.message.type === 'STORED') stored = incoming.message
    } catch (error) {
      return { stored, error: error as FileSyncError }
    }
  }
}

test.each([
  ['the window closes', 'OUTSIDE_WINDOW', () => { wall.advance(7 * HOUR_MS) }],
  ['the server stops', 'SERVER_STOPPING', () => { stopping.abort() }],
] as const)('what arrived is stored when %s, and the client learns that and when to return', async (_, code, happen) => {
  const session = serve('client')
  await sendFirst(session)
  happen()
  const { stored, error } = await heard(session.client)
  await session.ended
  expect(error).toMatchObject({ code, retryInMs: expect.any(Number) as unknown })
  expect(stored).toMatchObject({ files: 1 })
  expect(await readdir(join(root, 'client', 'docs'))).toEqual(['arrives'])
  expect(queue.identities).toEqual([])
})

// The file id of a test file is its number, so the first file here seems to be the first file of the sync before.
const MOVED = { archived: 'content', late: 'never comes' }

test('no file is renamed if the session ends before the client has sent its digest', async () => {
  await sendOne('before', MOVED.archived)
  const session = serve('client')
  await announce(session, MOVED)
  expect(await session.client.receive(['TASKS'])).toMatchObject({ tasks: [[1, 0, 'DIGEST'], [1, 1]] })
  stopping.abort()
  const { stored, error } = await heard(session.client)
  expect(error).toMatchObject({ code: 'SERVER_STOPPING' })
  expect(stored?.renamed ?? 0).toBe(0)
  await session.ended
  expect(await readdir(join(root, 'client', 'docs'))).toEqual(['before'])
})

test('STORED is not sent before TASKS', async () => {
  await sendOne('before', MOVED.archived)
  const session = serve('client', () => { stopping.abort() })
  await announce(session, MOVED)
  const { stored, error } = await heard(session.client)
  await session.ended
  expect(error).toMatchObject({ code: 'SERVER_STOPPING' })
  expect(stored).toBeUndefined()
  expect(await readdir(join(root, 'client', 'docs'))).toEqual(['before'])
})

test('waiting clients are notified when the server stops, and lose their place', async () => {
  const first = serve('client')
  await sendFirst(first)
  const waiting = serve('other')
  await waiting.client.send(hello('client', []))
  await waiting.client.receive(['HELLO'])
  expect(await waiting.client.receive(['SERVER_STATUS'])).toMatchObject({ status: 'BUSY', position: 1 })
  stopping.abort()
  expect((await heard(waiting.client)).error).toMatchObject({ code: 'SERVER_STOPPING' })
  await Promise.all([first.ended, waiting.ended, heard(first.client)])
  expect(queue.identities).toEqual([])
})
