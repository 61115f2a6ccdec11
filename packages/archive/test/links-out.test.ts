import { lstatSync, mkdirSync, readlinkSync, renameSync, symlinkSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { ROOT_PATH } from '@filesync/protocol'
import { hashBytes } from '@filesync/protocol/node'
import { describe, expect, test } from 'vitest'
import type { Area } from '../src/index.ts'
import { LoopDisk, mayMountImages, run } from './support/disks.ts'
import { World } from './support/in-memory.ts'
import { describeFolder, describeSource, newArchive, newFolder, newSite, versionsIn } from './support/on-disk.ts'
import { asPath, push } from './support/push.ts'
import { SourceTree } from './support/source-tree.ts'

const HOUR_MS = 3_600_000
const hasExfat = mayMountImages && run('sh', ['-c', 'command -v mkfs.exfat && command -v mount.exfat-fuse'])

/** A folder outside the archive that must not change, and what it holds. */
function canary (): { readonly folder: string, readonly before: string[] } {
  const folder = newFolder()
  mkdirSync(join(folder, 'inner'))
  writeFileSync(join(folder, 'inner/victim'), 'untouched')
  writeFileSync(join(folder, 'file'), 'untouched')
  return { folder, before: describeFolder(folder) }
}

async function restored (area: Area, atMs: number, path = ROOT_PATH): Promise<string[]> {
  const to = newFolder()
  expect((await area.restore({ path, at: { ms: atMs }, to })).failures).toEqual([])
  return describeFolder(to)
}

/** Every operation that looks at what is stored. */
async function exercise (area: Area): Promise<void> {
  expect((await area.verify()).problems).toEqual([])
  await area.checkMirror({ directories: 1000 })
  await area.checkMirror({ directories: 1000, entries: 1000 })
  await area.versions(ROOT_PATH)
  await area.prune()
  await area.size()
}

test('a link that leads out is stored as a link, found unchanged, called safe and restored', async () => {
  const { root, area, clock } = await newSite()
  const { folder, before } = canary()
  const source = new SourceTree()
    .write('d/file', 'x').link('d/out', '../../other').link('absolute', folder).link('d/sly', 'file/../../x').link('windows', 'C:\\x')
  expect((await push(area, source)).problems).toEqual([])
  expect(describeFolder(join(root, 'laptop'))).toEqual(describeSource(source))
  expect((await push(area, source)).listings).toBe(0)
  expect(await area.checkMirror({ directories: 10 })).toEqual({ changed: [], removed: [], added: [] })
  const digest = hashBytes(new TextEncoder().encode(folder))
  expect(await area.checkSafe([{ path: asPath('absolute'), kind: 'symlink', digest }], { fresh: true })).toEqual([{ verdict: 'safe' }])
  const withLinks = describeSource(source)
  clock.advance(HOUR_MS)
  const pushedMs = clock.nowMs()
  clock.advance(HOUR_MS)
  source.link('absolute', '/elsewhere').remove('d/out')
  expect((await push(area, source)).problems).toEqual([])
  expect(readlinkSync(join(root, 'laptop/absolute'))).toBe('/elsewhere')
  expect(versionsIn(root, 'laptop').sort()).toEqual(['absolute', 'd/out'])
  expect(await restored(area, pushedMs)).toEqual(withLinks)
  expect(await restored(area, Infinity)).toEqual(describeSource(source))
  expect(describeFolder(folder)).toEqual(before)
})

test('nothing follows a link that leads out, whether it is in the place of a directory or of a file, before or after it', async () => {
  const { root, area, clock } = await newSite()
  const { folder, before } = canary()
  const source = new SourceTree().write('stays', 's')
  const shapes: ((source: SourceTree) => unknown)[] = [
    at => at.link('x', folder),
    at => at.remove('x').write('x/inner/victim', 'overwritten').write('x/file', 'mine'),
    at => at.write('x/inner/more', 'more'),
    at => at.remove('x').link('x', join(folder, 'file')),
    at => at.remove('x').write('x', 'a file'),
    at => at.remove('x').link('x', folder),
    at => at.remove('x').write('x/file', 'again').link('x/inner', join(folder, 'inner')),
    at => at.remove('x/inner').write('x/inner/victim', 'once more'),
    at => at.remove('x').link('x', '..'),
    at => at.remove('x'),
  ]
  const states: { readonly ms: number, readonly lines: string[] }[] = []
  for (const shape of shapes) {
    shape(source)
    expect((await push(area, source)).problems).toEqual([])
    expect(describeFolder(join(root, 'laptop'))).toEqual(describeSource(source))
    clock.advance(HOUR_MS)
    states.push({ ms: clock.nowMs(), lines: describeSource(source) })
    clock.advance(HOUR_MS)
    await exercise(area)
    expect(describeFolder(folder)).toEqual(before)
  }
  for (const { ms, lines } of states) expect(await restored(area, ms)).toEqual(lines)
  expect(describeFolder(folder)).toEqual(before)
})

test('a directory exchanged for a link that leads out by hand is found, and nothing of its target is read or changed', async () => {
  const { root, area } = await newSite()
  const { folder, before } = canary()
  const source = new SourceTree().write('x/inner/victim', 'of the client').write('x/file', 'also').link('way', folder)
  await push(area, source)
  renameSync(join(root, 'laptop/x'), join(root, 'aside'))
  symlinkSync(folder, join(root, 'laptop/x'))
  expect((await area.verify()).problems.map(({ path }) => path).sort()).toEqual(['x/file', 'x/inner/victim'])
  expect((await area.checkMirror({ directories: 100 })).removed).toContain('x')
  expect(await area.checkSafe([
    { path: asPath('x/inner/victim'), kind: 'file', digest: hashBytes(new TextEncoder().encode('untouched')) },
  ], { fresh: true })).not.toMatchObject([{ verdict: 'safe' }])
  await area.rebuild()
  expect(area.stat(asPath('x/file'))).toBeUndefined()
  expect(area.stat(asPath('way/file'))).toBeUndefined()
  expect((await push(area, source)).problems).toEqual([])
  expect(describeFolder(join(root, 'laptop'))).toEqual(describeSource(source))
  expect(describeFolder(folder)).toEqual(before)
})

test('files put into the archive are adopted without what links that lead out point to', async () => {
  const root = newFolder()
  const { folder, before } = canary()
  const area = await (await newArchive({ root })).area('laptop')
  writeFileSync(join(root, 'laptop/file'), 'adopted')
  symlinkSync(folder, join(root, 'laptop/way'))
  expect(await area.adopt('in place')).toMatchObject({ files: 1, bytes: 7 })
  const copy = newFolder()
  symlinkSync(folder, join(copy, 'other'))
  const other = await newArchive()
  expect(await other.adopt('laptop', copy)).toMatchObject({ files: 0, problems: [] })
  expect((await other.area('laptop')).stat(asPath('other/file'))).toBeUndefined()
  expect(describeFolder(folder)).toEqual(before)
})

describe('a restore', () => {
  test.each([false, true])('writes nothing through a link in the place of a directory, with overwrite %s', async overwrite => {
    const { area, clock } = await newSite()
    const { folder, before } = canary()
    await push(area, new SourceTree().write('x/inner/victim', 'restored').write('x/file', 'restored').link('y', folder))
    clock.advance(HOUR_MS)
    const to = newFolder()
    symlinkSync(folder, join(to, 'x'))
    mkdirSync(join(to, 'y'))
    const { failures } = await area.restore({ path: ROOT_PATH, at: { ms: clock.nowMs() }, to, overwrite })
    expect(describeFolder(folder)).toEqual(before)
    // A directory is never removed to make place for a link.
    expect(failures.map(({ path }) => path)).toEqual(overwrite ? ['y'] : expect.arrayContaining(['x', 'x/file', 'x/inner/victim', 'y']))
    expect(lstatSync(join(to, 'x')).isDirectory()).toBe(overwrite)
  })
})

describe('a store without symbolic links', () => {
  test('reports each link once, keeps it in the index alone, and restores it', async () => {
    const world = new World({ foldsNames: false, windowsNames: false, holdsLinks: false })
    const area = await world.area()
    const source = new SourceTree().write('file', 'f').link('inside', 'file').link('outside', '/etc').write('later', 'becomes a link')
    const first = await push(area, source)
    expect(first.problems.map(({ path, code }) => `${code} ${path}`)).toEqual(['STORE_FAILED inside', 'STORE_FAILED outside'])
    expect(await push(area, source)).toMatchObject({ listings: 0, problems: [] })
    expect(await area.checkMirror({ directories: 10 })).toEqual({ changed: [], removed: [], added: [] })
    const [digest] = [hashBytes(new TextEncoder().encode('/etc'))]
    expect(await area.checkSafe([{ path: asPath('outside'), kind: 'symlink', digest }])).toEqual([{ verdict: 'absent' }])
    const states: { ms: number, links: string[] }[] = []
    const note = (...links: string[]): void => {
      world.clock.advance(HOUR_MS)
      states.push({ ms: world.clock.nowMs(), links })
      world.clock.advance(HOUR_MS)
    }
    note('inside', 'outside')
    source.link('outside', '/other').remove('later').link('later', '/new')
    expect((await push(area, source)).problems.map(({ path }) => path)).toEqual(['later', 'outside'])
    note('inside', 'later', 'outside')
    source.remove('inside').remove('outside').write('outside', 'a file')
    expect((await push(area, source)).problems).toEqual([])
    note('later')
    for (const [i, { ms, links }] of states.entries()) {
      const to = `state ${String(i)}`
      expect((await area.restore({ path: ROOT_PATH, at: { ms }, to })).failures).toEqual([])
      const folder = world.store.restored.get(to)
      expect(folder?.entries().filter(({ node }) => node.kind === 'symlink').map(({ name }) => name)).toEqual(links)
    }
  })

  // Making and mounting exFAT takes root and two packages that few systems have.
  test.runIf(hasExfat)('is recognized on exFAT', async () => {
    const disk = new LoopDisk(['mkfs.exfat'])
    disk.mountBy('mount.exfat-fuse')
    const { area } = await newSite(join(disk.at, 'archive'))
    const source = new SourceTree().write('file', 'f').link('inside', 'file').link('outside', '/etc')
    const { files, problems } = await push(area, source)
    expect([files, problems.map(({ path, code }) => `${code} ${path}`)]).toEqual([1, ['STORE_FAILED inside', 'STORE_FAILED outside']])
    expect(await push(area, source)).toMatchObject({ listings: 0, problems: [] })
  })
})
