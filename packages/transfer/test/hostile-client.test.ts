import { zstdCompressSync } from 'node:zlib'
import { encodeFrame, FLAG_ZSTD, FRAME_HEADER_BYTES, openConnection, PACK_RECORD_BYTES, writePackRecord } from '@filesync/protocol'
import type { Connection, Digest, FileHeader, Message, RawFrameType, RelativePath, Task } from '@filesync/protocol'
import { createHasher, hashBytes } from '@filesync/protocol/node'
import { ManualClock, memoryStreamPair, randomBytes } from '@filesync/protocol/testing'
import { describe, expect, test } from 'vitest'
import { DeltaWriter } from '../src/delta-frame.ts'
import { receiveFiles } from '../src/index.ts'
import type { ReceivedFiles, ReceiveFilesInit } from '../src/index.ts'
import { zstdDecompress } from '../src/node/index.ts'
import { MemoryStaging, MemoryStore } from '../src/testing/index.ts'
import { signatureOf } from './support/session.ts'

const SMALL = new TextEncoder().encode('hello')
const LARGE = randomBytes(300_000, 31)
const OLD = randomBytes(400_000, 32)
const SIGNATURE = signatureOf(OLD)
const FILES = ([
  { path: 'small', bytes: SMALL, task: [0, 0] },
  { path: 'large', bytes: LARGE, task: [0, 1] },
  { path: 'rest', bytes: LARGE, task: [0, 2, 'RESUME', 100_000] },
  { path: 'delta', bytes: LARGE, task: [0, 3, 'DELTA', SIGNATURE.length] },
  { path: 'known', bytes: LARGE, task: [0, 4, 'DIGEST'] },
] satisfies readonly { path: string, bytes: Uint8Array, task: Task }[])
  .map(file => ({ ...file, path: file.path as RelativePath, task: file.task as Task }))

type Send = (connection: Connection) => Promise<void>

const sendMessage = (message: Message): Send => async connection => { await connection.send(message) }
const raw = (type: RawFrameType, payload: Uint8Array, flags = 0): Send => async connection => {
  await connection.sendRaw(type, [payload], flags)
}

function pack (...files: readonly { task: number, bytes: Uint8Array, digest?: Uint8Array }[]): Uint8Array<ArrayBuffer> {
  return new Uint8Array(Buffer.concat(files.map(({ task, bytes, digest }) => {
    const record = new Uint8Array(PACK_RECORD_BYTES + bytes.length)
    writePackRecord(record, 0, { task, sizeBytes: bytes.length, digest: digest ?? hashBytes(bytes) })
    record.set(bytes, PACK_RECORD_BYTES)
    return record
  })))
}

function data (task: number, bytes: Uint8Array): Send {
  return raw('DATA', Buffer.concat([Buffer.of(0, 0, 0, task), bytes]))
}

function delta (task: number, write: (writer: DeltaWriter) => void): Send {
  const writer = new DeltaWriter(task)
  write(writer)
  writer.flush()
  return async connection => { await connection.sendFrame(writer.take() as Uint8Array) }
}

const header = (task: number, offset: number, content: FileHeader['content'], sizeBytes = LARGE.length): Send => {
  return sendMessage({ type: 'FILE_HEADER', task, offset, content, sizeBytes })
}
const end = (task: number, digest: Uint8Array = hashBytes(LARGE)): Send => sendMessage({ type: 'FILE_END', task, digest: digest as Digest })
const vanished = (task: number): Send => sendMessage({ type: 'FILE_PROBLEM', task, code: 'VANISHED', message: '' })
const compressed = (sizeBytes: number, packed: Uint8Array): Send => {
  const length = Buffer.alloc(4)
  length.writeUInt32BE(sizeBytes)
  return raw('PACK', Buffer.concat([length, packed]), FLAG_ZSTD)
}

interface Received {
  readonly result: ReceivedFiles | Error
  readonly store: MemoryStore
  readonly staged: ReadonlyMap<string, Uint8Array>
}

/** Runs the real receiving side with a client that sends these frames. */
async function receive (sends: readonly Send[], init: Partial<ReceiveFilesInit> = {}): Promise<Received> {
  const clock = new ManualClock()
  const [left, right] = memoryStreamPair()
  const client = openConnection({ stream: left, clock })
  const server = openConnection({ stream: right, clock })
  const store = new MemoryStore()
  store.files.set('delta' as RelativePath, OLD)
  store.partial.set('rest' as RelativePath, LARGE.slice(0, 100_000))
  const staging = new MemoryStaging({ store, hashBytes, createHasher, pathOf: task => FILES[task]?.path as RelativePath })
  const receiving = receiveFiles({
    connection: server, staging, clock, tasks: FILES.map(({ task }) => task),
    describe: task => ({ path: FILES[task]?.path as RelativePath, sizeBytes: FILES[task]?.bytes.length as number }),
    signature: () => SIGNATURE, ...init,
  }).catch(async (error: unknown) => {
    await server.close(error)
    return error as Error
  })
  for (const send of sends) await send(client).catch(() => { /* the server has already closed */ })
  const result = await receiving
  await client.close()
  return { result, store, staged: staging.staged }
}

const REFUSED: readonly [string, string, readonly Send[]][] = [
  ['data without a header', 'DATA_UNEXPECTED', [data(1, LARGE)]],
  ['an end without a header', 'DATA_UNEXPECTED', [end(1)]],
  ['a pack for a task that does not exist', 'DATA_UNEXPECTED', [raw('PACK', pack({ task: 99, bytes: SMALL }))]],
  ['a packed file twice', 'DATA_UNEXPECTED', [raw('PACK', pack({ task: 0, bytes: SMALL }, { task: 0, bytes: SMALL }))]],
  ['a packed file again later', 'DATA_UNEXPECTED',
    [raw('PACK', pack({ task: 0, bytes: SMALL })), raw('PACK', pack({ task: 0, bytes: SMALL }))]],
  ['a packed file of another size', 'DATA_UNEXPECTED', [raw('PACK', pack({ task: 0, bytes: SMALL.subarray(1) }))]],
  ['a pack although the rest was asked for', 'DATA_UNEXPECTED', [raw('PACK', pack({ task: 2, bytes: SMALL }))]],
  ['a truncated pack', 'FRAME_MALFORMED', [raw('PACK', pack({ task: 0, bytes: SMALL }).subarray(0, 42))]],
  ['a header for a task that does not exist', 'DATA_UNEXPECTED', [header(99, 0, 'DATA')]],
  ['a header of another size', 'DATA_UNEXPECTED', [header(1, 0, 'DATA', LARGE.length + 1)]],
  ['a header with an offset that was not asked for', 'DATA_UNEXPECTED', [header(1, 100_000, 'DATA')]],
  ['a header from the start although the rest was asked for', 'DATA_UNEXPECTED', [header(2, 0, 'DATA')]],
  ['a delta that was not asked for', 'DATA_UNEXPECTED', [header(1, 0, 'DELTA')]],
  ['only a digest although content was asked for', 'DATA_UNEXPECTED', [header(1, 0, 'NONE')]],
  ['data although only a digest was asked for', 'DATA_UNEXPECTED', [header(4, 0, 'DATA')]],
  ['a header in the middle of a file', 'DATA_UNEXPECTED', [header(1, 0, 'DATA'), header(2, 100_000, 'DATA')]],
  ['a pack in the middle of a file', 'DATA_UNEXPECTED', [header(1, 0, 'DATA'), raw('PACK', pack({ task: 0, bytes: SMALL }))]],
  ['data of another file', 'DATA_UNEXPECTED', [header(1, 0, 'DATA'), data(2, LARGE)]],
  ['more data than announced', 'DATA_UNEXPECTED', [header(1, 0, 'DATA'), data(1, LARGE), data(1, SMALL)]],
  ['less data than announced', 'DATA_UNEXPECTED', [header(1, 0, 'DATA'), data(1, LARGE.subarray(1)), end(1)]],
  ['the end of another file', 'DATA_UNEXPECTED', [header(1, 0, 'DATA'), data(1, LARGE), end(2)]],
  ['data after a digest header', 'DATA_UNEXPECTED', [header(4, 0, 'NONE'), data(4, SMALL)]],
  ['a file that was already sent', 'DATA_UNEXPECTED', [header(1, 0, 'DATA'), data(1, LARGE), end(1), header(1, 0, 'DATA')]],
  ['a problem for a task that does not exist', 'DATA_UNEXPECTED', [vanished(99)]],
  ['a problem for a file that was already sent', 'DATA_UNEXPECTED', [raw('PACK', pack({ task: 0, bytes: SMALL })), vanished(0)]],
  ['a problem of another file than the open one', 'DATA_UNEXPECTED', [header(1, 0, 'DATA'), vanished(0)]],
  ['an empty DATA', 'FRAME_MALFORMED', [header(1, 0, 'DATA'), data(1, new Uint8Array(0))]],
  ['a delta inside plain data', 'DATA_UNEXPECTED', [header(1, 0, 'DATA'), delta(1, writer => { writer.copy(0, 10) })]],
  ['plain data inside a delta', 'DATA_UNEXPECTED', [header(3, 0, 'DELTA'), data(3, LARGE)]],
  ['a copy beyond the end of the old file', 'DATA_UNEXPECTED', [header(3, 0, 'DELTA'), delta(3, writer => { writer.copy(399_999, 2) })]],
  ['a copy longer than the new file', 'DATA_UNEXPECTED', [header(3, 0, 'DELTA'), delta(3, writer => { writer.copy(0, 300_001) })]],
  ['a copy of nothing', 'DATA_UNEXPECTED', [header(3, 0, 'DELTA'), delta(3, writer => { writer.copy(5, 0) })]],
  ['a copy beyond the largest file', 'FRAME_MALFORMED', [header(3, 0, 'DELTA'), delta(3, writer => { writer.copy(2 ** 52, 4) })]],
  ['an unknown operation', 'FRAME_MALFORMED', [header(3, 0, 'DELTA'), raw('DELTA', Buffer.of(0, 0, 0, 3, 7, 0))]],
  ['a truncated operation', 'FRAME_MALFORMED', [header(3, 0, 'DELTA'), raw('DELTA', Buffer.of(0, 0, 0, 3, 0, 0))]],
  ['an operation longer than its frame', 'FRAME_MALFORMED', [header(3, 0, 'DELTA'), raw('DELTA', Buffer.of(0, 0, 0, 3, 1, 0, 0, 1, 0, 9))]],
  ['an empty delta', 'FRAME_MALFORMED', [header(3, 0, 'DELTA'), raw('DELTA', Buffer.of(0, 0, 0, 3))]],
  ['a listing', 'MESSAGE_UNEXPECTED', [raw('LISTINGS', SMALL)]],
  ['a page of tasks', 'MESSAGE_UNEXPECTED', [sendMessage({ type: 'TASKS', first: 0, tasks: [], last: true })]],
  ['a compressed frame that announces no bytes', 'FRAME_MALFORMED', [compressed(0, zstdCompressSync(SMALL))]],
  ['a compressed frame that announces too many bytes', 'FRAME_MALFORMED', [compressed(2 ** 31, zstdCompressSync(SMALL))]],
  ['a compressed frame with less content than announced', 'FRAME_MALFORMED',
    [compressed(46, zstdCompressSync(pack({ task: 0, bytes: SMALL })))]],
  ['a compressed frame with more content than announced', 'FRAME_MALFORMED',
    [compressed(44, zstdCompressSync(pack({ task: 0, bytes: SMALL })))]],
  ['a compressed frame of 8 KiB that expands to 256 MiB', 'FRAME_MALFORMED',
    [compressed(1 << 20, zstdCompressSync(new Uint8Array(1 << 28)))]],
  ['a compressed frame followed by another', 'FRAME_MALFORMED',
    [compressed(45, Buffer.concat([zstdCompressSync(pack({ task: 0, bytes: SMALL })), zstdCompressSync(SMALL)]))]],
  ['a compressed frame of noise', 'FRAME_MALFORMED', [compressed(45, randomBytes(60, 33))]],
]

describe('the session ends and nothing wrong is staged if a client sends', () => {
  test.each(REFUSED)('%s', async (_, code, sends) => {
    const { result, staged } = await receive(sends, { decompress: zstdDecompress })
    expect(result).toMatchObject({ code })
    for (const [path, bytes] of staged) expect(bytes).toEqual(FILES.find(file => file.path === path)?.bytes)
  })
})

test('a compressed frame ends the session if compression was not agreed on', async () => {
  const { result, staged } = await receive([compressed(45, zstdCompressSync(pack({ task: 0, bytes: SMALL })))])
  expect(result).toMatchObject({ code: 'MESSAGE_UNEXPECTED' })
  expect(staged.size).toBe(0)
})

test('the open file of a failed session is kept for a resume', async () => {
  const { result, store } = await receive([header(1, 0, 'DATA'), data(1, LARGE.subarray(0, 200_000)), data(2, SMALL)])
  expect(result).toMatchObject({ code: 'DATA_UNEXPECTED' })
  expect(store.partial.get('large' as RelativePath)).toEqual(LARGE.subarray(0, 200_000))
})

test('a wrong digest is a problem of its file only', async () => {
  const wrong = hashBytes(Uint8Array.of(1))
  const { result, staged } = await receive([
    raw('PACK', pack({ task: 0, bytes: SMALL, digest: wrong })),
    header(1, 0, 'DATA'), data(1, LARGE), end(1, wrong),
    header(2, 100_000, 'DATA'), data(2, LARGE.subarray(100_000)), end(2),
    header(3, 0, 'DATA'), data(3, LARGE), end(3),
    header(4, 0, 'NONE'), end(4),
  ])
  expect(result).toMatchObject({ files: 2, bytes: 600_000, problemCount: 3, refused: 3 })
  const problems = (result as ReceivedFiles).problems.map(({ path, code }) => `${path} ${code}`)
  expect(problems.sort()).toEqual(['known DIGEST_MISMATCH', 'large DIGEST_MISMATCH', 'small DIGEST_MISMATCH'])
  expect([...staged.keys()].sort()).toEqual(['delta', 'rest'])
})

test('the text of a problem is our own, whatever the client sends', async () => {
  const { result } = await receive([0, 1, 2, 3, 4].map(task => {
    const message = task === 0 ? 'Call this number' : 'it cannot be read: EIO'
    return sendMessage({ type: 'FILE_PROBLEM', task, code: 'UNREADABLE', message })
  }))
  expect(result).toMatchObject({ problemCount: 5, refused: 0 })
  expect((result as ReceivedFiles).problems.slice(0, 2)).toEqual([
    { path: 'small', code: 'UNREADABLE', message: 'it cannot be read' },
    { path: 'large', code: 'UNREADABLE', message: 'it cannot be read: EIO' },
  ])
})

test('a packed record has the size that these tests assume', () => {
  expect(encodeFrame('PACK', [pack({ task: 0, bytes: SMALL })]).length).toBe(FRAME_HEADER_BYTES + 45)
})
