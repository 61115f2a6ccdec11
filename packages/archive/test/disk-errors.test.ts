import { mkdirSync, readdirSync, readFileSync, renameSync, rmdirSync, rmSync, statfsSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { encodeListing, LIMITS, PACK_RECORD_BYTES, ROOT_PATH } from '@filesync/protocol'
import type { Name, Problem, StageOutcome } from '@filesync/protocol'
import { hashBytes } from '@filesync/protocol/node'
import { FACT_BYTES } from '../src/store/facts.ts'
import type { IndexWrite } from '../src/store/archive-index.ts'
import type { PackRequest } from '../src/store/content-store.ts'
import { openLmdbIndex, openLocalStore } from '../src/node/index.ts'
import { archiveError, storeError } from '../src/node/disk-errors.ts'
import { describeFolder, describeSource, newArchive, newFolder } from './support/on-disk.ts'
import { mayMount, run, smallDisk } from './support/small-disk.ts'
import { compareAll, makePack, push } from './support/push.ts'
import { SourceTree } from './support/source-tree.ts'

/** Fills a disk but for so many bytes, and returns what to remove to have the room again. */
function fill (disk: string, leftBytes: number): string {
  const { bavail, bsize } = statfsSync(disk)
  const filler = join(disk, 'filler')
  writeFileSync(filler, new Uint8Array(Math.max(0, bavail * bsize - leftBytes)))
  return filler
}

/** The codes of problems, and how often each occurs. */
function codesOf (problems: readonly Problem[]): Record<string, number> {
  const counts: Record<string, number> = {}
  for (const { code } of problems) counts[code] = (counts[code] ?? 0) + 1
  return counts
}

test.runIf(mayMount)('on a small disk, files that fit are stored, others are problems, and all are stored later', async () => {
  const disk = smallDisk(12)
  const root = join(disk, 'archive')
  mkdirSync(root)
  const area = await (await newArchive({ root })).area('laptop')
  const source = new SourceTree().write('old', 'stays whole')
  await push(area, source)
  for (let i = 0; i < 100; i++) source.write(`f${String(i)}`, new Uint8Array(200_000).fill(i))
  source.write('old', 'is replaced').write('video', new Uint8Array(30_000_000))
  const pushed = await push(area, source)
  expect(codesOf(pushed.problems)).toEqual({ NO_ROOM: pushed.problemCount })
  expect(pushed.files + pushed.problemCount).toBe(102)
  // The disk has room for more than fifty of them, and less than sixty.
  expect(pushed.files).toBeGreaterThan(40)
  expect(pushed.asked).toContain('old')
  expect(pushed.asked).not.toContain('video')
  expect((await area.verify()).problems).toEqual([])
  run('mount', ['-o', 'remount,size=100m', disk])
  expect(await push(area, source)).toMatchObject({ files: pushed.problemCount, problems: [] })
  expect(describeFolder(join(root, 'laptop'))).toEqual(describeSource(source))
})

test.runIf(mayMount)('files that fill the disk while they arrive fail and leave no remains, and the others are stored', async () => {
  const disk = smallDisk(16)
  const root = join(disk, 'archive')
  mkdirSync(root)
  const area = await (await newArchive({ root })).area('laptop')
  const source = new SourceTree().write('kept', 'stays whole')
  await push(area, source)
  for (let i = 0; i < 10; i++) source.write(`f${String(i)}`, new Uint8Array(200_000).fill(i))
  source.write('a large one', new Uint8Array(3_000_000).fill(1)).write('kept', 'is replaced').write('z', 'small')
  const sync = await area.beginSync()
  const { answers } = compareAll(sync, source.snapshot())
  const { tasks } = sync.plan({ complete: true })
  // Something else fills the disk meanwhile, and leaves room for some of them.
  const filler = fill(disk, 1_200_000)
  const outcomes: StageOutcome[] = []
  for (const [number, [listing, index]] of [...tasks].entries()) {
    const { entry } = answers.entry(listing, index)
    const content = source.files().get(entry.name) ?? new Uint8Array(0)
    if (content.length <= LIMITS.packedFileBytes) {
      outcomes.push(...await sync.stagePack(makePack([{ task: number, content }])))
      continue
    }
    const staged = await sync.beginFile(number, 0)
    for (let at = 0; at < content.length; at += 100_000) await staged.write(content.slice(at, at + 100_000))
    outcomes.push(await staged.finish(hashBytes(content)))
    expect(readdirSync(join(root, '.filesync/partial/laptop'))).toEqual([])
  }
  const outcome = await sync.finish()
  expect(codesOf(outcome.problems)).toEqual({ NO_ROOM: outcome.problemCount })
  expect(outcome.problems).toContainEqual(expect.objectContaining({
    path: 'a large one',
    message: expect.stringContaining('became full while it was written (ENOSPC)') as unknown,
  }))
  expect(outcome.problems).toEqual(outcomes.flatMap(({ problem }) => problem ?? []))
  // Two of them or more fit into what was left, and what is smaller in any case.
  expect(outcome.files).toBeGreaterThanOrEqual(4)
  expect(outcome.files + outcome.problemCount).toBe(13)
  expect((await area.verify()).problems).toEqual([])
  for (const path of ['kept', 'z']) expect(readFileSync(join(root, 'laptop', path))).toEqual(Buffer.from(source.files().get(path) ?? ''))

  rmSync(filler)
  expect(await push(area, source)).toMatchObject({ files: outcome.problemCount, problems: [] })
  expect(describeFolder(join(root, 'laptop'))).toEqual(describeSource(source))
  expect(readdirSync(join(root, '.filesync/staging'))).toEqual([])
})

test('an archive that was moved away fails syncs with advice, and continues when it is back', async () => {
  const root = join(newFolder(), 'archive')
  const area = await (await newArchive({ root })).area('laptop')
  const source = new SourceTree().write('a', 'a')
  await push(area, source)
  renameSync(root, `${root} elsewhere`)
  source.write('b', 'b')
  await expect(push(area, source)).rejects.toMatchObject({
    code: 'ARCHIVE_UNAVAILABLE',
    message: expect.stringMatching(/no longer at.*ENOENT/u) as unknown,
  })
  renameSync(`${root} elsewhere`, root)
  expect(await push(area, source)).toMatchObject({ asked: ['b'], problems: [] })
})

const LATE = { timeout: 10_000 }
test.runIf(mayMount)('an index on a full disk rejects writes with ARCHIVE_FULL, can be read and closed, and recovers', LATE, async () => {
  const disk = smallDisk(2)
  const put = (area: string, sizeBytes: number): IndexWrite => ({
    put: { area, directory: ROOT_PATH },
    stored: { listing: new Uint8Array(sizeBytes), facts: new Uint8Array(0) },
  })
  const index = openLmdbIndex(disk)
  await index.write([put('laptop', 10)])
  const filler = fill(disk, 20_000)
  const full = { code: 'ARCHIVE_FULL', message: expect.stringContaining('ENOSPC') as unknown }
  await Promise.all([
    expect(index.write([put('laptop', 500_000)])).rejects.toMatchObject(full),
    expect(index.write([put('desktop', 500_000)])).rejects.toMatchObject(full),
  ])
  await expect(index.write([put('laptop', 500_000)])).rejects.toMatchObject(full)
  expect(index.listing({ area: 'laptop', directory: ROOT_PATH })).toHaveLength(10)
  rmSync(filler)
  await index.write([put('laptop', 500_000)])
  fill(disk, 0)
  await expect(index.write([put('desktop', 500_000)])).rejects.toMatchObject(full)
  await index.close()
  const again = openLmdbIndex(disk)
  expect(again.listing({ area: 'laptop', directory: ROOT_PATH })).toHaveLength(500_000)
  await again.close()
})

test.runIf(mayMount)('an archive is created on a disk only if there is room for its index, however little is missing', async () => {
  const disk = smallDisk(2)
  const root = join(disk, 'archive')
  mkdirSync(root)
  for (let leftBytes = 0; leftBytes <= 65_536; leftBytes += 4096) {
    const filler = fill(disk, leftBytes)
    await expect(newArchive({ root })).rejects.toMatchObject({ code: 'ARCHIVE_FULL' })
    rmSync(filler)
    rmSync(join(root, '.filesync'), { recursive: true })
  }
  await (await newArchive({ root })).area('laptop')
})

test.runIf(mayMount)('fails with ARCHIVE_UNAVAILABLE if the disk becomes read-only', async () => {
  const disk = smallDisk(32)
  const store = await openLocalStore({ root: disk, traits: { foldsNames: false, windowsNames: false } })
  await store.openArea('laptop')
  const content = new TextEncoder().encode('x')
  const pack = (): PackRequest => {
    const bytes = makePack([{ task: 0, content }])
    const entries = encodeListing([{ kind: 'file', name: 'a' as Name, sizeBytes: 1, mtimeNs: 0n, mode: 0o644, fileId: 1n }])
    const section = { directory: ROOT_PATH, entries, staged: Uint32Array.of(0), facts: new Uint8Array(FACT_BYTES) }
    return { staging: 's', pack: bytes, sections: [{ section, offsets: Uint32Array.of(PACK_RECORD_BYTES), lengths: Uint32Array.of(1) }] }
  }
  expect(run('mount', ['-o', 'remount,ro', disk]).status).toBe(0)
  await expect(store.stagePack(pack())).rejects.toMatchObject({ code: 'ARCHIVE_UNAVAILABLE' })
  await expect(newArchive({ root: disk })).rejects.toMatchObject({ code: 'ARCHIVE_UNAVAILABLE' })
  run('mount', ['-o', 'remount,rw', disk])
  expect(await store.stagePack(pack())).toEqual([])
  await store.close()
})

const ERRORS = [
  ['ENOSPC', 'ARCHIVE_FULL'],
  ['EDQUOT', 'ARCHIVE_FULL'],
  ['EIO', 'ARCHIVE_UNAVAILABLE'],
  ['EMFILE', 'ARCHIVE_UNAVAILABLE'],
  ['ENFILE', 'ARCHIVE_UNAVAILABLE'],
  ['EROFS', 'ARCHIVE_UNAVAILABLE'],
] as const

test.each(ERRORS)('the system error %s ends a sync with %s, and is named in the message', (errno, code) => {
  const error = storeError(Object.assign(new Error(`${errno}: something`), { code: errno }))
  expect(error).toMatchObject({ code })
  expect(error?.message).toContain(errno)
})

test.each(['ENOENT', 'EACCES', 'ELOOP', 'ENAMETOOLONG'])('%s is a problem of one file', errno => {
  expect(storeError(Object.assign(new Error(errno), { code: errno }))).toBeUndefined()
})

test('a system error on the archive itself ends a sync, with a message without paths of the server', async () => {
  const root = newFolder()
  writeFileSync(join(root, '.filesync'), 'in the way')
  const message = /^The archive cannot be used: something else is in the archive .* \(ENOTDIR\)\. Check the folder \.filesync/u
  const inTheWay = { code: 'ARCHIVE_UNAVAILABLE', message: expect.stringMatching(message) as unknown }
  await expect(newArchive({ root })).rejects.toMatchObject(inTheWay)
  rmSync(join(root, '.filesync'))
  const area = await (await newArchive({ root })).area('laptop')
  rmdirSync(join(root, '.filesync/staging'))
  writeFileSync(join(root, '.filesync/staging'), 'in the way')
  await expect(push(area, new SourceTree().write('a', 'x'))).rejects.toMatchObject(inTheWay)
})

test.each(['EACCES', 'EPERM'])('the message for %s on the archive itself says who must own it', errno => {
  const refused = Object.assign(new Error(`${errno}: permission denied, mkdir '/proc/self/fd/21/.filesync'`), { code: errno })
  const message = `The archive cannot be used: the server has no permission there (${errno}). ` +
    'Make the user that runs the server the owner of the archive and of everything in it.'
  expect(archiveError(refused)).toMatchObject({ code: 'ARCHIVE_UNAVAILABLE', message })
})

test('does not use the reserve', async () => {
  const area = await (await newArchive({ reserveBytes: 2 ** 50 })).area('laptop')
  expect(await push(area, new SourceTree().write('a', 'x'))).toMatchObject({
    asked: [],
    files: 0,
    problems: [{ path: 'a', code: 'NO_ROOM' }],
  })
})
