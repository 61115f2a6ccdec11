import type { RelativePath } from '@filesync/protocol'
import { seededRandom } from '@filesync/protocol/testing'
import { expect, test } from 'vitest'
import type { Area, SyncScope } from '../src/index.ts'
import { World } from './support/in-memory.ts'
import { compareAll, push } from './support/push.ts'
import type { Pushed, PushOptions } from './support/push.ts'
import { SourceTree } from './support/source-tree.ts'

interface ScopeChange {
  readonly incomplete?: readonly string[]
  readonly away?: readonly string[]
  readonly removed?: readonly string[]
  readonly accepted?: readonly string[]
}

/** The scope of a source whose top directories are its folders. */
function scopeOf (source: SourceTree, change: ScopeChange = {}): SyncScope {
  const files = [...source.files().keys()]
  const names = [...source.root.children].filter(([, { kind }]) => kind === 'directory').map(([name]) => name)
  return {
    folders: new Map(names.map(name => [name, {
      complete: change.incomplete?.includes(name) !== true,
      files: files.filter(path => path.startsWith(`${name}/`)).length,
      accepted: change.accepted?.includes(name) === true,
    }])),
    away: (change.away ?? []) as RelativePath[],
    removed: new Set(change.removed),
  }
}

async function pushFolders (area: Area, source: SourceTree, change: ScopeChange = {}, options: PushOptions = {}): Promise<Pushed> {
  return await push(area, source, { ...options, scope: scopeOf(source, change), complete: (change.incomplete ?? []).length === 0 })
}

/** The paths of the files in the mirror. */
function filesIn (world: World): string[] {
  return world.mirror.map(line => line.split(' ')[0] ?? '').filter(path => !path.endsWith('/')).sort()
}

const two = (): SourceTree => new SourceTree()
  .write('docs/letter', 'dear').write('docs/old/bill', 'pay').write('photos/a', 'aaa').write('photos/2025/b', 'bb')

test('a folder that a sync does not mention is left alone, and nothing is asked when the rest is unchanged', async () => {
  const world = new World()
  const area = await world.area()
  await pushFolders(area, two())
  const before = world.mirror
  const docs = new SourceTree().write('docs/letter', 'dear').write('docs/old/bill', 'pay')
  expect(await pushFolders(area, docs)).toMatchObject({ listings: 0, deleted: 0, files: 0 })
  expect(world.mirror).toEqual(before)
  expect(await pushFolders(area, docs.remove('docs/letter').write('docs/new', 'n'))).toMatchObject({ deleted: 1, files: 1 })
  expect(filesIn(world)).toEqual(['docs/new', 'docs/old/bill', 'photos/2025/b', 'photos/a'])
  // The folder that was not mentioned is still known: nothing of it is asked again.
  const both = two()
  both.root.children.set('docs', docs.at('docs'))
  expect(await pushFolders(area, both)).toMatchObject({ asked: [], digested: [], listings: 0, deleted: 0, problemCount: 0 })
})

test('a folder with unread directories keeps what it does not list, and the others do not', async () => {
  const world = new World()
  const area = await world.area()
  await pushFolders(area, two())
  const source = two().remove('docs/letter').remove('photos/a')
  expect(await pushFolders(area, source, { incomplete: ['docs'] })).toMatchObject({ deleted: 1 })
  expect(filesIn(world)).toEqual(['docs/letter', 'docs/old/bill', 'photos/2025/b'])
  expect(await pushFolders(area, source)).toMatchObject({ deleted: 1 })
  expect(filesIn(world)).toEqual(['docs/old/bill', 'photos/2025/b'])
})

test('a directory that is away keeps all that is in it, also below a directory that is gone, and files beside it are deleted', async () => {
  const world = new World()
  const area = await world.area()
  const source = two().write('docs/mnt/usb/x', 'x').write('docs/mnt/usb/deep/y', 'y').write('docs/mnt/beside', 'b')
  await pushFolders(area, source)
  const disk = source.at('docs/mnt/usb')
  const away = ['docs/mnt/usb']
  source.remove('docs/mnt/usb').remove('docs/mnt/beside').remove('docs/letter')
  expect(await pushFolders(area, source, { away })).toMatchObject({ deleted: 2 })
  expect(filesIn(world)).toEqual(['docs/mnt/usb/deep/y', 'docs/mnt/usb/x', 'docs/old/bill', 'photos/2025/b', 'photos/a'])
  source.remove('docs/mnt')
  expect(await pushFolders(area, source, { away })).toMatchObject({ deleted: 0 })
  expect(filesIn(world)).toContain('docs/mnt/usb/deep/y')
  // It comes back with one change.
  source.mkdir('docs/mnt').write('docs/mnt/usb/deep/y', 'changed')
  if (disk.kind === 'directory') for (const [name, node] of disk.children) if (name === 'x') source.put(`docs/mnt/usb/${name}`, node)
  expect(await pushFolders(area, source)).toMatchObject({ asked: ['docs/mnt/usb/deep/y'], digested: [] })
  // And what is gone when nothing is away is deleted.
  expect(await pushFolders(area, source.remove('docs/mnt'))).toMatchObject({ deleted: 2 })
})

test('a folder leaves the mirror only on request, and its files become versions', async () => {
  const world = new World()
  const area = await world.area()
  await pushFolders(area, two())
  const photos = new SourceTree().write('photos/a', 'aaa').write('photos/2025/b', 'bb')
  expect(await pushFolders(area, photos, { removed: ['docs', 'never there'] })).toMatchObject({ deleted: 2, problemCount: 0 })
  expect(filesIn(world)).toEqual(['photos/2025/b', 'photos/a'])
  expect((await area.versions('docs' as RelativePath)).map(({ path }) => path)).toContain('docs/letter')
  expect(await pushFolders(area, photos, { removed: ['docs'] })).toMatchObject({ deleted: 0, listings: 0 })
  // Without any folder of its own.
  expect(await pushFolders(area, new SourceTree(), { removed: ['photos'] })).toMatchObject({ deleted: 2 })
  expect(filesIn(world)).toEqual([])
})

test('an empty folder does not replace one with files unless the user accepts it', async () => {
  const world = new World()
  const area = await world.area()
  await pushFolders(area, two())
  const source = two().remove('docs/letter').remove('docs/old/bill').remove('photos/a')
  const refused = await pushFolders(area, source)
  expect(refused.problems).toMatchObject([{ path: 'docs', code: 'FOLDER_EMPTIED' }])
  expect(filesIn(world)).toEqual(['docs/letter', 'docs/old/bill', 'photos/2025/b'])
  expect(await pushFolders(area, source, { accepted: ['docs'] })).toMatchObject({ deleted: 2, problemCount: 0 })
  expect(filesIn(world)).toEqual(['photos/2025/b'])
  // One without files in the archive may be empty.
  expect(await pushFolders(area, source)).toMatchObject({ problemCount: 0, listings: 0 })
})

test('a folder whose name differs only in spelling from a stored one is refused', async () => {
  const world = new World()
  const area = await world.area()
  await pushFolders(area, two())
  const { problems } = await pushFolders(area, new SourceTree().write('Photos/c', 'c').write('docs/letter', 'dear'))
  expect(problems).toMatchObject([{ path: 'Photos', code: 'NAME_COLLIDES' }])
  expect(filesIn(world)).toEqual(['docs/letter', 'photos/2025/b', 'photos/a'])
})

test('content that moves between folders is not sent again', async () => {
  const world = new World()
  const area = await world.area()
  const source = two()
  await pushFolders(area, source)
  expect(await pushFolders(area, source.move('photos/a', 'docs/a'))).toMatchObject({
    asked: [],
    digested: ['docs/a'],
    renamed: 1,
    deleted: 0,
  })
  expect(filesIn(world)).toEqual(['docs/a', 'docs/letter', 'docs/old/bill', 'photos/2025/b'])
})

test.each([
  ['a file', new SourceTree().write('docs/a', 'a').write('stray', 's')],
  ['a link', new SourceTree().write('docs/a', 'a').link('stray', 'docs')],
])('refuses a root listing with %s beside the folders', async (_what, source) => {
  const area = await new World().area()
  const sync = await area.beginSync({ scope: scopeOf(source) })
  expect(() => compareAll(sync, source.snapshot())).toThrow(expect.objectContaining({ code: 'LISTING_INVALID' }))
  await sync.abandon()
})

test('refuses a root listing that lacks an announced folder, or has one that was not announced', async () => {
  const area = await new World().area()
  for (const announced of [two().write('more/x', 'x'), new SourceTree().write('docs/a', 'a')]) {
    const sync = await area.beginSync({ scope: scopeOf(announced) })
    expect(() => compareAll(sync, two().snapshot())).toThrow(expect.objectContaining({ code: 'LISTING_INVALID' }))
    await sync.abandon()
  }
})

test('the brake halts a sync that takes most of one folder, however small it is beside the others', async () => {
  const world = new World()
  const area = await world.area()
  const source = new SourceTree()
  for (let i = 0; i < 1000; i++) source.write(`photos/${i}`, `photo ${i}`)
  for (let i = 0; i < 150; i++) source.write(`docs/${i}`, `document ${i}`)
  await pushFolders(area, source)
  for (let i = 0; i < 120; i++) source.remove(`docs/${i}`)
  await expect(pushFolders(area, source)).rejects.toMatchObject({
    code: 'HALTED',
    message: expect.stringContaining('120 of 150') as unknown,
  })
  expect(area.halted).toMatchObject({ folder: 'docs', vanishing: 120, of: 150 })
  await area.release()
  expect(await pushFolders(area, source)).toMatchObject({ deleted: 120 })
})

/** Two folders of 300 files. Since they were stored, most of one are gone. */
async function halfGone (area: Area): Promise<{ readonly all: SourceTree, readonly docs: SourceTree, readonly photos: SourceTree }> {
  const [all, docs, photos] = [new SourceTree(), new SourceTree(), new SourceTree()]
  for (let i = 0; i < 300; i++) all.write(`docs/${i}`, `document ${i}`).write(`photos/${i}`, `photo ${i}`)
  docs.root.children.set('docs', all.at('docs'))
  photos.root.children.set('photos', all.at('photos'))
  await pushFolders(area, all)
  for (let i = 0; i < 250; i++) docs.remove(`docs/${i}`)
  return { all, docs, photos }
}

test.each(['unchanged', 'changed'])('a halted folder stays halted when another one is pushed that is %s', async how => {
  const area = await new World().area()
  const { docs, photos } = await halfGone(area)
  await expect(pushFolders(area, docs)).rejects.toMatchObject({ code: 'HALTED' })
  if (how === 'changed') photos.write('photos/new', 'new')
  await pushFolders(area, photos)
  expect(area.halted).toMatchObject({ folder: 'docs', vanishing: 250, of: 300 })
  for (let i = 0; i < 250; i++) docs.write(`docs/${i}`, `document ${i}`)
  await pushFolders(area, docs)
  expect(area.halted).toBeUndefined()
})

test('a halt of two folders ends with the last of them', async () => {
  const area = await new World().area()
  const { all, docs, photos } = await halfGone(area)
  for (let i = 0; i < 120; i++) photos.remove(`photos/${i}`)
  await expect(pushFolders(area, all)).rejects.toMatchObject({ code: 'HALTED' })
  expect(area.halted).toMatchObject({ vanishing: 370, of: 600 })
  await pushFolders(area, photos)
  expect(area.halted).toBeDefined()
  for (let i = 0; i < 250; i++) docs.write(`docs/${i}`, `document ${i}`)
  await pushFolders(area, docs)
  expect(area.halted).toBeUndefined()
})

test.each(['unchanged', 'changed'])('a release is for the halted folder, and not used up by another one that is %s', async how => {
  const area = await new World().area()
  const { docs, photos } = await halfGone(area)
  await expect(pushFolders(area, docs)).rejects.toMatchObject({ code: 'HALTED' })
  await area.release()
  if (how === 'changed') photos.write('photos/new', 'new')
  await pushFolders(area, photos)
  expect(await pushFolders(area, docs)).toMatchObject({ deleted: 250 })
})

test('the release of one folder lets nothing vanish from another one, and is still there afterwards', async () => {
  const area = await new World().area()
  const { docs, photos } = await halfGone(area)
  await expect(pushFolders(area, docs)).rejects.toMatchObject({ code: 'HALTED' })
  await area.release()
  for (let i = 0; i < 250; i++) photos.remove(`photos/${i}`)
  await expect(pushFolders(area, photos)).rejects.toMatchObject({ code: 'HALTED' })
  expect(area.halted).toMatchObject({ folder: 'photos' })
  expect(await pushFolders(area, docs)).toMatchObject({ deleted: 250 })
  await expect(pushFolders(area, photos)).rejects.toMatchObject({ code: 'HALTED' })
  await area.release()
  expect(await pushFolders(area, photos)).toMatchObject({ deleted: 250 })
  expect(area.halted).toBeUndefined()
})

test('whatever folders come, go, are away, incomplete or removed, the mirror is what the last sync of each place says', async () => {
  const seed = Number(process.env['FILESYNC_SEED'] ?? Date.now() % 1_000_000)
  const random = seededRandom(seed)
  const pick = <T>(from: readonly T[]): T => from[Math.floor(random() * from.length)] as T
  const NAMES = ['a', 'b', 'c']
  const PLACES = NAMES.flatMap(name => ['x', 'mnt/y', 'mnt/usb/z', 'mnt/usb/deep/w', 'q'].map(path => `${name}/${path}`))
  for (let round = 0; round < 12; round++) {
    const world = new World()
    const area = await world.area()
    /** What the mirror should hold: by path, the content. */
    const expected = new Map<string, string>()
    /** What the client has, at all times: a file keeps its file id and mtime until it is written. */
    const own = new SourceTree()
    for (const name of NAMES) own.mkdir(name)
    for (let step = 0; step < 14; step++) {
      for (let i = 0; i < 3; i++) {
        const path = pick(PLACES)
        if (random() < 0.4) own.remove(path)
        else own.write(path, `${path} ${Math.floor(random() * 4)}`)
      }
      const mentioned = NAMES.filter(() => random() < 0.7)
      const removed = NAMES.filter(name => !mentioned.includes(name) && random() < 0.15)
      const incomplete = mentioned.filter(() => random() < 0.2)
      const away = mentioned.filter(() => random() < 0.3).map(name => `${name}/mnt/usb`)
      const isAway = (path: string): boolean => away.some(at => path.startsWith(`${at}/`))
      const source = own.only(path => mentioned.includes(path.split('/')[0] ?? '') && !away.includes(path))
      await pushFolders(area, source, { incomplete, away, removed, accepted: mentioned })
      for (const path of [...expected.keys()]) {
        const name = path.slice(0, 1)
        const isKept = removed.includes(name) ? false : !mentioned.includes(name) || isAway(path) || incomplete.includes(name)
        if (!isKept && !source.files().has(path)) expected.delete(path)
      }
      for (const [path, content] of source.files()) expected.set(path, Buffer.from(content).toString())
      expect(contentsOf(world), `seed ${seed}, round ${round}, step ${step}`).toEqual(Object.fromEntries([...expected].sort()))
    }
    expect((await area.verify()).problems).toEqual([])
  }
})

function contentsOf (world: World): Record<string, string> {
  const contents: Record<string, string> = {}
  for (const line of world.mirror) {
    const [path = '', , content = ''] = line.split(' ')
    if (!path.endsWith('/')) contents[path] = Buffer.from(content, 'base64').toString()
  }
  return contents
}
