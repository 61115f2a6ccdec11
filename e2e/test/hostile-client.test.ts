import { zstdCompressSync } from 'node:zlib'
import { encodeFrame, encodeListing, FLAG_ZSTD, FRAME_HEADER_BYTES, LIMITS } from '@filesync/protocol'
import type { Entry, Name, NextSync } from '@filesync/protocol'
import { hashBytes } from '@filesync/protocol/node'
import type { TreeLiteral } from '@filesync/protocol/testing'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { attack, giveListings, info, rootOf, untilReady, untilRootWanted, untilTasks, untilWanted } from '../src/hostile-client.ts'
import { FOLDER, Ground } from '../src/hostile-ground.ts'
import { compressed, forTask, hello, pack, part } from '../src/hostile-peer.ts'
import type { HostilePeer } from '../src/hostile-peer.ts'

const SMALL = Buffer.from('new content, longer')
const LARGE = new Uint8Array(300_000).map((_, at) => at * 31 >> 3)
const BEFORE: TreeLiteral = {
  'a-small.txt': 'old content',
  'b-large.bin': 'was small',
  'keep.txt': 'stays as it is',
  kept: { 'c.txt': 'below' },
}
const AFTER: TreeLiteral = { ...BEFORE, 'a-small.txt': SMALL, 'b-large.bin': LARGE }
/** Where the files of AFTER stand in TASKS. */
const A = 0
const B = 1
const EMPTY = encodeListing([])
/** Also what takes long. */
const HEAVY = process.env['FILESYNC_TEST_HEAVY'] === '1'

let ground: Ground
beforeAll(async () => { ground = await Ground.open() })
afterAll(async () => { await ground.close() })

type Run = (peer: HostilePeer) => Promise<void>
type Attacks = readonly [what: string, code: string, run: Run][]

const transfer = (run: Run, more: object = {}): Run => async peer => {
  await untilTasks(peer, AFTER, more)
  await run(peer)
}
/** What a client gives for the listing of its folder, which is number 1. */
const listing = (folder: Uint8Array, run: Run): Run => async peer => {
  await untilWanted(peer, folder)
  await run(peer)
}
/** What a client gives for its root listing, which is number 0. */
const rootListing = (root: Uint8Array, run: Run, more: object = {}): Run => async peer => {
  await untilRootWanted(peer, root, more)
  await run(peer)
}
const say = (...messages: object[]): Run => async peer => { await peer.say(...messages) }
const raw = (...frame: Parameters<HostilePeer['raw']>): Run => async peer => { await peer.raw(...frame) }
const row = (...runs: Run[]): Run => async peer => { for (const run of runs) await run(peer) }

const header = (more: object = {}): Run =>
  say({ type: 'FILE_HEADER', task: B, sizeBytes: LARGE.length, offset: 0, content: 'DATA', ...more })
const data = (bytes: Uint8Array, task = B): Run => raw('DATA', forTask(task, bytes))
const end = (more: object = {}): Run => say({ type: 'FILE_END', task: B, digest: hashBytes(LARGE), ...more })
const packed = pack({ task: A, bytes: SMALL })
const zstd = (claimedBytes: number, bytes: Uint8Array): Run => raw('PACK', compressed(claimedBytes, bytes), FLAG_ZSTD)

const file = (name: string): Entry => ({ kind: 'file', name: name as Name, mtimeNs: 1n, mode: 0o644, sizeBytes: 1, fileId: 1n })
const directory = (name: string, below: Uint8Array): Entry => ({
  kind: 'directory',
  name: name as Name,
  mtimeNs: 1n,
  mode: 0o755,
  digest: hashBytes(below),
})
const serverMessages = {
  NEXT_SYNC: {
    type: 'NEXT_SYNC',
    inMs: 1,
    result: 'OK',
    stored: { files: 0, bytes: 0, deleted: 0, renamed: 0 },
    problems: [],
    problemCount: 0,
  },
  TASKS: { type: 'TASKS', first: 0, tasks: [[0, 0]], last: true },
  STORED: { type: 'STORED', files: 1, bytes: 1 },
  LISTINGS_WANTED: { type: 'LISTINGS_WANTED', directories: [] },
  SERVER_STATUS: { type: 'SERVER_STATUS', status: 'BUSY', position: 1 },
  PAIR_PROOF: { type: 'PAIR_PROOF', name: 'x', mac: new Uint8Array(32) },
}

/** The area is unchanged, nothing beside the archive was touched, and the next client is served. */
async function expectUnharmed (area: string, before: Record<string, string>): Promise<void> {
  expect(await ground.stored(area)).toEqual(before)
  expect(await ground.isCanaryAlive()).toBe(true)
  expect(await ground.honest(area, BEFORE)).toMatchObject({ result: 'OK' })
  expect(await ground.stored(area)).toEqual(before)
}

async function seed (area: string): Promise<Record<string, string>> {
  expect(await ground.honest(area, BEFORE)).toMatchObject({ result: 'OK', stored: { files: 4 } })
  return await ground.stored(area)
}

let areas = 0
function refuses (attacks: Attacks): void {
  test.concurrent.each(attacks)('%s: %s', { timeout: 60_000 }, async (_, code, run) => {
    const area = `attacked-${String(areas++)}`
    const before = await seed(area)
    expect(await attack(ground, area, { run })).toEqual({ taken: code, heard: code })
    await expectUnharmed(area, before)
  })
}

describe('what a client says in the wrong place:', () => {
  const wrongPlaces = Object.entries(serverMessages).flatMap(([type, message]): Attacks => [
    [`${type} instead of HELLO`, 'MESSAGE_UNEXPECTED', say(message)],
    [`${type} instead of its tree`, 'MESSAGE_UNEXPECTED', row(untilReady, say(message))],
    [`${type} instead of listings`, 'MESSAGE_UNEXPECTED', listing(EMPTY, say(message))],
    [`${type} instead of files`, 'MESSAGE_UNEXPECTED', transfer(say(message))],
  ])
  refuses([
    ...wrongPlaces,
    ['its tree before HELLO', 'MESSAGE_UNEXPECTED', say(info(EMPTY))],
    ['a pack before HELLO', 'MESSAGE_UNEXPECTED', raw('PACK', packed)],
    ['a second HELLO', 'MESSAGE_UNEXPECTED', row(untilReady, say(hello()))],
    ['a second HELLO in one breath', 'MESSAGE_UNEXPECTED', say(hello(), hello())],
    ['files before its tree', 'MESSAGE_UNEXPECTED', row(untilReady, raw('PACK', packed))],
    ['its tree twice', 'MESSAGE_UNEXPECTED', listing(EMPTY, say(info(EMPTY)))],
    ['its tree again among the files', 'MESSAGE_UNEXPECTED', transfer(say(info(EMPTY)))],
    ['files before TASKS', 'MESSAGE_UNEXPECTED', listing(EMPTY, raw('PACK', packed))],
    ['the header of a file before TASKS', 'MESSAGE_UNEXPECTED', listing(EMPTY, header())],
    ['listings among the files', 'MESSAGE_UNEXPECTED', transfer(raw('LISTINGS', part(1, EMPTY)))],
    ['a signature', 'MESSAGE_UNEXPECTED', transfer(raw('SIGNATURE', part(0, EMPTY)))],
    ['only versions that nobody speaks', 'VERSION_UNSUPPORTED', say(hello({ versions: [1, 77] }))],
    ['no digest that the server knows', 'VERSION_UNSUPPORTED', say(hello({ features: ['zstd'] }))],
    [
      'a frame of an unknown type',
      'FRAME_MALFORMED',
      row(untilReady, async peer => {
        await peer.bytes(Buffer.of(0, 0, 0, 1, 99, 0, 0, 0, 0))
      }),
    ],
    [
      'a frame of 4 GiB',
      'FRAME_TOO_LARGE',
      row(untilReady, async peer => {
        await peer.bytes(Buffer.of(255, 255, 255, 255, 5, 0, 0, 0, 0))
      }),
    ],
    [
      'a frame with flags of its own',
      'FRAME_MALFORMED',
      row(untilReady, async peer => {
        await peer.bytes(Buffer.of(0, 0, 0, 1, 4, 2, 0, 0, 0))
      }),
    ],
    [
      'a message that is no map',
      'MESSAGE_INVALID',
      row(untilReady, async peer => {
        await peer.bytes(encodeFrame('MESSAGE', [Buffer.of(0xc0)]))
      }),
    ],
    [
      'an extension type',
      'ENCODING_FORBIDDEN',
      row(untilReady, async peer => {
        await peer.bytes(encodeFrame('MESSAGE', [Buffer.of(0xd4, 0x72, 0x40)]))
      }),
    ],
  ])
})

describe('what a client says of its tree:', () => {
  const odd: readonly unknown[] = [-1, 0.5, NaN, Infinity, '5', null, 2 ** 53, LIMITS.treeEntries + 1]
  refuses([
    ...odd.map((files): Attacks[number] => [`${String(files)} files`, 'MESSAGE_INVALID', row(untilReady, say(info(EMPTY, { files })))]),
    ['8,000,001 directories', 'MESSAGE_INVALID', row(untilReady, say(info(EMPTY, { directories: LIMITS.treeEntries + 1 })))],
    ['a digest of 31 bytes', 'MESSAGE_INVALID', row(untilReady, say(info(EMPTY, { rootDigest: new Uint8Array(31) })))],
    ['a listing that was not asked for', 'MESSAGE_UNEXPECTED', listing(EMPTY, raw('LISTINGS', part(7, EMPTY)))],
    [
      'a directory twice',
      'MESSAGE_UNEXPECTED',
      listing(
        encodeListing([directory('a', EMPTY)]),
        raw('LISTINGS', Buffer.concat([part(1, encodeListing([directory('a', EMPTY)])), part(1, encodeListing([directory('a', EMPTY)]))]))
      ),
    ],
    ['a directory that is not the announced one', 'LISTING_MISMATCH', listing(encodeListing([file('a')]), raw('LISTINGS', part(1, EMPTY)))],
    ['a root that is not the announced one', 'LISTING_MISMATCH', rootListing(rootOf(EMPTY), raw('LISTINGS', part(0, EMPTY)))],
    [
      'the root twice',
      'MESSAGE_UNEXPECTED',
      rootListing(rootOf(EMPTY), raw('LISTINGS', Buffer.concat([part(0, rootOf(EMPTY)), part(0, rootOf(EMPTY))]))),
    ],
    ['a listing of 4 GiB', 'LIMIT_EXCEEDED', listing(EMPTY, raw('LISTINGS', part(1, EMPTY, { totalBytes: 2 ** 32 - 1 })))],
    [
      'a part that is longer than its listing',
      'FRAME_MALFORMED',
      listing(EMPTY, raw('LISTINGS', part(1, Buffer.alloc(9), { totalBytes: 8 }))),
    ],
    [
      'parts in another order',
      'FRAME_MALFORMED',
      listing(EMPTY, raw('LISTINGS', part(1, Buffer.alloc(9), { totalBytes: 20, offset: 3 }))),
    ],
    ['empty parts without end', 'FRAME_MALFORMED', listing(EMPTY, raw('LISTINGS', part(1, new Uint8Array(0), { totalBytes: 20 })))],
    [
      'compressed listings',
      'MESSAGE_UNEXPECTED',
      listing(EMPTY, raw('LISTINGS', compressed(17, zstdCompressSync(part(1, EMPTY))), FLAG_ZSTD)),
    ],
    ...(
      [
        ['4 billion', [0xdd, 255, 255, 255, 255]],
        ['2,000,001', [0xdd, 0, 0x1e, 0x84, 0x81]],
      ] as const
    ).map(([count, bytes]): Attacks[number] => [
      `a listing that claims ${count} entries`,
      'LISTING_INVALID',
      listing(Buffer.from(bytes), raw('LISTINGS', part(1, Buffer.from(bytes)))),
    ]),
    [
      'a name twice',
      'LISTING_INVALID',
      gives(Buffer.concat([Buffer.of(0x92), encodeListing([file('a')]).subarray(1), encodeListing([file('a')]).subarray(1)])),
    ],
    ['bytes after a listing', 'LISTING_INVALID', gives(Buffer.concat([EMPTY, EMPTY]))],
    ...[
      '..',
      '.',
      '',
      '../attacked-0',
      '/etc/passwd',
      'a/b',
      'a\0b',
      '\u001b]0;x\u0007',
      'a\u202etxt.exe',
      'x'.repeat(256),
      '.filesync',
      '.FileSync',
    ].map((name): Attacks[number] => [
      `the name ${JSON.stringify(name.slice(0, 20))}`,
      'NAME_INVALID',
      gives(encodeListing([file(name)])),
    ]),
    // Seconds of encoding and reading; packages/protocol/test/listing-exchange.test.ts holds the same limit without a session around it.
    ...(HEAVY ? [LIMITS.listingsWaiting + 1] : []).map((count): Attacks[number] => [
      'a folder with a million and one directories',
      'LIMIT_EXCEEDED',
      async peer => {
        await gives(manyDirectories(count))(peer)
      },
    ]),
    ['200,000 parts of one byte, and a listing that is another one', 'LISTING_MISMATCH', listing(EMPTY, manyParts(200_000))],
  ])

  test('64 directories in each other, the folder among them, are a tree like any other', async () => {
    const area = 'nested'
    const { taken } = await attack(ground, area, { run: nested(63) })
    expect(taken).toMatchObject({ result: 'OK' })
    expect(Object.keys(await ground.stored(area)).at(-1)?.split('/')).toHaveLength(63)
  })

  test('the last of 65 directories in each other is left out, and told', async () => {
    const area = 'too-deep'
    const { taken } = await attack(ground, area, { run: nested(64) })
    expect(taken).toMatchObject({ result: 'PROBLEMS', problems: [{ code: 'PATH_TOO_DEEP' }] })
    expect(Object.keys(await ground.stored(area)).at(-1)?.split('/')).toHaveLength(63)
  })

  test('what is deeper than a path may be long is left out and reported', async () => {
    const { taken } = await attack(ground, 'long', { run: nested(5, 'x'.repeat(250)) })
    expect(taken).toMatchObject({ result: 'PROBLEMS', problems: [{ code: 'PATH_TOO_LONG' }] })
  })

  test('bad entries beyond those reported one by one are counted', async () => {
    let deep: TreeLiteral = Object.fromEntries(Array.from({ length: 5000 }, (_, number) => [`file${String(number)}`, 'too deep']))
    for (let levels = 0; levels < LIMITS.pathDepth - 1; levels++) deep = { deep }
    const next = await ground.honest('crowd', { ...BEFORE, ...deep })
    expect(next).toMatchObject({ result: 'PROBLEMS', stored: { files: 4 }, problemCount: 5000 })
    expect((next as NextSync).problems).toHaveLength(LIMITS.problemsPerMessage)
  })
})

describe('what a client says of its folders:', () => {
  const announce = (more: object, root = rootOf(EMPTY)): Run => row(untilReady, say(info(root, more)))
  const folder = { name: FOLDER, complete: true, files: 1 }
  const many = Array.from({ length: LIMITS.foldersPerClient + 1 }, (_, at) => ({ ...folder, name: `f${String(at)}` }))
  const names = ['..', '.', '', '../attacked-0', '/etc', 'a/b', 'a\0b', '\u001b]0;x\u0007', 'x'.repeat(256), '.filesync', 5, null]
  refuses([
    ...names.map((name): Attacks[number] => [
      `a folder called ${JSON.stringify(name)?.slice(0, 20)}`, 'MESSAGE_INVALID', announce({ folders: [{ ...folder, name }] }),
    ]),
    ...names.map((name): Attacks[number] => [
      `a folder called ${JSON.stringify(name)?.slice(0, 20)} that leaves`, 'MESSAGE_INVALID', announce({ removed: [name] }),
    ]),
    ...['..', '', '/', '/etc', `${FOLDER}/../b`, `${FOLDER}//b`, `${FOLDER}/`, '.filesync/index', 5].map((path): Attacks[number] => [
      `the directory ${JSON.stringify(path)} that is away`, 'MESSAGE_INVALID', announce({ away: [path] }),
    ]),
    ['no list of folders', 'MESSAGE_INVALID', announce({ folders: null })],
    ['whether its tree is complete instead of folders', 'MESSAGE_INVALID', announce({ folders: true })],
    ['a folder twice', 'MESSAGE_INVALID', announce({ folders: [folder, folder] })],
    ['a folder that is listed and leaves', 'MESSAGE_INVALID', announce({ removed: [FOLDER] })],
    ['a folder of half a file', 'MESSAGE_INVALID', announce({ folders: [{ ...folder, files: 0.5 }] })],
    ['a folder that is complete perhaps', 'MESSAGE_INVALID', announce({ folders: [{ ...folder, complete: 'perhaps' }] })],
    ['more folders than a client has', 'MESSAGE_INVALID', announce({ folders: many })],
    ['a file beside its folder', 'LISTING_INVALID', givesRoot(encodeListing([file('a'), directory(FOLDER, EMPTY)]))],
    ['a file in the place of its folder', 'LISTING_INVALID', givesRoot(encodeListing([file(FOLDER)]))],
    [
      'a link in the place of its folder', 'LISTING_INVALID',
      givesRoot(encodeListing([{ kind: 'symlink', name: FOLDER, mtimeNs: 1n, target: '../victim' }])),
    ],
    ['a folder that it did not announce', 'LISTING_INVALID', givesRoot(encodeListing([directory(FOLDER, EMPTY), directory('x', EMPTY)]))],
    ['a folder under another name', 'LISTING_INVALID', givesRoot(encodeListing([directory('another', EMPTY)]))],
    ['a folder that it does not list', 'LISTING_INVALID', givesRoot(EMPTY)],
    ['no folder, and a listing of one', 'LISTING_INVALID', givesRoot(rootOf(EMPTY), { folders: [] })],
  ])

  test('a directory that is away in another folder, or far below nothing, protects nothing', async () => {
    const area = 'away'
    await seed(area)
    const { taken } = await attack(ground, area, {
      run: row(rootListing(rootOf(EMPTY), async peer => { await giveListings(peer, [rootOf(EMPTY), EMPTY]) }, {
        away: ['another', 'another/kept', `${FOLDER}/a/b/c`], folders: [{ ...folder, files: 0, accepted: true }],
      })),
    })
    expect(taken).toMatchObject({ result: 'OK', stored: { deleted: 4 } })
    expect(await ground.stored(area)).toEqual({})
  })
})

describe('what a client sends as files:', () => {
  refuses([
    ['data without a header', 'DATA_UNEXPECTED', transfer(data(LARGE))],
    ['an end without a header', 'DATA_UNEXPECTED', transfer(end())],
    ['a task that does not exist', 'DATA_UNEXPECTED', transfer(raw('PACK', pack({ task: 99, bytes: SMALL })))],
    ['one file twice in a pack', 'DATA_UNEXPECTED', transfer(raw('PACK', Buffer.concat([packed, packed])))],
    ['more bytes than listed, packed', 'DATA_UNEXPECTED', transfer(raw('PACK', pack({ task: A, bytes: Buffer.concat([SMALL, SMALL]) })))],
    ['fewer bytes than listed, packed', 'DATA_UNEXPECTED', transfer(raw('PACK', pack({ task: A, bytes: SMALL.subarray(1) })))],
    ['a pack that is cut', 'FRAME_MALFORMED', transfer(raw('PACK', packed.subarray(0, -1)))],
    [
      'a packed file that claims 4 GiB',
      'FRAME_MALFORMED',
      transfer(raw('PACK', pack({ task: A, bytes: SMALL, sizeBytes: 2 ** 32 - 1 }))),
    ],
    ['another size than listed', 'DATA_UNEXPECTED', transfer(header({ sizeBytes: LARGE.length + 1 }))],
    ['an offset that was not asked for', 'DATA_UNEXPECTED', transfer(header({ offset: 1 }))],
    ['an offset beyond the file', 'MESSAGE_INVALID', transfer(header({ offset: LARGE.length + 1 }))],
    ['a size of NaN', 'MESSAGE_INVALID', transfer(header({ sizeBytes: NaN }))],
    ['a difference that was not asked for', 'DATA_UNEXPECTED', transfer(header({ content: 'DELTA' }))],
    ['only a digest where content was asked for', 'DATA_UNEXPECTED', transfer(header({ content: 'NONE' }))],
    [
      'two files at once',
      'DATA_UNEXPECTED',
      transfer(row(header(), say({ type: 'FILE_HEADER', task: A, sizeBytes: SMALL.length, offset: 0, content: 'DATA' }))),
    ],
    ['a pack inside a file', 'DATA_UNEXPECTED', transfer(row(header(), raw('PACK', packed)))],
    ['data of another file', 'DATA_UNEXPECTED', transfer(row(header(), data(SMALL, A)))],
    ['more bytes than announced', 'DATA_UNEXPECTED', transfer(row(header(), data(LARGE), data(SMALL)))],
    ['fewer bytes than announced', 'DATA_UNEXPECTED', transfer(row(header(), data(LARGE.subarray(1)), end()))],
    ['the end of another file', 'DATA_UNEXPECTED', transfer(row(header(), data(LARGE), end({ task: A })))],
    ['an empty DATA frame', 'FRAME_MALFORMED', transfer(row(header(), data(new Uint8Array(0))))],
    ['a problem of no task', 'DATA_UNEXPECTED', transfer(say({ type: 'FILE_PROBLEM', task: 99, code: 'VANISHED', message: '' }))],
    [
      'a problem of another file than the open one',
      'DATA_UNEXPECTED',
      transfer(row(header(), say({ type: 'FILE_PROBLEM', task: A, code: 'VANISHED', message: '' }))),
    ],
    ['8 KiB that unpack to 256 MiB', 'FRAME_MALFORMED', transfer(zstd(LIMITS.rawFrameBytes, zstdCompressSync(new Uint8Array(1 << 28))))],
    ['a compressed frame that claims nothing', 'FRAME_MALFORMED', transfer(zstd(0, zstdCompressSync(packed)))],
    ['a compressed frame that claims 4 GiB', 'FRAME_MALFORMED', transfer(zstd(2 ** 32 - 1, zstdCompressSync(packed)))],
    ['a compressed frame that holds more than it claims', 'FRAME_MALFORMED', transfer(zstd(packed.length - 1, zstdCompressSync(packed)))],
    ['a compressed frame that holds less than it claims', 'FRAME_MALFORMED', transfer(zstd(packed.length + 1, zstdCompressSync(packed)))],
    [
      'a compressed frame followed by another one',
      'FRAME_MALFORMED',
      transfer(zstd(packed.length, Buffer.concat([zstdCompressSync(packed), zstdCompressSync(packed)]))),
    ],
    [
      'a file in two compressed frames',
      'FRAME_MALFORMED',
      transfer(zstd(packed.length, Buffer.concat([zstdCompressSync(packed.subarray(0, 20)), zstdCompressSync(packed.subarray(20))]))),
    ],
    [
      'a compressed frame followed by other bytes',
      'FRAME_MALFORMED',
      transfer(zstd(packed.length, Buffer.concat([zstdCompressSync(packed), Buffer.of(1, 2, 3)]))),
    ],
    ['a compressed frame that is noise', 'FRAME_MALFORMED', transfer(zstd(packed.length, Buffer.alloc(60, 0xa5)))],
    [
      'a compressed frame that was not agreed on',
      'MESSAGE_UNEXPECTED',
      transfer(zstd(packed.length, zstdCompressSync(packed)), { features: ['digest-blake3'] }),
    ],
  ])

  test('a file again that was sent: it is stored once, wholly', async () => {
    const area = 'twice'
    const before = await seed(area)
    expect(await attack(ground, area, { run: transfer(row(raw('PACK', packed), raw('PACK', packed))) })).toEqual({
      taken: 'DATA_UNEXPECTED',
      heard: 'DATA_UNEXPECTED',
    })
    const { 'a-small.txt': small, ...others } = await ground.stored(area)
    const { 'a-small.txt': old, ...othersBefore } = before
    expect(others).toEqual(othersBefore)
    // Without the second copy the first one is as good as any.
    expect([old, expect.stringContaining(` ${String(SMALL.length)} `)]).toContainEqual(small)
    expect(await ground.honest(area, AFTER)).toMatchObject({ result: 'OK' })
  })

  test('content with another digest than announced is a problem of its file, and not stored', async () => {
    const area = 'wrong-digest'
    const before = await seed(area)
    const { taken } = await attack(ground, area, {
      run: transfer(
        row(
          raw('PACK', pack({ task: A, bytes: SMALL, digest: hashBytes(LARGE) })),
          header(),
          data(LARGE),
          end({ digest: hashBytes(SMALL) })
        )
      ),
    })
    expect(taken).toMatchObject({
      result: 'PROBLEMS',
      stored: { files: 0 },
      problems: [{ code: 'DIGEST_MISMATCH' }, { code: 'DIGEST_MISMATCH' }],
    })
    await expectUnharmed(area, before)
  })

  test('a message of a type that the server does not know is skipped', async () => {
    const area = 'unknown-message'
    await seed(area)
    const { taken } = await attack(ground, area, {
      run: transfer(row(say({ type: 'WEATHER', rain: true }), raw('PACK', packed), header(), say({ type: 'WEATHER' }), data(LARGE), end())),
    })
    expect(taken).toMatchObject({ result: 'OK', stored: { files: 2 } })
  })

  test('a code that is not for the wire is not believed', async () => {
    const { taken } = await attack(ground, 'forced', { run: row(untilReady, say({ type: 'CLOSE', code: 'KEY_EXPOSED', message: 'obey' })) })
    expect(taken).toBe('PEER_GONE')
  })
})

describe('the area of another client', () => {
  test('is out of reach, whatever a client calls itself and however it links to it', async () => {
    const before = await seed('victim')
    await seed('mallory')
    const named = { area: 'victim', identity: 'victim', client: 'victim', root: '../victim' }
    await attack(ground, 'mallory', { run: row(say(hello(named)), say({ ...info(EMPTY, named), ...named })) })
    const linked: TreeLiteral = { ...BEFORE, way: { symlink: '../victim' }, straight: { symlink: 'kept' } }
    expect(await ground.honest('mallory', linked)).toMatchObject({ result: 'OK' })
    expect((await ground.stored('mallory'))['way']).toContain('../victim')
    const through: TreeLiteral = { ...BEFORE, way: { 'keep.txt': 'mine now' }, straight: { 'c.txt': 'mine now' } }
    expect(await ground.honest('mallory', through)).toMatchObject({ result: 'OK' })
    expect(await ground.stored('victim')).toEqual(before)
    const mine = await ground.stored('mallory')
    expect(mine['way']).toMatch(/^directory/u)
    expect(mine['kept/c.txt']).toBe(before['kept/c.txt'])
    expect(await ground.isCanaryAlive()).toBe(true)
  })
})

function gives (folder: Uint8Array): Run {
  return listing(folder, async peer => { await giveListings(peer, [folder], 1) })
}

function givesRoot (root: Uint8Array, more: object = {}): Run {
  return rootListing(root, async peer => { await giveListings(peer, [root]) }, more)
}

/** Directories in each other, the innermost empty. */
function nested (levels: number, name = 'd'): Run {
  const listings = [EMPTY]
  for (let level = 0; level < levels; level++) listings.unshift(encodeListing([directory(name, listings[0] ?? EMPTY)]))
  return listing(listings[0] ?? EMPTY, async peer => { await giveListings(peer, listings, 1) })
}

function manyDirectories (count: number): Uint8Array {
  const one = directory('', EMPTY)
  const entries = new Array<Entry>(count)
  for (let i = 0; i < count; i++) entries[i] = { ...one, name: String(i).padStart(7, '0') as Name }
  return encodeListing(entries)
}

/** A listing in parts of one byte, one in a frame. */
function manyParts (count: number): Run {
  return async peer => {
    const frameBytes = FRAME_HEADER_BYTES + 17
    const frames = Buffer.alloc(count * frameBytes)
    for (let offset = 0; offset < count; offset++) {
      frames.set(encodeFrame('LISTINGS', [part(1, Buffer.of(0), { totalBytes: count, offset })]), offset * frameBytes)
    }
    await peer.bytes(frames)
  }
}
