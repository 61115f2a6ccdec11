import { encodeParts, LIMITS, openConnection } from '@filesync/protocol'
import type { Connection, Message, NextSync, Task, Tasks } from '@filesync/protocol'
import { createHasher, hashBytes } from '@filesync/protocol/node'
import { ManualClock, memoryStreamPair, memoryTree, randomBytes } from '@filesync/protocol/testing'
import { describe, expect, test } from 'vitest'
import { sendFiles } from '../src/index.ts'
import { MemorySource } from '../src/testing/index.ts'
import { listAll, signatureOf } from './support/session.ts'

const LARGE = randomBytes(300_000, 41)
const TREE = memoryTree({ aaa: 'small', large: LARGE, zzz: { below: 'x' } }, hashBytes)
const SIGNATURE = signatureOf(LARGE)
const NEXT: NextSync = {
  type: 'NEXT_SYNC', inMs: 1, result: 'OK', stored: { files: 0, bytes: 0, deleted: 0, renamed: 0 }, problems: [], problemCount: 0,
}

type Send = (connection: Connection) => Promise<void>

const sendMessage = (message: Message): Send => async connection => { await connection.send(message) }
const page = (first: number, tasks: readonly Task[], last: boolean): Send => sendMessage({ type: 'TASKS', first, tasks, last })
const signature = (number: number, bytes: Uint8Array): Send => async connection => {
  for (const payload of encodeParts([{ number, bytes }], LIMITS.rawFrameBytes)) await connection.sendRaw('SIGNATURE', [payload])
}

function broken (change: (view: DataView) => void): Uint8Array {
  const bytes = SIGNATURE.slice()
  change(new DataView(bytes.buffer))
  return bytes
}

interface Sent {
  readonly result: NextSync | Error
  readonly openFiles: number
  readonly bytesReceived: number
}

/** Runs the real sending side with a server that sends these frames. */
async function send (sends: readonly Send[], firstPage?: Tasks): Promise<Sent> {
  const clock = new ManualClock()
  const [left, right] = memoryStreamPair()
  const client = openConnection({ stream: left, clock })
  const server = openConnection({ stream: right, clock })
  const source = new MemorySource({ content: path => TREE.content(path), hashBytes, createHasher })
  const drained = (async () => { for (;;) await server.next() })().catch(() => { /* the client has closed */ })
  const sending = sendFiles({ connection: client, answers: listAll(TREE).answers, source, clock, ...(firstPage && { firstPage }) })
    .catch(async (error: unknown) => {
      await client.close(error)
      return error as Error
    })
  for (const one of sends) await one(server).catch(() => { /* the client has already closed */ })
  const result = await sending
  await client.close()
  await drained
  return { result, openFiles: source.openFiles, bytesReceived: server.bytesReceived }
}

const delta: Task = [0, 1, 'DELTA', SIGNATURE.length]

const REFUSED: readonly [string, string, readonly Send[]][] = [
  ['an entry of a listing that it did not receive', 'TASK_INVALID', [page(0, [[7, 0]], true)]],
  ['an entry that its listing does not have', 'TASK_INVALID', [page(0, [[0, 3]], true)]],
  ['the content of a directory', 'TASK_INVALID', [page(0, [[0, 2]], true)]],
  ['the rest of a file from beyond its end', 'TASK_INVALID', [page(0, [[0, 1, 'RESUME', 300_001]], true)]],
  ['tasks with a wrong first number', 'MESSAGE_UNEXPECTED', [page(1, [[0, 0]], true)]],
  ['the same tasks twice', 'MESSAGE_UNEXPECTED', [page(0, [[0, 0]], false), page(0, [[0, 0]], true)]],
  ['tasks after the last page', 'MESSAGE_UNEXPECTED', [page(0, [[0, 0]], true), page(1, [[0, 0]], true)]],
  ['empty pages without end', 'MESSAGE_UNEXPECTED', [page(0, [], false)]],
  ['more tasks than it may leave unanswered', 'LIMIT_EXCEEDED', Array.from({ length: 9 }, (_, i) => {
    return page(i * 8192, [delta, ...new Array<Task>(8191).fill([0, 0])], false)
  })],
  ['a signature that is too large', 'LIMIT_EXCEEDED', [page(0, [[0, 1, 'DELTA', 2 ** 26 + 1]], true)]],
  ['signatures that are too large together', 'LIMIT_EXCEEDED', [page(0, [[0, 1, 'DELTA', 2 ** 26], [0, 1, 'DELTA', 2 ** 26]], true)]],
  ['a signature that no task announced', 'MESSAGE_UNEXPECTED', [page(0, [[0, 1]], true), signature(0, SIGNATURE)]],
  ['a signature for another task', 'MESSAGE_UNEXPECTED', [page(0, [delta], true), signature(1, SIGNATURE)]],
  ['a signature of another length', 'MESSAGE_UNEXPECTED', [page(0, [delta], true), signature(0, SIGNATURE.subarray(20))]],
  ['a signature of another version', 'FRAME_MALFORMED', [page(0, [delta], true), signature(0, broken(view => { view.setUint8(0, 9) }))]],
  ['a signature with tiny chunks', 'FRAME_MALFORMED', [page(0, [delta], true), signature(0, broken(view => { view.setUint8(1, 4) }))]],
  ['a signature with an empty chunk', 'FRAME_MALFORMED', [page(0, [delta], true), signature(0, broken(view => { view.setUint32(12, 0) }))]],
  ['a signature with a huge chunk', 'FRAME_MALFORMED',
    [page(0, [delta], true), signature(0, broken(view => { view.setUint32(12, 2 ** 31) }))]],
  ['a signature whose chunks do not add up', 'FRAME_MALFORMED',
    [page(0, [delta], true), signature(0, broken(view => { view.setBigUint64(4, 2n ** 40n) }))]],
  ['a FILE_HEADER', 'MESSAGE_UNEXPECTED', [sendMessage({ type: 'FILE_HEADER', task: 0, sizeBytes: 1, offset: 0, content: 'DATA' })]],
  ['data', 'MESSAGE_UNEXPECTED', [async connection => { await connection.sendRaw('DATA', [LARGE]) }]],
  ['NEXT_SYNC while it waits for files', 'MESSAGE_UNEXPECTED', [page(0, [delta], true), sendMessage(NEXT)]],
]

describe('the session ends if a server sends', () => {
  test.each(REFUSED)('%s', async (_, code, sends) => {
    const { result, openFiles } = await send(sends)
    expect(result).toMatchObject({ code })
    expect(openFiles).toBe(0)
  })
})

test('NEXT_SYNC instead of tasks ends the transfer', async () => {
  expect((await send([sendMessage(NEXT)])).result).toMatchObject({ type: 'NEXT_SYNC' })
})

test('a first page that was already received is answered', async () => {
  const firstPage: Tasks = { type: 'TASKS', first: 0, tasks: [[0, 99]], last: false }
  const { result, bytesReceived } = await send([page(1, [], true), async () => { /* the answer is pending */ }], firstPage)
  expect(result).toMatchObject({ code: 'TASK_INVALID' })
  expect(bytesReceived).toBeGreaterThan(0)
})
