import { mkdtemp, readdir, readFile, readlink, rm } from 'node:fs/promises'
import { readFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { openArchive } from '@filesync/archive/node'
import type { Archive } from '@filesync/archive'
import { decodeMessage, FrameDecoder, openConnection } from '@filesync/protocol'
import type { ByteStream, Frame } from '@filesync/protocol'
import { hashBytes, systemClock } from '@filesync/protocol/node'
import { memoryStreamPair } from '@filesync/protocol/testing'
import { zstdDecompress } from '@filesync/transfer/node'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { SafeCheckDesk } from '../src/session/safe-check-desk.ts'
import { serveSession } from '../src/session/serve-session.ts'
import { SessionQueue } from '../src/schedule/session-queue.ts'
import { arrivalOf } from './support/queue.ts'

interface DocumentedFrame {
  readonly from: 'client' | 'server'
  readonly bytes: Uint8Array
}

const DOCUMENT = readFileSync(new URL('../../../docs/protocol.md', import.meta.url), 'utf8')
const over = new AbortController()

let root: string
let archive: Archive
beforeEach(async () => {
  root = await mkdtemp(join(tmpdir(), 'filesync-document-'))
  archive = await openArchive({ root, keepMs: 86_400_000, deletions: 'mirror', clock: systemClock, signal: over.signal, reserveBytes: 0 })
})
afterEach(async () => {
  await archive.close()
  await rm(root, { recursive: true })
})

/** The frames of the example in docs/protocol.md, from their hexadecimal digits alone. */
function documentedFrames (): DocumentedFrame[] {
  const [, example = ''] = DOCUMENT.slice(DOCUMENT.indexOf('\n## An example\n')).split('\n```\n')
  return example.split('\n\n').map(frame => {
    const [title = '', ...lines] = frame.split('\n')
    const bytes = new Uint8Array(Buffer.from(lines.join('').replaceAll(' ', ''), 'hex'))
    return { from: title.startsWith('client: ') ? 'client' : 'server', bytes }
  })
}

/** The real server with an archive on disk. Another client has its turn until `letIn` is called. */
async function startSession (): Promise<{ readonly peer: ByteStream, readonly ended: Promise<void>, readonly letIn: () => void }> {
  const [peer, far] = memoryStreamPair()
  const server = openConnection({ stream: far, clock: systemClock })
  const queue = new SessionQueue({ maxActive: 1, maxWaiting: 9, clock: systemClock })
  const letIn = await queue.enter(arrivalOf('other'))
  const ended = serveSession(server, { identity: 'laptop', area: 'laptop' }, {
    queue,
    clock: systemClock,
    signal: over.signal,
    hash: hashBytes,
    decompress: zstdDecompress,
    software: 'example-server/1',
    serverName: 'nas',
    openArea: async name => await archive.area(name),
    safeChecks: new SafeCheckDesk(async () => undefined),
    policy: { mode: 'mirror', maxFileBytes: 2 ** 40 },
    newSessionName: () => 's1',
    nextSyncInMs: () => 3_600_000,
  }).then(async () => { await server.close() }, async (error: unknown) => { await server.close(error) })
  return { peer, ended, letIn }
}

/** Reads the frames of a stream, except those that may come at any time. */
async function * framesOf (peer: ByteStream): AsyncGenerator<Frame, undefined, undefined> {
  const decoder = new FrameDecoder()
  for (let chunks = await peer.read(); chunks !== undefined; chunks = await peer.read()) {
    for (const chunk of chunks) {
      for (const frame of decoder.push(chunk)) {
        if (frame.type !== 'HEARTBEAT' && (frame.type !== 'MESSAGE' || decodeMessage(frame.payload)?.type !== 'STORED')) yield frame
      }
    }
  }
  return undefined
}

test('a real server answers the client of the documented example with the documented bytes', async () => {
  const { peer, ended, letIn } = await startSession()
  const heard = framesOf(peer)
  const frames = documentedFrames()
  expect(frames.length).toBeGreaterThan(12)
  for (const { from, bytes } of frames) {
    if (from === 'client') {
      await peer.write(bytes)
      continue
    }
    const { value: frame } = await heard.next()
    const [documented] = new FrameDecoder().push(bytes)
    if (documented === undefined || frame === undefined) throw new Error('The session ended before its example does.')
    expect(frame.type).toBe(documented.type)
    const [says, shouldSay] = [decodeMessage(frame.payload), decodeMessage(documented.payload)]
    // This server has more features than the one of the example, and sends its time and an estimate.
    if (shouldSay?.type === 'HELLO') {
      expect(says).toMatchObject({ ...shouldSay, features: expect.arrayContaining([...shouldSay.features]) as unknown })
    } else if (shouldSay?.type === 'SERVER_STATUS' && shouldSay.status === 'BUSY') expect(says).toMatchObject(shouldSay)
    else expect(Buffer.from(frame.payload).toString('hex')).toBe(Buffer.from(documented.payload).toString('hex'))
    if (shouldSay?.type === 'SERVER_STATUS' && shouldSay.status === 'BUSY') letIn()
  }
  await peer.end()
  // After the last frame of the example the server ends its side, and nothing more comes.
  expect(await heard.next()).toEqual({ done: true, value: undefined })
  await ended
  expect(await readdir(join(root, 'laptop'))).toEqual(['notes'])
  expect((await readdir(join(root, 'laptop/notes'))).sort()).toEqual(['hello.txt', 'latest'])
  expect(await readlink(join(root, 'laptop/notes/latest'))).toBe('hello.txt')
  expect(await readFile(join(root, 'laptop/notes/hello.txt'), 'utf8')).toBe('hello\n')
})
