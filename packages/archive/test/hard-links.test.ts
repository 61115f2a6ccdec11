import { linkSync, lstatSync, readFileSync, readdirSync, utimesSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { LIMITS, ROOT_PATH } from '@filesync/protocol'
import type { StageOutcome } from '@filesync/protocol'
import { hashBytes } from '@filesync/protocol/node'
import { describe, expect, test } from 'vitest'
import { LoopDisk, mayMountImages, run } from './support/disks.ts'
import { describeFolder, describeSource, newArchive, newFolder, newSite, versionsIn } from './support/on-disk.ts'
import type { Site, WallClock } from './support/on-disk.ts'
import { compareAll, makePack, push } from './support/push.ts'
import { LinkedSource, NAMES } from './support/linked-source.ts'
import type { SourceTree } from './support/source-tree.ts'

const HOUR_MS = 3_600_000
const SMALL = 'the content of one file'
const LARGE = new Uint8Array(LIMITS.packedFileBytes * 3 + 5).map((_, i) => i * 31 >> 3)
const hasExfat = mayMountImages && run('sh', ['-c', 'command -v mkfs.exfat && command -v mount.exfat-fuse'])

/** The time an hour later. */
function later (clock: WallClock): number {
  clock.advance(HOUR_MS)
  return clock.nowMs()
}

/** The inode of each name in the archive. */
function inodes (root: string, paths: readonly string[] = NAMES): number[] {
  return paths.map(path => lstatSync(join(root, 'laptop', path)).ino)
}

/** The number of different files below a folder, of this size. */
function countFiles (folder: string, sizeBytes: number): number {
  const found = new Set<number>()
  for (const entry of readdirSync(folder, { recursive: true, withFileTypes: true })) {
    const stat = lstatSync(join(entry.parentPath, entry.name))
    if (stat.isFile() && stat.size === sizeBytes) found.add(stat.ino)
  }
  return found.size
}

async function expectStored ({ root, area }: Site, source: SourceTree): Promise<void> {
  expect(describeFolder(join(root, 'laptop'))).toEqual(describeSource(source))
  expect((await push(area, source)).listings).toBe(0)
  expect((await area.verify()).problems).toEqual([])
  expect(await area.checkMirror({ directories: 1000 })).toEqual({ changed: [], removed: [], added: [] })
  expect(readdirSync(join(root, '.filesync/staging'))).toEqual([])
}

describe.each([['small', SMALL], ['large', LARGE]])('the content of a %s file with several names', (_, content) => {
  test('travels once and is stored once, at first, when names are added, and when it is replaced', async () => {
    const site = await newSite()
    const { root, area, clock } = site
    const source = new LinkedSource().names(content).write('other', 'o')
    const first = await push(area, source)
    expect(first).toMatchObject({ files: 6, bytes: content.length + 1, problems: [], renamed: 0 })
    expect([first.asked.sort(), first.digested.sort()]).toEqual([['a', 'other'], NAMES.slice(1)])
    expect(new Set(inodes(root)).size).toBe(1)
    await expectStored(site, source)
    clock.advance(HOUR_MS)

    source.name('d/late', 'a').name('new/late', 'a')
    expect(await push(area, source)).toMatchObject({ asked: [], files: 2, bytes: 0, problems: [], renamed: 0 })
    const all = [...NAMES, 'd/late', 'new/late']
    expect(new Set(inodes(root, all)).size).toBe(1)
    await expectStored(site, source)
    clock.advance(HOUR_MS)

    const next = typeof content === 'string' ? content.toUpperCase() : content.map(byte => byte ^ 1)
    source.overwrite('a', next)
    expect(await push(area, source)).toMatchObject({ asked: ['a'], files: 7, bytes: content.length, problems: [] })
    expect(new Set(inodes(root, all)).size).toBe(1)
    expect(versionsIn(root, 'laptop').sort()).toEqual([...all].sort())
    await expectStored(site, source)
    // The mirror, and one for all versions.
    expect(countFiles(root, content.length)).toBe(2)
  })

  test('is not sent when a name moves, and stays when some of them go', async () => {
    const site = await newSite()
    const { root, area } = site
    const source = new LinkedSource().names(content)
    await push(area, source)
    source.move('d/b', 'moved/b').remove('a')
    expect(await push(area, source)).toMatchObject({ asked: [], renamed: 1, deleted: 1, problems: [] })
    expect(new Set(inodes(root, ['moved/b', 'd/c', 'd/e/f', 'z/g'])).size).toBe(1)
    await expectStored(site, source)
    expect(countFiles(root, content.length)).toBe(1)
  })
})

describe('names that share a file in the archive', () => {
  test('each keep their content when one becomes a file of its own', async () => {
    const site = await newSite()
    const { root, area, clock } = site
    const source = new LinkedSource().names(SMALL)
    await push(area, source)
    clock.advance(HOUR_MS)
    source.write('d/b', 'other content')
    expect((await push(area, source)).problems).toEqual([])
    expect(inodes(root)[1]).not.toBe(inodes(root)[0])
    expect(new Set(inodes(root, ['a', 'd/c', 'd/e/f', 'z/g'])).size).toBe(1)
    await expectStored(site, source)
  })

  test('do not get the mode of one that became a file of its own with the same content and time', async () => {
    const site = await newSite()
    const { root, area, clock } = site
    const source = new LinkedSource().names(SMALL)
    await push(area, source)
    const before = clock.nowMs()
    clock.advance(HOUR_MS)
    source.separate('d/b')
    Object.assign(source.at('d/b'), { mode: 0o600 })
    expect(await push(area, source)).toMatchObject({ asked: [], problems: [] })
    expect(lstatSync(join(root, 'laptop/d/b')).mode & 0o777).toBe(0o600)
    expect(lstatSync(join(root, 'laptop/a')).mode & 0o777).toBe(0o644)
    await expectStored(site, source)
    const to = newFolder()
    await area.restore({ path: ROOT_PATH, at: { ms: before }, to })
    expect(lstatSync(join(to, 'd/b')).mode & 0o777).toBe(0o644)
  })

  test('get another mode together if all of them do, without a copy', async () => {
    const site = await newSite()
    const { root, area } = site
    const source = new LinkedSource().names(SMALL)
    await push(area, source)
    const [inode] = inodes(root)
    Object.assign(source.at('a'), { mode: 0o600 })
    expect(await push(area, source)).toMatchObject({ asked: [], problems: [] })
    expect(inodes(root)).toEqual(NAMES.map(() => inode))
    await expectStored(site, source)
  })

  test('get another mode together without changing the version of a name that went, in the archive or when it is restored', async () => {
    const site = await newSite()
    const { root, area, clock } = site
    const source = new LinkedSource().names(SMALL)
    await push(area, source)
    const before = { ms: clock.nowMs(), lines: describeSource(source) }
    clock.advance(HOUR_MS)
    source.remove('z/g')
    await push(area, source)
    Object.assign(source.at('a'), { mode: 0o600 })
    expect(await push(area, source)).toMatchObject({ asked: [], problems: [] })
    expect(new Set(inodes(root, NAMES.slice(0, 4))).size).toBe(1)
    expect(lstatSync(join(root, 'laptop/a')).mode & 0o777).toBe(0o600)
    const version = describeFolder(join(root, '.filesync/versions/laptop')).find(line => line.includes('/z/g '))
    expect(version).toMatch(/\/z\/g 644 /u)
    await expectStored(site, source)
    const to = newFolder()
    expect((await area.restore({ path: ROOT_PATH, at: { ms: before.ms }, to })).failures).toEqual([])
    expect(describeFolder(to)).toEqual(before.lines)
  })

  test('that are listed in different syncs after a change end as one file again', async () => {
    const site = await newSite()
    const { root, area, clock } = site
    const source = new LinkedSource().names(SMALL)
    await push(area, source)
    clock.advance(HOUR_MS)
    // The second listing is of a moment when only one name had been read again.
    const half = new LinkedSource().names(SMALL)
    Object.assign(half.root, structuredClone(source.root))
    source.overwrite('a', SMALL.toUpperCase())
    const changed = source.at('d/b')
    const tree = half.at('d') as SourceTree['root']
    tree.children.set('b', changed)
    expect(await push(area, half)).toMatchObject({ asked: ['d/b'], problems: [] })
    expect(readFileSync(join(root, 'laptop/a'), 'utf8')).toBe(SMALL)
    await expectStored(site, half)
    clock.advance(HOUR_MS)
    expect(await push(area, source)).toMatchObject({ asked: [], problems: [] })
    expect(new Set(inodes(root)).size).toBe(1)
    await expectStored(site, source)
  })

  test('are all noticed if one is edited by hand, and all repaired', async () => {
    const site = await newSite()
    const { root, area } = site
    const source = new LinkedSource().names(SMALL)
    await push(area, source)
    writeFileSync(join(root, 'laptop/d/c'), SMALL.toUpperCase())
    expect((await area.checkMirror({ directories: 100 })).changed.sort()).toEqual(NAMES)
    expect(await push(area, source)).toMatchObject({ asked: ['a'], problems: [] })
    expect(new Set(inodes(root)).size).toBe(1)
    await expectStored(site, source)
  })

  test('are not separated when verify puts the time of one right', async () => {
    const site = await newSite()
    const { root, area } = site
    const source = new LinkedSource().names(SMALL)
    await push(area, source)
    utimesSync(join(root, 'laptop/a'), 1, 1)
    expect((await area.checkMirror({ directories: 100 })).changed.sort()).toEqual(NAMES)
    expect((await area.verify()).problems).toEqual([])
    expect(new Set(inodes(root)).size).toBe(1)
    await expectStored(site, source)
  })

  test('are found in an index that was rebuilt, and adopted in place', async () => {
    const site = await newSite()
    const { root, area } = site
    const source = new LinkedSource().names(SMALL)
    await push(area, source)
    await area.rebuild()
    expect(await push(area, source)).toMatchObject({ asked: [], problems: [] })
    expect(new Set(inodes(root)).size).toBe(1)
    await expectStored(site, source)
    const other = await newSite()
    writeFileSync(join(other.root, 'laptop/a'), SMALL)
    linkSync(join(other.root, 'laptop/a'), join(other.root, 'laptop/b'))
    expect(await other.area.adopt('in place')).toMatchObject({ files: 2 })
    expect(new Set(inodes(other.root, ['a', 'b'])).size).toBe(1)
  })

  test('count once for the room of the disk and each for the quota', async () => {
    const area = await (await newArchive({ quotaBytes: SMALL.length * 3 })).area('laptop')
    const { problems } = await push(area, new LinkedSource().names(SMALL))
    expect(problems.map(({ code }) => code)).toEqual(['NO_ROOM', 'NO_ROOM'])
    expect(await area.size()).toEqual({ files: 3, bytes: SMALL.length * 3 })
  })

  test('expire one by one', async () => {
    const { root, area, clock } = await newSite()
    const source = new LinkedSource().names(SMALL)
    await push(area, source)
    source.remove('a')
    await push(area, source)
    for (let day = 0; day < 40; day++) {
      clock.advance(24 * HOUR_MS)
      await area.prune()
    }
    expect(versionsIn(root, 'laptop')).toEqual([])
    expect(readFileSync(join(root, 'laptop/d/b'), 'utf8')).toBe(SMALL)
    expect((await area.verify()).problems).toEqual([])
  })
})

describe('a restore of names of one file', () => {
  test('makes them names of one file again, at every moment, and leaves files of their own alone', async () => {
    const { area, clock } = await newSite()
    const source = new LinkedSource().names(SMALL).write('own', SMALL)
    await push(area, source)
    const states = [{ ms: clock.nowMs(), lines: describeSource(source), together: NAMES, apart: 'own' }]
    clock.advance(HOUR_MS)
    source.write('d/b', 'other content').move('a', 'd/a')
    await push(area, source)
    states.push({ ms: later(clock), lines: describeSource(source), together: ['d/a', 'd/c', 'd/e/f', 'z/g'], apart: 'd/b' })
    for (const { ms, lines, together, apart } of states) {
      const to = newFolder()
      for (const overwrite of [false, false, true]) {
        expect((await area.restore({ path: ROOT_PATH, at: { ms }, to, overwrite })).failures).toEqual([])
        expect(describeFolder(to)).toEqual(lines)
        const [first, ...others] = together.map(path => lstatSync(join(to, path)).ino)
        expect(others).toEqual(others.map(() => first))
        expect(lstatSync(join(to, apart)).ino).not.toBe(first)
      }
    }
  })

  test('does not make a file that is there and only looks like one of them another name', async () => {
    const { area, clock } = await newSite()
    const source = new LinkedSource().names(SMALL, ['a', 'b'])
    await push(area, source)
    const to = newFolder()
    const { mtimeNs } = source.at('a')
    writeFileSync(join(to, 'a'), SMALL.toUpperCase(), { mode: 0o644 })
    utimesSync(join(to, 'a'), Number(mtimeNs) / 1e9, Number(mtimeNs) / 1e9)
    await area.restore({ path: ROOT_PATH, at: { ms: later(clock) }, to })
    expect(readFileSync(join(to, 'b'), 'utf8')).toBe(SMALL)
    expect(readFileSync(join(to, 'a'), 'utf8')).toBe(SMALL.toUpperCase())
  })

  test('brings back each from what is whole if their shared content was damaged', async () => {
    const { root, area, clock } = await newSite()
    const source = new LinkedSource().names(SMALL, ['a', 'b']).write('copy', SMALL)
    await push(area, source)
    const ms = later(clock)
    const { atime, mtime } = lstatSync(join(root, 'laptop/a'))
    writeFileSync(join(root, 'laptop/a'), SMALL.toUpperCase())
    utimesSync(join(root, 'laptop/a'), atime, mtime)
    const to = newFolder()
    expect((await area.restore({ path: ROOT_PATH, at: { ms }, to })).failures).toEqual([])
    expect(['a', 'b', 'copy'].map(path => readFileSync(join(to, path), 'utf8'))).toEqual([SMALL, SMALL, SMALL])
    expect(lstatSync(join(to, 'a')).ino).toBe(lstatSync(join(to, 'b')).ino)
  })
})

describe('names in two folders of a client', () => {
  test('are files of their own, whose content moves between the folders without being sent', async () => {
    const { root, area, clock } = await newSite()
    const options = { folders: ['one', 'two'] }
    const source = new LinkedSource().names(SMALL, ['one/a', 'one/b']).mkdir('two').name('two/a', 'one/a').name('two/b', 'one/a')
    expect((await push(area, source, options)).asked).toEqual(['one/a', 'two/a'])
    const [oneA, oneB, twoA, twoB] = inodes(root, ['one/a', 'one/b', 'two/a', 'two/b'])
    expect([oneB, twoB]).toEqual([oneA, twoA])
    expect(twoA).not.toBe(oneA)
    clock.advance(HOUR_MS)
    source.remove('two/a').remove('two/b').write('one/c', 'moves')
    await push(area, source, options)
    source.move('one/c', 'two/c')
    expect(await push(area, source, options)).toMatchObject({ asked: [], renamed: 1, problems: [] })
    expect(describeFolder(join(root, 'laptop'))).toEqual(describeSource(source))
  })
})

describe('a client that lists wrong file ids', () => {
  test('has each name stored with its own content', async () => {
    const site = await newSite()
    const { root, area, clock } = site
    const source = new LinkedSource().names('AAAA', ['one', 'two', 'three'])
    for (const [path, content] of [['two', 'BBBB'], ['three', 'BBBB']] as const) {
      const file = source.at(path)
      source.remove(path).write(path, content)
      Object.assign(source.at(path), { ...file, content: new TextEncoder().encode(content) })
    }
    const first = await push(area, source)
    // The second content is asked for once too.
    expect(first).toMatchObject({ files: 3, problems: [] })
    expect(first.asked.map(path => path === 'one' ? path : 'another')).toEqual(['one', 'another'])
    await expectStored(site, source)
    expect(inodes(root, ['one'])).not.toEqual(inodes(root, ['two']))
    clock.advance(HOUR_MS)
    // And a name of a stored file.
    source.write('four', 'CCCC')
    Object.assign(source.at('four'), { ...source.at('one'), content: new TextEncoder().encode('CCCC') })
    expect(await push(area, source)).toMatchObject({ asked: ['four'], problems: [] })
    await expectStored(site, source)
  })

  test('that never sends the content of the first name has the others stored', async () => {
    const site = await newSite()
    const { root, area } = site
    const source = new LinkedSource().names(SMALL)
    const first = await push(area, source, { withhold: path => path === 'a' })
    expect(first.asked).toHaveLength(2)
    expect(first).toMatchObject({ files: 4, problems: [] })
    expect(new Set(inodes(root, NAMES.slice(1))).size).toBe(1)
    expect(await push(area, source)).toMatchObject({ asked: [], problems: [] })
    await expectStored(site, source)
    expect(new Set(inodes(root)).size).toBe(1)
  })

  test.each(['first', 'in between', 'last'])('that begins to answer for digests before the content is staged, and ends %s', async when => {
    const site = await newSite()
    const source = new LinkedSource().names(SMALL)
    const sync = await site.area.beginSync()
    compareAll(sync, source.snapshot())
    const plan = sync.plan({ complete: true, digest: true })
    const content = new TextEncoder().encode(SMALL)
    const digests = [...plan.tasks].flatMap(([, , how], task) => how === 'DIGEST' ? [task] : [])
    const [whole = 0] = [...plan.tasks].flatMap(([, , how], task) => how === undefined ? [task] : [])
    const begun = await Promise.all(digests.map(async task => await sync.beginFile(task, 0)))
    const finish = async (): Promise<StageOutcome[]> => await Promise.all(begun.map(async file => await file.finish(hashBytes(content))))
    const early = when === 'first' ? await finish() : []
    const staging = sync.stagePack(makePack([{ task: whole, content }]))
    const between = when === 'in between' ? finish() : Promise.resolve([])
    await staging
    const outcomes = [...early, ...await between, ...when === 'last' ? await finish() : []]
    expect(outcomes.map(({ isWantedAgain }) => isWantedAgain)).toEqual(digests.map(() => undefined))
    expect([...plan.retryTasks()]).toEqual([])
    expect(await sync.finish()).toMatchObject({ files: NAMES.length, problems: [] })
    expect(new Set(inodes(site.root)).size).toBe(1)
    await expectStored(site, source)
  })

  test('learns of names whose content never arrived', async () => {
    const { area } = await newSite()
    const source = new LinkedSource().names(SMALL, ['a', 'b', 'c'])
    const { problems, files } = await push(area, source, { falsify: () => new TextEncoder().encode(SMALL.toUpperCase().slice(1)) })
    expect([files, problems.map(({ path }) => path).sort()]).toEqual([0, ['a', 'b', 'c']])
    expect(await push(area, source)).toMatchObject({ files: 3, problems: [] })
  })

  test('that lists many names of one file gets no more than one of them asked for', async () => {
    const site = await newSite()
    const source = new LinkedSource().write('n0', SMALL)
    for (let i = 1; i < 3000; i++) source.name(`d${String(i % 7)}/n${String(i)}`, 'n0')
    const { asked, problems } = await push(site.area, source)
    expect([asked.length, problems]).toEqual([1, []])
    expect(countFiles(join(site.root, 'laptop'), SMALL.length)).toBe(1)
  })
})

test.runIf(hasExfat)('names of one file are copies on a file system without hard links, and the content travels once', async () => {
  const disk = new LoopDisk(['mkfs.exfat'])
  disk.mountBy('mount.exfat-fuse')
  const { root, area, clock } = await newSite(join(disk.at, 'archive'))
  const source = new LinkedSource().names(SMALL)
  expect(await push(area, source)).toMatchObject({ asked: ['a'], problems: [] })
  expect((await push(area, source)).listings).toBe(0)
  clock.advance(HOUR_MS)
  source.name('late', 'a')
  expect(await push(area, source)).toMatchObject({ asked: [], problems: [] })
  for (const path of [...NAMES, 'late']) expect(readFileSync(join(root, 'laptop', path), 'utf8')).toBe(SMALL)
  expect((await area.verify()).problems).toEqual([])
  expect((await push(area, source)).listings).toBe(0)
})
