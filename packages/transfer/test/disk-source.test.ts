import { execFileSync } from 'node:child_process'
import {
  appendFileSync, chmodSync, closeSync, existsSync, linkSync, lstatSync, mkdirSync, mkdtempSync, openSync, readdirSync, readFileSync,
  readlinkSync, renameSync, rmSync, symlinkSync, truncateSync, unlinkSync, utimesSync, writeFileSync, writeSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { joinPath, LIMITS, readPack, ROOT_PATH, splitPath, writeFileId } from '@filesync/protocol'
import type { FileEntry, Name, RelativePath } from '@filesync/protocol'
import { createHasher, hashBytes } from '@filesync/protocol/node'
import { randomBytes } from '@filesync/protocol/testing'
import { afterEach, beforeEach, expect, test } from 'vitest'
import type { FileSource, StreamRequest, StreamStep, WantedFile } from '../src/index.ts'
import { plainCutFinder } from '../src/gear.ts'
import { openFileSource } from '../src/node/index.ts'
import { openWanted } from '../src/node/open-file.ts'
import { CheckedDirectories } from '../src/node/source-directories.ts'
import { SignatureBuilder } from '../src/signature.ts'
import { buildPack } from '../src/source-reader.ts'
import type { OpenFile, SourceReader } from '../src/source-reader.ts'
import { fileIdOf } from './support/file-id-of.ts'

// The year 2262.
const LATEST_TIME_NS = 2n ** 63n - 1n
const CHANGED: StreamStep = { kind: 'FAULT', fault: { code: 'CHANGED_DURING_READ' } }

let root: string
let source: FileSource

beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), 'filesync-source-'))
  source = openFileSource({ root, workers: 2 })
})

afterEach(async () => {
  await source.close()
  rmSync(root, { recursive: true, force: true })
})

function put (path: string, bytes: Uint8Array | string): WantedFile {
  mkdirSync(join(root, path, '..'), { recursive: true })
  writeFileSync(join(root, path), bytes)
  return want(path)
}

/** The file as a scan lists it now. */
function want (path: string): WantedFile {
  const stats = lstatSync(join(root, path), { bigint: true })
  const { directory, name } = splitPath(path as RelativePath)
  const sizeBytes = Number(stats.size)
  const entry: FileEntry = { kind: 'file', name, sizeBytes, mtimeNs: stats.mtimeNs, mode: 0o644, fileId: fileIdOf(stats) }
  return { task: path.length, directory, entry }
}

/** The same file, listed without a file id. */
function withoutFileId (file: WantedFile): WantedFile {
  return { ...file, entry: { ...file.entry, fileId: 0n } }
}

/** Writes a file with an mtime that is the same for all. */
function putDated (path: string, bytes: Uint8Array | string): WantedFile {
  put(path, bytes)
  utimesSync(join(root, path), 1_700_000_000, 1_700_000_000)
  return want(path)
}

async function readAsPack (...files: readonly WantedFile[]): Promise<{ contents: Record<string, string>, faults: string[] }> {
  const { frame, faults } = await source.readPack(files, false)
  const contents: Record<string, string> = {}
  if (frame !== undefined) {
    for (const { task, digest, content } of readPack(frame.subarray(8))) {
      const file = files.find(candidate => candidate.task === task) as WantedFile
      contents[joinPath(file.directory, file.entry.name)] = Buffer.from(content).toString()
      expect(Buffer.compare(digest, hashBytes(content))).toBe(0)
    }
  }
  return { contents, faults: faults.map(({ task, code }) => `${String(task)} ${code}`) }
}

async function readAsStream (request: Omit<StreamRequest, 'pieceBytes'>): Promise<{ last: StreamStep, bytes: Uint8Array }> {
  const stream = source.openStream({ pieceBytes: 65_536, ...request })
  const pieces: Uint8Array[] = []
  let last = await stream.next(false)
  for (; last.kind === 'FRAME' || last.kind === 'READ'; last = await stream.next(false)) {
    if (last.kind === 'FRAME') pieces.push(last.frame.subarray(12))
  }
  stream.close()
  return { last, bytes: Buffer.concat(pieces) }
}

test('small files are read into one pack', async () => {
  const files = [put('a', 'one'), put('bb', ''), put('deep/er/file', 'three')]
  expect(await readAsPack(...files)).toEqual({ contents: { a: 'one', bb: '', 'deep/er/file': 'three' }, faults: [] })
})

test('a large file is read in pieces, and its digest covers all of it', async () => {
  const bytes = randomBytes(1_000_000, 61)
  const file = put('large', bytes)
  const whole = await readAsStream({ file, content: 'DATA', offset: 0 })
  expect(Buffer.compare(whole.bytes, bytes)).toBe(0)
  const rest = await readAsStream({ file, content: 'DATA', offset: 900_000 })
  expect(Buffer.compare(rest.bytes, bytes.subarray(900_000))).toBe(0)
  const none = await readAsStream({ file, content: 'NONE', offset: 0 })
  expect(none.bytes.length).toBe(0)
  for (const { last } of [whole, rest, none]) {
    expect(last.kind === 'END' && Buffer.from(last.digest).equals(hashBytes(bytes))).toBe(true)
  }
})

test('a file that is not as it was listed is not sent', async () => {
  const names = ['gone', 'grown', 'shorter', 'touched', 'swapped', 'as-listed'] as const
  const files = names.map(name => put(name, 'content'))
  unlinkSync(join(root, 'gone'))
  appendFileSync(join(root, 'grown'), '!')
  truncateSync(join(root, 'shorter'), 3)
  utimesSync(join(root, 'touched'), 1, 1)
  unlinkSync(join(root, 'swapped'))
  mkdirSync(join(root, 'swapped'))
  const { contents, faults } = await readAsPack(...files)
  expect(contents).toEqual({ 'as-listed': 'content' })
  const changed = ['5 CHANGED_DURING_READ', '7 CHANGED_DURING_READ', '7 CHANGED_DURING_READ', '7 CHANGED_DURING_READ']
  expect(faults).toEqual(['4 VANISHED', ...changed])
  for (const file of files.slice(0, 5)) {
    expect((await readAsStream({ file, content: 'DATA', offset: 0 })).last.kind).toBe('FAULT')
  }
})

test('another file with the same size and mtime is not sent as the listed one', async () => {
  const listed = putDated('report', 'AAAA')
  putDated('new', 'BBBB')
  renameSync(join(root, 'report'), join(root, 'report.1'))
  renameSync(join(root, 'new'), join(root, 'report'))
  expect(want('report').entry).toMatchObject({ sizeBytes: listed.entry.sizeBytes, mtimeNs: listed.entry.mtimeNs })
  expect(await readAsPack(listed)).toEqual({ contents: {}, faults: ['6 CHANGED_DURING_READ'] })
  for (const content of ['DATA', 'NONE'] as const) {
    expect((await readAsStream({ file: listed, content, offset: 0 })).last).toEqual(CHANGED)
  }
  const signature = new SignatureBuilder({ averageBits: 16, cuts: plainCutFinder(16), hash: hashBytes }).finish()
  expect((await readAsStream({ file: listed, content: 'DELTA', offset: 0, signature })).last).toEqual(CHANGED)
  expect((await readAsPack(want('report'), want('report.1'))).contents).toEqual({ report: 'BBBB', 'report.1': 'AAAA' })
})

test('directories that swapped names are read where they were listed', async () => {
  putDated('daily.0/file', 'AAAA')
  putDated('new/file', 'BBBB')
  const { contents } = await readAsPack(want('daily.0/file'), want('new/file'))
  expect(contents).toEqual({ 'daily.0/file': 'AAAA', 'new/file': 'BBBB' })
  renameSync(join(root, 'daily.0'), join(root, 'daily.1'))
  renameSync(join(root, 'new'), join(root, 'daily.0'))
  const files = [want('daily.0/file'), { ...want('daily.1/file'), task: 2 }]
  expect(await readAsPack(...files)).toEqual({ contents: { 'daily.0/file': 'BBBB', 'daily.1/file': 'AAAA' }, faults: [] })
})

test('directories that were open before a scan are not used after it, for files without a file id', async () => {
  await readAsPack(withoutFileId(putDated('daily.0/file', 'AAAA')), withoutFileId(putDated('new/file', 'BBBB')))
  renameSync(join(root, 'daily.0'), join(root, 'daily.1'))
  renameSync(join(root, 'new'), join(root, 'daily.0'))
  source.refresh()
  expect((await readAsPack(withoutFileId(want('daily.0/file')))).contents).toEqual({ 'daily.0/file': 'BBBB' })
})

test('a file whose mtime a listing cannot represent is sent, listed with the nearest time', async () => {
  const file = put('from-2400', 'content')
  utimesSync(join(root, 'from-2400'), 13_569_465_600, 13_569_465_600)
  const { mtimeNs } = want('from-2400').entry
  const listed = { ...file, entry: { ...file.entry, mtimeNs: mtimeNs > LATEST_TIME_NS ? LATEST_TIME_NS : mtimeNs } }
  expect(await readAsPack(listed)).toEqual({ contents: { 'from-2400': 'content' }, faults: [] })
  expect((await readAsStream({ file: listed, content: 'DATA', offset: 0 })).last.kind).toBe('END')
})

// Files in procfs report a size of 0, and those in sysfs the size of a page, whatever their content is.
const unreliable = ['/proc/sys/kernel/ostype', '/sys/kernel/mm/transparent_hugepage/enabled'].filter(path => existsSync(path))

test.skipIf(unreliable.length === 0).each(unreliable)('%s, whose size is not that of its content, is not sent but reported', async path => {
  expect(lstatSync(path).size).not.toBe(readFileSync(path).length)
  const { directory, name } = splitPath(path.slice(1) as RelativePath)
  const elsewhere = openFileSource({ root: join('/', directory), workers: 1 })
  try {
    const { size, mtimeNs } = lstatSync(path, { bigint: true })
    const entry: FileEntry = { kind: 'file', name, sizeBytes: Number(size), mtimeNs, mode: 0o644, fileId: 0n }
    const file: WantedFile = { task: 1, directory: ROOT_PATH, entry }
    const faults = [{ task: 1, code: 'SIZE_UNRELIABLE' }]
    expect(await elsewhere.readPack([file], false)).toMatchObject({ frame: undefined, files: 0, faults })
    for (const content of ['DATA', 'NONE'] as const) {
      const stream = elsewhere.openStream({ file, content, offset: 0, pieceBytes: 65_536 })
      expect(await stream.next(false)).toMatchObject({ kind: 'FAULT', fault: { code: 'SIZE_UNRELIABLE' } })
      stream.close()
    }
  } finally {
    await elsewhere.close()
  }
})

test('the holes of a file on disk are reported, and its data is read', async () => {
  const path = join(root, 'sparse')
  const fd = openSync(path, 'w')
  for (const at of [0, 30_000_000]) writeSync(fd, randomBytes(4096, at + 1), 0, 4096, at)
  closeSync(fd)
  truncateSync(path, 60_000_000)
  const stream = source.openStream({ file: want('sparse'), content: 'DATA', offset: 0, pieceBytes: 1 << 20, holes: true })
  let whole = Buffer.alloc(0)
  let sentBytes = 0
  let step = await stream.next(false)
  for (; step.kind === 'FRAME' || step.kind === 'HOLE'; step = await stream.next(false)) {
    if (step.kind === 'FRAME') sentBytes += step.fileBytes
    else expect(step.fileBytes).toBeLessThanOrEqual(LIMITS.holeBytes)
    whole = Buffer.concat([whole, step.kind === 'HOLE' ? Buffer.alloc(step.fileBytes) : step.frame.subarray(12)])
  }
  stream.close()
  expect(Buffer.compare(whole, readFileSync(path))).toBe(0)
  expect(step.kind === 'END' && Buffer.from(step.digest).equals(hashBytes(whole))).toBe(true)
  expect(sentBytes).toBeLessThan(200_000)
})

test('the end of a file is checked without an extra call, except for an empty file', () => {
  const reads: number[] = []
  const opened = (content: number): OpenFile => ({
    allocatedBytes: content,
    read (into, position, enoughBytes = into.length) {
      reads.push(into.length)
      expect(Math.min(content - position, into.length)).toBe(enoughBytes)
      return enoughBytes
    },
    check: () => undefined,
    close: () => { /* nothing is open */ },
  })
  const reader: SourceReader = {
    open: ({ entry }) => opened(entry.sizeBytes), allocate: sizeBytes => new Uint8Array(sizeBytes),
    hash: hashBytes, createHasher, createCutFinder: plainCutFinder,
  }
  const file = (task: number, sizeBytes: number): WantedFile => (
    { task, directory: ROOT_PATH, entry: { kind: 'file', name: 'a' as Name, sizeBytes, mtimeNs: 0n, mode: 0o644, fileId: 0n } }
  )
  expect(buildPack([file(0, 7), file(1, 0), file(2, 9)], reader, false)).toMatchObject({ files: 3, bytes: 16, faults: [] })
  expect(reads).toEqual([8, 1, 10])
})

test('no symbolic link is followed, neither as the file nor on the way to it', async () => {
  const outside = mkdtempSync(join(tmpdir(), 'filesync-outside-'))
  writeFileSync(join(outside, 'secret'), 'secret!')
  const files = [put('secret', 'listed!'), put('dir/secret', 'listed!')]
  const { mtimeNs } = want('secret').entry
  unlinkSync(join(root, 'secret'))
  symlinkSync(join(outside, 'secret'), join(root, 'secret'))
  rmSync(join(root, 'dir'), { recursive: true })
  symlinkSync(outside, join(root, 'dir'))
  // Size and mtime are as listed, so that only the link is a reason not to read it.
  const seconds = `${String(mtimeNs / 1_000_000_000n)}.${String(mtimeNs % 1_000_000_000n).padStart(9, '0')}`
  execFileSync('touch', ['-d', `@${seconds}`, join(outside, 'secret')])
  const asListed = files.map(file => ({ ...file, entry: { ...file.entry, mtimeNs } }))
  const { contents, faults } = await readAsPack(...asListed)
  expect(contents).toEqual({})
  expect(faults).toEqual(['6 CHANGED_DURING_READ', '10 CHANGED_DURING_READ'])
  rmSync(outside, { recursive: true })
})

test.skipIf(process.platform === 'win32')('a named pipe does not block', async () => {
  const file = put('pipe', '')
  unlinkSync(join(root, 'pipe'))
  execFileSync('sh', ['-c', 'mkfifo "$0"', join(root, 'pipe')])
  expect((await readAsPack(file)).faults).toEqual(['4 CHANGED_DURING_READ'])
})

test.skipIf(process.getuid?.() === 0)('a file without read permission is a problem that gives the reason', async () => {
  const file = put('locked', 'content')
  chmodSync(join(root, 'locked'), 0)
  const { faults } = await source.readPack([file], false)
  expect(faults).toMatchObject([{ code: 'UNREADABLE', detail: 'EACCES' }])
})

test('a file that changes between two reads is not completed', async () => {
  const changes: (() => void)[] = [
    () => { appendFileSync(join(root, 'large'), 'more') },
    () => { truncateSync(join(root, 'large'), 100_000) },
    () => { writeFileSync(join(root, 'large'), randomBytes(300_000, 63)) },
    () => {
      const { atime, mtime } = lstatSync(join(root, 'large'))
      writeFileSync(join(root, 'large'), randomBytes(300_000, 64))
      utimesSync(join(root, 'large'), atime, mtime)
    },
  ]
  for (const change of changes) {
    put('large', randomBytes(300_000, 62))
    // A whole second, which utimes can set again exactly.
    utimesSync(join(root, 'large'), 1_700_000_000, 1_700_000_000)
    const stream = source.openStream({ file: want('large'), content: 'DATA', offset: 0, pieceBytes: 65_536 })
    expect((await stream.next(false)).kind).toBe('FRAME')
    change()
    let step = await stream.next(false)
    while (step.kind === 'FRAME') step = await stream.next(false)
    expect(step).toMatchObject({ kind: 'FAULT', fault: { code: 'CHANGED_DURING_READ' } })
    stream.close()
  }
})

test('a growing file is read up to its listed size, unless something else happened to it', async () => {
  const whole = randomBytes(300_000, 71)
  const cases: [string, () => void, boolean][] = [
    ['grew', () => { appendFileSync(join(root, 'log'), 'more') }, true],
    ['stayed', () => { /* nothing */ }, true],
    ['was cut', () => { truncateSync(join(root, 'log'), 299_999) }, false],
    ['was replaced', () => {
      renameSync(join(root, 'log'), join(root, 'log.1'))
      writeFileSync(join(root, 'log'), randomBytes(300_001, 72))
    }, false],
  ]
  for (const [what, happens, isRead] of cases) {
    const { task, directory, entry } = put('log', whole)
    const { ino, birthtimeNs } = lstatSync(join(root, 'log'), { bigint: true })
    const numbers = BigUint64Array.of(ino, birthtimeNs)
    const fileId = new BigUint64Array(1)
    writeFileId(new Uint32Array(numbers.buffer), new Uint32Array(fileId.buffer))
    const file: WantedFile = { task, directory, entry: { ...entry, fileId: fileId[0] ?? 0n }, isGrowing: true }
    happens()
    const { last, bytes } = await readAsStream({ file, content: 'DATA', offset: 0 })
    expect(last.kind === 'END' && Buffer.from(last.digest).equals(hashBytes(whole)), what).toBe(isRead)
    if (isRead) expect(Buffer.compare(bytes, whole), what).toBe(0)
    const pack = await source.readPack([file], false)
    expect(pack.files, what).toBe(isRead ? 1 : 0)
    rmSync(join(root, 'log'))
  }
})

test('a growing file whose listed part changes while it is read is not stored mixed', async () => {
  const file: WantedFile = { ...put('log', randomBytes(300_000, 73)), isGrowing: true }
  const stream = source.openStream({ file, content: 'DATA', offset: 0, pieceBytes: 65_536 })
  expect((await stream.next(false)).kind).toBe('FRAME')
  appendFileSync(join(root, 'log'), 'more')
  const fd = openSync(join(root, 'log'), 'r+')
  writeSync(fd, 'changed', 0)
  closeSync(fd)
  let step = await stream.next(false)
  while (step.kind === 'FRAME') step = await stream.next(false)
  expect(step).toMatchObject({ kind: 'FAULT', fault: { code: 'CHANGED_DURING_READ' } })
  stream.close()
})

test('a directory that was replaced is found again', async () => {
  await readAsPack(put('dir/file', 'old'))
  renameSync(join(root, 'dir'), join(root, 'away'))
  unlinkSync(join(root, 'away/file'))
  const file = put('dir/file', 'new one')
  expect((await readAsPack(file)).contents).toEqual({ 'dir/file': 'new one' })
})

test('reading many directories keeps few handles open, and closing keeps none', async () => {
  const files = Array.from({ length: 700 }, (_, i) => ({ ...put(`d${String(i)}/file`, String(i)), task: i }))
  const { contents } = await readAsPack(...files)
  expect(Object.keys(contents).length).toBe(700)
  expect(handlesBelow(root)).toBeLessThanOrEqual(2 * 257)
  await source.close()
  expect(handlesBelow(root)).toBe(0)
})

test('without /proc, each directory is checked before it is used', () => {
  put('dir/file', 'content')
  const directories = new CheckedDirectories(new Map([['', root]]))
  const opened = openWanted(want('dir/file'), directories)
  expect('read' in opened && opened.read(new Uint8Array(7), 0)).toBe(7)
  if ('close' in opened) opened.close()
  const listed = want('dir/file')
  renameSync(join(root, 'dir'), join(root, 'elsewhere'))
  symlinkSync('elsewhere', join(root, 'dir'))
  expect(openWanted(listed, directories)).toEqual({ code: 'CHANGED_DURING_READ' })
  unlinkSync(join(root, 'dir'))
  expect(openWanted(listed, directories)).toEqual({ code: 'VANISHED' })
})

test('a hard link is a file like any other', async () => {
  put('file', 'content')
  linkSync(join(root, 'file'), join(root, 'other'))
  expect((await readAsPack(want('other'))).contents).toEqual({ other: 'content' })
})

test('a directory that does not exist is an error', () => {
  expect(() => openFileSource({ root: join(root, 'nowhere') })).toThrow(expect.objectContaining({ code: 'SOURCE_UNAVAILABLE' }))
})

test('a closed source rejects pending and later reads', async () => {
  const file = put('large', randomBytes(500_000, 65))
  const stream = source.openStream({ file, content: 'DATA', offset: 0, pieceBytes: 65_536 })
  const pending = stream.next(false)
  await Promise.all([expect(pending).rejects.toMatchObject({ code: 'ABORTED' }), source.close()])
  await expect(stream.next(false)).rejects.toMatchObject({ code: 'ABORTED' })
  await expect(source.readPack([file], false)).rejects.toMatchObject({ code: 'ABORTED' })
  stream.close()
})

function handlesBelow (directory: string): number {
  if (process.platform !== 'linux') return 0
  return readdirSync('/proc/self/fd').filter(fd => {
    try {
      return readlinkSync(`/proc/self/fd/${fd}`).startsWith(directory)
    } catch {
      return false
    }
  }).length
}
