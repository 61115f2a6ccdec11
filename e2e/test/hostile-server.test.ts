import { execFileSync } from 'node:child_process'
import { appendFile, mkdir, mkdtemp, rename, rm, symlink, utimes, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { encodeFrame, FLAG_ZSTD, LIMITS, openConnection, ROOT_PATH, splitFolder } from '@filesync/protocol'
import { hashBytes, systemClock } from '@filesync/protocol/node'
import { memoryStreamPair } from '@filesync/protocol/testing'
import type { TreeLiteral } from '@filesync/protocol/testing'
import { openScanner } from '@filesync/scanner/node'
import { openFileSource } from '@filesync/transfer/node'
import { describe, expect, test } from 'vitest'
import { rootOf } from '../src/hostile-client.ts'
import { ended, FOLDER, push, pushFrom } from '../src/hostile-ground.ts'
import type { Taken } from '../src/hostile-ground.ts'
import { forTask, hello, HostilePeer, part } from '../src/hostile-peer.ts'
import { SCRATCH } from '../src/programs.ts'

const LARGE = new Uint8Array(300_000).map((_, at) => at * 31 >> 3)
/** The folder lists a file, a large file, a link and two directories, in this order. */
const TREE: TreeLiteral = { aaa: 'small', large: LARGE, link: { symlink: 'aaa' }, yyy: { below: 'x' }, zzz: {} }
const READY = {
  type: 'SERVER_STATUS',
  status: 'READY',
  session: 's',
  serverName: 'nas',
  area: 'laptop',
  policy: { mode: 'mirror', maxFileBytes: LIMITS.fileBytes },
}
const NEXT = {
  type: 'NEXT_SYNC',
  inMs: 1000,
  result: 'OK',
  stored: { files: 0, bytes: 0, deleted: 0, renamed: 0 },
  problems: [],
  problemCount: 0,
}
const ROOT = { type: 'LISTINGS_WANTED', directories: [] }

type Run = (peer: HostilePeer) => Promise<void>

const say = (...messages: object[]): Run => async peer => { await peer.say(...messages) }
const raw = (...frame: Parameters<HostilePeer['raw']>): Run => async peer => { await peer.raw(...frame) }
const row = (...runs: Run[]): Run => async peer => { for (const run of runs) await run(peer) }
const tasks = (list: readonly unknown[], more: object = {}): Run => say({ type: 'TASKS', first: 0, tasks: list, last: true, ...more })
const greeted: Run = async peer => {
  await peer.hear('HELLO')
  await peer.say(hello(), READY)
  await peer.hear('CLIENT_FILES_INFO')
}
const listedRoot: Run = row(greeted, say(ROOT))
/** The root has one folder; its listing is number 1. */
const listed: Run = row(listedRoot, say({ type: 'LISTINGS_WANTED', directories: [[0, 0]] }))
const wants = (...list: unknown[]): Run => say({ type: 'LISTINGS_WANTED', directories: list })

/** Lets a hostile server loose on the real client. Gives the code that the client ended with, and the one it told. */
async function attack (run: Run): Promise<{ readonly taken: Taken, readonly heard: string | undefined }> {
  const [left, right] = memoryStreamPair()
  const peer = new HostilePeer(right)
  const pushing = push(left, TREE)
  pushing.catch(() => { /* thrown below */ })
  await run(peer)
  const heard = await peer.heardAtEnd()
  return { taken: await pushing, heard }
}

/** A signature of one chunk with any header. */
function signature (
  claim: { readonly version?: number, readonly bits?: number, readonly sizeBytes?: bigint, readonly chunkBytes?: number } = {}
): Buffer {
  const bytes = Buffer.alloc(32)
  bytes.writeUInt8(claim.version ?? 1, 0)
  bytes.writeUInt8(claim.bits ?? 16, 1)
  bytes.writeBigUInt64BE(claim.sizeBytes ?? 1000n, 4)
  bytes.writeUInt32BE(claim.chunkBytes ?? 1000, 12)
  return bytes
}
const signed = (bytes: Uint8Array, claim: Parameters<typeof part>[2] = {}): Run =>
  row(listed, tasks([[1, 1, 'DELTA', bytes.length]]), raw('SIGNATURE', part(0, bytes, claim)))

const REFUSED: readonly [what: string, code: string, run: Run][] = [
  ['TASKS before HELLO', 'MESSAGE_UNEXPECTED', tasks([])],
  [
    'a second HELLO',
    'MESSAGE_UNEXPECTED',
    row(
      async peer => {
        await peer.hear('HELLO')
      },
      say(hello(), hello())
    ),
  ],
  ['READY twice', 'MESSAGE_UNEXPECTED', row(greeted, say(READY))],
  ['versions that nobody speaks', 'VERSION_UNSUPPORTED', say(hello({ versions: [7] }))],
  [
    'CLIENT_FILES_INFO',
    'MESSAGE_UNEXPECTED',
    row(
      listed,
      say({
        type: 'CLIENT_FILES_INFO',
        rootDigest: new Uint8Array(32),
        files: 0,
        directories: 0,
        bytes: 0,
        folders: [],
        away: [],
        removed: [],
        problems: [],
        problemCount: 0,
      })
    ),
  ],
  ['data', 'MESSAGE_UNEXPECTED', row(listed, raw('DATA', forTask(0, LARGE)))],
  [
    'an unknown frame',
    'FRAME_MALFORMED',
    row(listed, async peer => {
      await peer.bytes(Buffer.of(0, 0, 0, 1, 99, 0, 0, 0, 0))
    }),
  ],
  [
    'a frame of 4 GiB',
    'FRAME_TOO_LARGE',
    row(listed, async peer => {
      await peer.bytes(Buffer.of(255, 255, 255, 255, 7, 0, 0, 0, 0))
    }),
  ],
  ['a question for the listing of a file', 'TASK_INVALID', row(listed, wants([1, 0]))],
  ['a question for the listing of a link', 'TASK_INVALID', row(listed, wants([1, 2]))],
  ['a question for the root twice', 'TASK_INVALID', row(listed, say(ROOT))],
  ['a question for what no listing has', 'TASK_INVALID', row(listed, wants([1, 5]))],
  ['a question in a listing that was not given', 'TASK_INVALID', row(listed, wants([2, 0]))],
  ['a question beyond the folders', 'TASK_INVALID', row(listed, wants([0, 1]))],
  ['the content of a folder', 'TASK_INVALID', row(listed, tasks([[0, 0]]))],
  [
    'questions without end',
    'TASK_INVALID',
    row(listed, async peer => {
      for (let i = 0; i < 100; i++) await peer.say({ type: 'LISTINGS_WANTED', directories: [[1, 3]] })
    }),
  ],
  [
    'more questions than a page holds',
    'MESSAGE_INVALID',
    row(listed, wants(...new Array<unknown>(LIMITS.listingsPerRequest + 1).fill([1, 3]))),
  ],
  ['a question by path', 'MESSAGE_INVALID', row(listed, wants('../etc'))],
  ['a task before any listing', 'TASK_INVALID', row(greeted, tasks([[0, 0]]))],
  ['a task beyond the listing', 'TASK_INVALID', row(listed, tasks([[1, 5]]))],
  ['a task in a listing that was not given', 'TASK_INVALID', row(listed, tasks([[7, 0]]))],
  ['a task far beyond everything', 'TASK_INVALID', row(listed, tasks([[2 ** 32 - 1, 2 ** 32 - 1]]))],
  ['the content of a directory', 'TASK_INVALID', row(listed, tasks([[1, 3]]))],
  ['the content of a link', 'TASK_INVALID', row(listed, tasks([[1, 2]]))],
  ['a task beyond 2^32', 'MESSAGE_INVALID', row(listed, tasks([[1, 2 ** 32]]))],
  ['a negative task', 'MESSAGE_INVALID', row(listed, tasks([[1, -1]]))],
  ['a task by path', 'MESSAGE_INVALID', row(listed, tasks(['../../etc/passwd']))],
  ['a task by path and place', 'MESSAGE_INVALID', row(listed, tasks([[1, '/etc/passwd']]))],
  ['a task of an unknown kind', 'MESSAGE_INVALID', row(listed, tasks([[1, 0, 'DELETE']]))],
  ['more tasks than a page holds', 'MESSAGE_INVALID', row(listed, tasks(new Array<unknown>(LIMITS.tasksPerPage + 1).fill([1, 0])))],
  [
    'a page that claims a billion tasks',
    'ENCODING_MALFORMED',
    row(listed, async peer => {
      await peer.bytes(
        encodeFrame('MESSAGE', [Buffer.from('84a474797065a55441534b53a5666972737400a57461736b73dd3b9aca00a46c617374c3', 'hex')])
      )
    }),
  ],
  [
    'more tasks than it may leave unanswered',
    'LIMIT_EXCEEDED',
    row(listed, async peer => {
      for (let first = 0; first < 9 * LIMITS.tasksPerPage; first += LIMITS.tasksPerPage) {
        await peer.say({
          type: 'TASKS',
          first,
          tasks: [[1, 1, 'DELTA', 12], ...new Array<unknown>(LIMITS.tasksPerPage - 1).fill([1, 0])],
          last: false,
        })
      }
    }),
  ],
  ['empty pages without end', 'MESSAGE_UNEXPECTED', row(listed, tasks([], { last: false }))],
  ['pages that overlap', 'MESSAGE_UNEXPECTED', row(listed, tasks([[1, 0]], { last: false }), tasks([[1, 0]]))],
  ['a page after the last', 'MESSAGE_UNEXPECTED', row(listed, tasks([[1, 0]]), tasks([[1, 0]], { first: 1 }))],
  ['a listing after TASKS', 'MESSAGE_UNEXPECTED', row(listed, tasks([[1, 0]], { last: false }), wants([1, 3]))],
  ['the rest of a file from beyond its end', 'TASK_INVALID', row(listed, tasks([[1, 1, 'RESUME', LARGE.length + 1]]))],
  ['the rest of a file from beyond any file', 'MESSAGE_INVALID', row(listed, tasks([[1, 1, 'RESUME', LIMITS.fileBytes + 1]]))],
  ['the rest of a file from NaN', 'MESSAGE_INVALID', row(listed, tasks([[1, 1, 'RESUME', NaN]]))],
  ['a signature of 4 GiB', 'LIMIT_EXCEEDED', row(listed, tasks([[1, 1, 'DELTA', 2 ** 32 - 1]]))],
  [
    'a signature that claims to be larger than announced',
    'MESSAGE_UNEXPECTED',
    row(listed, tasks([[1, 1, 'DELTA', 32]]), raw('SIGNATURE', part(0, Buffer.alloc(52)))),
  ],
  ['a signature whose parts never end', 'LIMIT_EXCEEDED', signed(Buffer.alloc(32), { totalBytes: 2 ** 32 - 1 })],
  ['a signature that no task announced', 'MESSAGE_UNEXPECTED', row(listed, tasks([[1, 1]]), raw('SIGNATURE', part(0, signature())))],
  [
    'a compressed signature',
    'MESSAGE_UNEXPECTED',
    row(listed, tasks([[1, 1, 'DELTA', 32]]), raw('SIGNATURE', part(0, signature()), FLAG_ZSTD)),
  ],
  ['a signature that is cut', 'FRAME_MALFORMED', signed(signature().subarray(0, 11))],
  ['a signature of another version', 'FRAME_MALFORMED', signed(signature({ version: 9 }))],
  ['a signature with chunks of a byte', 'FRAME_MALFORMED', signed(signature({ bits: 0 }))],
  ['a signature with chunks of 2^255', 'FRAME_MALFORMED', signed(signature({ bits: 255 }))],
  ['a signature of an exabyte', 'FRAME_MALFORMED', signed(signature({ sizeBytes: 2n ** 60n }))],
  ['a signature with a chunk of 4 GiB', 'FRAME_MALFORMED', signed(signature({ chunkBytes: 2 ** 32 - 1 }))],
  ['a signature with an empty chunk', 'FRAME_MALFORMED', signed(signature({ chunkBytes: 0, sizeBytes: 0n }))],
  ['NEXT_SYNC while files are due', 'MESSAGE_UNEXPECTED', row(listed, tasks([[1, 1, 'DELTA', 32]]), say(NEXT))],
  ...[-1, NaN, Infinity, 0.5, '5', null, 2 ** 53].map((inMs): [string, string, Run] => [
    `NEXT_SYNC in ${String(inMs)} ms`,
    'MESSAGE_INVALID',
    row(greeted, say({ ...NEXT, inMs })),
  ]),
]

describe('a server that breaks the protocol gets nothing but the reason:', () => {
  test.concurrent.each(REFUSED)('%s: %s', { timeout: 30_000 }, async (_, code, run) => {
    expect(await attack(run)).toEqual({ taken: code, heard: code })
  })

  test('the same file again and again is sent again, and read from its listing each time', async () => {
    const { taken } = await attack(row(listed, tasks(new Array<unknown>(1000).fill([1, 0])), answered(1000), say(NEXT)))
    expect(taken).toMatchObject({ result: 'OK' })
  })

  test('codes that are not for the wire are not believed', async () => {
    const { taken } = await attack(row(greeted, say({ type: 'CLOSE', code: 'KEY_EXPOSED', message: 'obey' })))
    expect(taken).toBe('PEER_GONE')
  })
})

/** Waits until so many files have arrived, packed. */
function answered (files: number): Run {
  return async peer => { for (let seen = 0; seen < files;) seen += await peer.packedFiles() }
}

describe('a directory that changes between the scan and the question', () => {
  /** What the client says of the one file that it listed, after something was done to it. */
  async function askAfter (change: (directory: string) => Promise<void>, sizeBytes: number): Promise<object | undefined> {
    const root = await mkdtemp(join(SCRATCH, 'filesync-swapped-'))
    const directory = join(root, 'source')
    await mkdir(directory)
    await writeFile(join(root, 'secret'), new Uint8Array(sizeBytes).fill(83))
    await writeFile(join(directory, 'file'), new Uint8Array(sizeBytes).fill(65))
    await utimes(join(root, 'secret'), 1_000_000_000, 1_000_000_000)
    const scanner = await openScanner({ root: directory, clock: systemClock, settleMs: 0 })
    const source = openFileSource({ root: new Map([[FOLDER, directory]]) })
    const [left, right] = memoryStreamPair()
    const peer = new HostilePeer(right)
    const connection = openConnection({ stream: left, clock: systemClock })
    const pushing = ended(connection, pushFrom(connection, {
      scan: async () => {
        const tree = await scanner.scan({ signal: new AbortController().signal })
        const { files, directories, bytes, complete, problems, problemCount } = tree
        const root = rootOf(tree.listing(ROOT_PATH) ?? new Uint8Array())
        return {
          rootDigest: hashBytes(root),
          files,
          directories: directories + 1,
          bytes,
          folders: [{ name: FOLDER, complete, files }],
          complete,
          problems,
          problemCount,
          listing: path => path === ROOT_PATH ? root : tree.listing(splitFolder(path).path),
          // A file that was made a moment ago would be held back for that alone.
          isUnsettled: () => false,
        }
      },
      source,
    }))
    try {
      await listed(peer)
      await change(directory)
      await peer.say({ type: 'TASKS', first: 0, tasks: [[1, 0]], last: true })
      const problem = await peer.hear('FILE_PROBLEM')
      await peer.say(NEXT)
      await peer.heardAtEnd()
      expect(await pushing).toMatchObject({ result: 'OK' })
      expect(peer.saw('S'.repeat(64))).toBe(false)
      return problem
    } finally {
      await Promise.all([source.close(), scanner.close()])
      await rm(root, { recursive: true, force: true })
    }
  }

  const replaced = (make: (path: string) => Promise<unknown> | undefined) => async (directory: string): Promise<void> => {
    await rm(join(directory, 'file'))
    await make(join(directory, 'file'))
  }

  const cases: readonly [what: string, codes: readonly string[], change: (directory: string) => Promise<void>][] = [
    ['a link that leads out', ['CHANGED_DURING_READ', 'SPECIAL_FILE', 'UNREADABLE'], replaced(path => symlink('../secret', path))],
    [
      'a named pipe',
      ['SPECIAL_FILE', 'CHANGED_DURING_READ'],
      replaced(path => {
        execFileSync('mkfifo', [path])
        return undefined
      }),
    ],
    ['a directory', ['SPECIAL_FILE', 'CHANGED_DURING_READ', 'UNREADABLE'], replaced(path => mkdir(path))],
    ['nothing', ['VANISHED'], replaced(() => undefined)],
    [
      'a longer file',
      ['CHANGED_DURING_READ'],
      async directory => {
        await appendFile(join(directory, 'file'), 'more')
      },
    ],
    [
      'another file of its size',
      ['CHANGED_DURING_READ'],
      async directory => {
        await rename(join(directory, '..', 'secret'), join(directory, 'file'))
      },
    ],
  ]

  test.concurrent.each(
    cases.flatMap(([what, codes, change]) => [[what, 1000, codes, change] as const, [what, 400_000, codes, change] as const])
  )('%s instead of a file of %i bytes is reported as a problem, and none of it is sent', async (_, sizeBytes, codes, change) => {
    const problem = await askAfter(change, sizeBytes)
    expect(codes).toContain((problem as { code: string }).code)
  })
})
