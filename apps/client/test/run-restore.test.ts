import { spawnSync } from 'node:child_process'
import { mkdtempSync, rmdirSync, statSync, writeFileSync } from 'node:fs'
import { lstat, mkdir, mkdtemp, readdir, readFile, readlink, rm, stat, symlink, writeFile } from 'node:fs/promises'
import { hostname, tmpdir } from 'node:os'
import { join } from 'node:path'
import { FileSyncError, isFileSyncError, wrapConnection } from '@filesync/protocol'
import type { Connection } from '@filesync/protocol'
import { hashBytes, systemClock } from '@filesync/protocol/node'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { RestoreTarget } from '../src/restore/restore-target.ts'
import { runRestore } from '../src/restore/run-restore.ts'
import type { RestoreRun } from '../src/restore/run-restore.ts'
import { RestoreServer } from './support/restore-server.ts'
import type { Stored } from './support/restore-server.ts'

const bytesOf = (text: string): Uint8Array => new TextEncoder().encode(text)
const fileOf = (text: string, more: Partial<Stored> = {}): Stored => ({ kind: 'file', content: bytesOf(text), ...more }) as Stored
const large = Uint8Array.from({ length: 700_000 }, (_, i) => i * 7 + (i >> 9))

const TREE: Readonly<Record<string, Stored>> = {
  d: { kind: 'directory', mode: 0o750 },
  'd/secret': { kind: 'directory', mode: 0o700 },
  'd/secret/key': fileOf('key', { mode: 0o400 }),
  'd/link': { kind: 'symlink', target: '../../outside' },
  'd/a': fileOf('a'),
  'd/large': { kind: 'file', content: large },
  'd/empty': fileOf(''),
}

function mayMount (): boolean {
  const at = mkdtempSync(join(tmpdir(), 'client-restore-'))
  const isMounted = spawnSync('mount', ['-t', 'tmpfs', '-o', 'size=1m', 'tmpfs', at]).status === 0
  if (isMounted) spawnSync('umount', ['-l', at])
  rmdirSync(at)
  return isMounted
}

let root: string
let to: string

beforeEach(async () => {
  root = await mkdtemp(join(tmpdir(), 'client-restore-'))
  to = join(root, 'to')
})

afterEach(async () => { await rm(root, { recursive: true, force: true }) })

async function restore (
  server: RestoreServer,
  {
    overwrite = false, signal = new AbortController().signal, connect = () => server.connect(), into = to,
    prepare = (target: RestoreTarget): RestoreTarget => target,
  } = {},
): Promise<RestoreRun> {
  return await runRestore({
    question: { path: '' },
    connect: async () => ({ connection: connect(), holes: true }),
    openTarget: () => prepare(new RestoreTarget({ root: into, overwrite })),
    onState () { /* not looked at */ },
    hash: hashBytes,
    clock: { ...systemClock, schedule: (_delayMs, callback) => systemClock.schedule(0, callback) },
    random: () => 0,
    signal,
    onProgress () { /* not looked at */ },
    onRetry () { /* not looked at */ },
  })
}

/** A connection that breaks after some frames. */
function breaking (connection: Connection, frames: number): Connection {
  let left = frames
  const breakIfDue = (): void => {
    if (left-- <= 0) connection.destroy(new FileSyncError('PEER_GONE', 'The network went away.'))
  }
  return wrapConnection(connection, {
    next: async () => {
      breakIfDue()
      return await connection.next()
    },
  })
}

const problemsOf = ({ state: { problems } }: RestoreRun): string[] => problems.first.map(({ path, code }) => `${code} ${path}`).sort()

async function refusal (work: Promise<unknown>): Promise<string> {
  return await work.then(() => 'none', (error: unknown) => isFileSyncError(error) ? error.code : String(error))
}

test('files, directories and links come back with their modes and times', async () => {
  const run = await restore(new RestoreServer(TREE))
  expect(problemsOf(run)).toEqual([])
  expect(run.state.counts).toMatchObject({ files: 5, present: 0 })
  expect(await readFile(join(to, 'd/large'))).toEqual(Buffer.from(large))
  expect(await readlink(join(to, 'd/link'))).toBe('../../outside')
  for (const [path, mode] of [['d', 0o750], ['d/secret', 0o700], ['d/secret/key', 0o400], ['d/a', 0o644]] as const) {
    const found = await lstat(join(to, path))
    expect([path, found.mode & 0o777, found.mtimeMs]).toEqual([path, mode, 1_600_000_000_000])
  }
  expect(await readdir(to)).toEqual(['d'])
})

test('content with another digest than the server proves is never in its place, and the server is asked again', async () => {
  const server = new RestoreServer(TREE)
  let reads = 0
  server.onRead = (path, content) => path === 'd/large' && reads++ === 0 ? { code: 'DAMAGED' } : content
  const healed = await restore(server)
  expect(problemsOf(healed)).toEqual([])
  await rm(to, { recursive: true })
  server.onRead = (path, content) => path.startsWith('d/') && content.length > 1 ? { code: 'DAMAGED' } : content
  const run = await restore(server)
  expect(problemsOf(run)).toEqual(['DAMAGED d/large', 'DAMAGED d/secret/key'])
  expect((await readdir(join(to, 'd'))).sort()).toEqual(['a', 'empty', 'link', 'secret'])
  server.onRead = path => path === 'd/a' ? { code: 'EXPIRED' } : bytesOf('')
})

test('a restore goes on after a break at any frame', async () => {
  let isCut = true
  for (let frames = 1; isCut; frames++) {
    const server = new RestoreServer(TREE)
    const run = await restore(server, { connect: () => breaking(server.connect(), server.connections === 1 ? frames : Infinity) })
    expect(problemsOf(run)).toEqual([])
    // What came whole over the first connection is not looked at again by the second one.
    expect(run.state.counts).toMatchObject({ files: 5, present: 0 })
    expect(await readFile(join(to, 'd/large'))).toEqual(Buffer.from(large))
    isCut = server.connections > 1
    expect(frames).toBeLessThan(20)
    await rm(to, { recursive: true })
  }
})

test('a second restore to the same directory continues, and a large file from where it was cut', async () => {
  const server = new RestoreServer(TREE)
  server.onRead = (path, content) => path === 'd/secret/key' ? { code: 'EXPIRED' } : content
  expect(problemsOf(await restore(server))).toEqual(['EXPIRED d/secret/key'])
  const target = new RestoreTarget({ root: to, overwrite: false })
  const entry = {
    kind: 'file', name: 'large', sizeBytes: large.length, mtimeNs: 1_600_000_000_000_000_000n, mode: 0o644, fileId: 0n,
  } as never
  await rm(join(to, 'd/large'))
  await writeFile(target.partial('d/large' as never, entry).join(''), large.subarray(0, 600_000))
  target.leaveWork()
  const again = new RestoreServer(TREE)
  const run = await restore(again)
  expect(problemsOf(run)).toEqual([])
  expect(run.state.counts).toMatchObject({ files: 5, present: 3 })
  expect(await readFile(join(to, 'd/large'))).toEqual(Buffer.from(large))
  // What has arrived may be something else; the digest of the whole decides.
  await rm(join(to, 'd/large'))
  const other = new RestoreTarget({ root: to, overwrite: false })
  await writeFile(other.partial('d/large' as never, entry).join(''), new Uint8Array(600_000))
  other.leaveWork()
  expect(problemsOf(await restore(new RestoreServer(TREE)))).toEqual([])
  expect(await readFile(join(to, 'd/large'))).toEqual(Buffer.from(large))
})

test('what is there is kept and named unless it is the same, and no link is followed', async () => {
  const outside = join(root, 'outside')
  await mkdir(outside)
  await mkdir(join(to, 'd'), { recursive: true })
  await writeFile(join(to, 'd/a'), 'b')
  await symlink(outside, join(to, 'd/secret'))
  await symlink(join(outside, 'planted'), join(to, 'd/large'))
  const run = await restore(new RestoreServer(TREE))
  expect(problemsOf(run)).toEqual(['PATH_TAKEN d/a', 'PATH_TAKEN d/large', 'PATH_TAKEN d/secret'])
  expect(await readFile(join(to, 'd/a'), 'utf8')).toBe('b')
  expect(await readdir(outside)).toEqual([])
  const over = await restore(new RestoreServer(TREE), { overwrite: true })
  expect(problemsOf(over)).toEqual([])
  expect(await readFile(join(to, 'd/a'), 'utf8')).toBe('a')
  expect((await lstat(join(to, 'd/large'))).isFile()).toBe(true)
  expect(await readdir(outside)).toEqual([])
})

test('a directory that was there keeps its mode, and one that the restore made is private until the end', async () => {
  await mkdir(join(to, 'd'), { recursive: true, mode: 0o700 })
  const server = new RestoreServer({ ...TREE, e: { kind: 'directory', mode: 0o755 }, 'e/f': fileOf('f') })
  const modes: number[] = []
  server.onRead = (path, content) => {
    if (path === 'e/f') modes.push(statSync(join(to, 'e')).mode & 0o777)
    return content
  }
  await restore(server)
  expect(modes).toEqual([0o700])
  expect((await stat(join(to, 'e'))).mode & 0o777).toBe(0o755)
  expect((await stat(join(to, 'd'))).mode & 0o777).toBe(0o700)
})

test('names of one file become hard links only if their content is the same', async () => {
  const shared = { fileId: 77n } as Partial<Stored>
  const server = new RestoreServer({
    d: { kind: 'directory' },
    e: { kind: 'directory' },
    'd/one': fileOf('same', shared),
    'd/two': fileOf('same', shared),
    'd/wrong': fileOf('diff', shared),
    'e/three': fileOf('same', shared),
  })
  const run = await restore(server)
  expect(problemsOf(run)).toEqual([])
  const inodeOf = async (path: string): Promise<number> => (await stat(join(to, path))).ino
  expect(await inodeOf('d/two')).toBe(await inodeOf('d/one'))
  expect(await inodeOf('d/wrong')).not.toBe(await inodeOf('d/one'))
  expect(await readFile(join(to, 'd/wrong'), 'utf8')).toBe('diff')
  // Another folder: its names may be on another disk.
  expect(await inodeOf('e/three')).not.toBe(await inodeOf('d/one'))
  expect(run.state.counts).toMatchObject({ files: 4, linked: 1 })
})

test('two restores do not write to one directory at the same time, and a killed one leaves nothing to wait for', async () => {
  const first = new RestoreTarget({ root: to, overwrite: false })
  await writeFile(join(to, '.filesync/lock'), '1 elsewhere')
  expect(await refusal(restore(new RestoreServer(TREE)))).toBe('STATE_IN_USE')
  first.leaveWork()
  await writeFile(join(to, '.filesync/lock'), `${String(2 ** 22 + 1)} ${hostname()}`)
  expect(problemsOf(await restore(new RestoreServer(TREE)))).toEqual([])
})

test('a .filesync in the target that no restore made is never removed or written to', async () => {
  await mkdir(join(to, '.filesync/keys'), { recursive: true })
  await writeFile(join(to, '.filesync/keys/own'), 'precious')
  for (const overwrite of [false, true]) {
    const refused = restore(new RestoreServer(TREE), { overwrite })
    await expect(refused).rejects.toThrow('"keys", which no restore made')
    expect(await refusal(refused)).toBe('TARGET_UNAVAILABLE')
  }
  expect(await readdir(to)).toEqual(['.filesync'])
  expect(await readFile(join(to, '.filesync/keys/own'), 'utf8')).toBe('precious')
  await rm(join(to, '.filesync'), { recursive: true })
  // What comes into it while the restore runs stays too.
  const server = new RestoreServer(TREE)
  server.onRead = (_path, content) => {
    writeFileSync(join(to, '.filesync/note'), 'mine')
    return content
  }
  expect(problemsOf(await restore(server))).toEqual([])
  expect(await readdir(join(to, '.filesync'))).toEqual(['note'])
})

test('nothing is restored into the archive of a server, at any depth or through a link', async () => {
  const archive = join(root, 'archive')
  await mkdir(join(archive, '.filesync'), { recursive: true })
  await writeFile(join(archive, '.filesync/id'), 'id')
  await mkdir(join(archive, 'work'))
  await symlink(join(archive, 'work'), join(root, 'link'))
  for (const into of [archive, join(archive, 'work'), join(archive, 'fresh/deep'), join(root, 'link/fresh')]) {
    expect(await refusal(restore(new RestoreServer(TREE), { into }))).toBe('USAGE')
  }
  expect((await readdir(archive, { recursive: true })).sort()).toEqual(['.filesync', '.filesync/id', 'work'])
})

test('names that end with a dot are left out if the disk would store them without it, and nothing takes their place', async () => {
  const server = new RestoreServer({ 'd': { kind: 'directory' }, 'd/a': fileOf('a'), 'd/a.': fileOf('b'), 'e.': { kind: 'directory' } })
  const run = await restore(server, { prepare: target => Object.defineProperty(target, 'cutsDots', { value: true }) })
  expect(problemsOf(run)).toEqual(['WRITE_FAILED d/a.', 'WRITE_FAILED e.'])
  expect((await readdir(to, { recursive: true })).sort()).toEqual(['d', 'd/a'])
  expect(await readFile(join(to, 'd/a'), 'utf8')).toBe('a')
})

// Mounting needs root, and most containers do not allow it.
test.skipIf(!mayMount())('a disk without links, and with the names of Windows, gets everything that it can hold', async context => {
  await mkdir(to)
  const image = join(root, 'image')
  const script = 'truncate -s 30M "$1" && mkfs.exfat "$1" && disk=$(losetup -f --show "$1") && mount.exfat-fuse "$disk" "$2"'
  if (spawnSync('sh', ['-c', script, 'sh', image, to]).status !== 0) context.skip('exFAT cannot be mounted here.')
  try {
    const shared = { fileId: 7n }
    const run = await restore(new RestoreServer({
      'd': { kind: 'directory' },
      'd/B': fileOf('B'),
      'd/a': fileOf('a'),
      'd/b': fileOf('b'),
      'd/b?': fileOf('?'),
      'd/link': { kind: 'symlink', target: 'a' },
      'd/one': fileOf('same', shared),
      'd/two': fileOf('same', shared),
    }))
    expect(problemsOf(run)).toEqual(['WRITE_FAILED d/b', 'WRITE_FAILED d/b?', 'WRITE_FAILED d/link'])
    expect((await readdir(to, { recursive: true })).sort()).toEqual(['d', 'd/B', 'd/a', 'd/one', 'd/two'])
    for (const [name, content] of [['a', 'a'], ['B', 'B'], ['one', 'same'], ['two', 'same']] as const) {
      expect(await readFile(join(to, 'd', name), 'utf8')).toBe(content)
    }
  } finally {
    const disk = spawnSync('losetup', ['--noheadings', '--output', 'NAME', '--associated', image], { encoding: 'utf8' }).stdout.trim()
    spawnSync('umount', ['-l', to])
    spawnSync('losetup', ['-d', disk])
  }
})

test.skipIf(!mayMount())('a further name of a file that cannot be replaced is a problem, and the others are restored', async () => {
  await mkdir(join(to, 'd'), { recursive: true })
  const held = join(to, 'd/two')
  await writeFile(held, 'held by the system')
  // A file that something is mounted on can neither be removed nor be renamed over.
  spawnSync('mount', ['--bind', held, held])
  try {
    const shared = { fileId: 7n }
    const run = await restore(new RestoreServer({
      'd': { kind: 'directory' },
      'd/one': fileOf('same', shared),
      'd/two': fileOf('same', shared),
      'd/zoo': fileOf('same', shared),
    }), { overwrite: true })
    expect(problemsOf(run)).toEqual(['WRITE_FAILED d/two'])
    expect(await readFile(held, 'utf8')).toBe('held by the system')
    expect((await stat(join(to, 'd/zoo'))).ino).toBe((await stat(join(to, 'd/one'))).ino)
  } finally {
    spawnSync('umount', ['-l', held])
  }
})

test.skipIf(!mayMount())('a full disk ends the restore with what to do, and it continues when there is room', async () => {
  await mkdir(to)
  const size = (kib: number): string[] => ['-o', `size=${String(kib)}k`]
  spawnSync('mount', ['-t', 'tmpfs', ...size(400), 'tmpfs', to])
  try {
    const into = join(to, 'into')
    const full = restore(new RestoreServer(TREE), { into })
    await expect(full).rejects.toThrow('There is no room left')
    expect(await refusal(full)).toBe('TARGET_UNAVAILABLE')
    expect(await readFile(join(into, 'd/a'), 'utf8')).toBe('a')
    expect(await readdir(join(into, 'd'))).not.toContain('large')
    spawnSync('mount', ['-o', 'remount,size=4m', to])
    const run = await restore(new RestoreServer(TREE), { into })
    expect(problemsOf(run)).toEqual([])
    expect(await readFile(join(into, 'd/large'))).toEqual(Buffer.from(large))
  } finally {
    spawnSync('umount', ['-l', to])
  }
})

test('an error that another connection cannot mend ends the restore, and what arrived stays', async () => {
  const server = new RestoreServer(TREE)
  const stop = new AbortController()
  server.onRead = (path, content) => {
    if (path === 'd/secret/key') stop.abort()
    return content
  }
  expect(await refusal(restore(server, { signal: stop.signal }))).toBe('ABORTED')
  expect(problemsOf(await restore(new RestoreServer(TREE)))).toEqual([])
})
