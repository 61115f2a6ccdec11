import { encodeListing, encodePageTable, leafPages, ListingRequester, PageTree, ROOT_PATH } from '@filesync/protocol'
import type { Entry, FileSyncError, Name, Page, RelativePath } from '@filesync/protocol'
import { hashBytes } from '@filesync/protocol/node'
import { seededRandom } from '@filesync/protocol/testing'
import type { SeededRandom } from '@filesync/protocol/testing'
import { describe, expect, test } from 'vitest'
import { describeWanted, World } from './support/in-memory.ts'
import { describeFolder, describeSource, newSite } from './support/on-disk.ts'
import { push } from './support/push.ts'
import type { Pushed } from './support/push.ts'
import { SourceTree } from './support/source-tree.ts'

const LONG = { timeout: 120_000 }
const SEED = Number(process.env.SEED ?? Date.now() % 100_000)
/** Every page that a change of one entry can touch, and the tables above these. */
const MOST_PAGES = 3

function nameOf (number: number): string {
  return `file ${String(number).padStart(6, '0')}`
}

/** Pushes a source, however much of the stored files it removes. */
async function pushReleased (world: World, source: SourceTree): Promise<Pushed> {
  world.clock.jump(1000)
  const area = await world.area()
  await area.release()
  return await push(area, source)
}

/** A directory `big` with a number of files, and some directories and links among them. */
function largeSource (entries: number): SourceTree {
  const source = new SourceTree()
  for (let i = 0; i < entries; i++) {
    if (i % 331 === 17) source.write(`big/${nameOf(i)}/inner`, `inner ${String(i)}`)
    else if (i % 173 === 5) source.link(`big/${nameOf(i)}`, `target ${String(i)}`)
    else source.write(`big/${nameOf(i)}`, String(i))
  }
  return source
}

/** The pages and tables of a directory of the source. */
function pagesOf (source: SourceTree, directory = 'big'): PageTree {
  const listing = source.snapshot().listing(directory as RelativePath) ?? new Uint8Array([0x90])
  return new PageTree([...leafPages(listing, hashBytes)], hashBytes)
}

/** How many pages and tables one state has and the other does not. */
function newNodes (from: PageTree, to: PageTree): number {
  return to.levels.flat().filter(({ digest }) => from.find(digest) === undefined).length
}

describe.each<[string, number, (source: SourceTree) => void]>([
  ['one page becomes several', 1000, source => { for (let i = 1000; i < 1600; i++) source.write(`big/${nameOf(i)}`, 'new') }],
  ['several pages become one', 1500, source => { for (let i = 0; i < 1500; i += 2) source.remove(`big/${nameOf(i)}`) }],
  ['all pages change', 2500, source => { for (let i = 0; i < 2500; i += 40) source.write(`big/${nameOf(i)}`, 'changed') }],
  ['it is emptied', 2500, source => { source.remove('big').mkdir('big') }],
  ['it becomes a file', 2500, source => { source.remove('big').write('big', 'a file') }],
  ['it is removed', 2500, source => { source.remove('big') }],
  ['it is moved to another name', 2500, source => { source.move('big', 'other') }],
  ['only its last page goes', 2500, source => { for (let i = 2400; i < 2500; i++) source.remove(`big/${nameOf(i)}`) }],
  ['only its first page goes', 2500, source => { for (let i = 0; i < 100; i++) source.remove(`big/${nameOf(i)}`) }],
  ['a file in a directory of it changes', 2500, source => { source.write(`big/${nameOf(17)}/inner`, 'changed') }],
  ['a file moves from page to page', 2500, source => { source.move(`big/${nameOf(3)}`, `big/${nameOf(99_999)}`) }],
  ['directories become files and the other way round', 2500, source => {
    source.remove(`big/${nameOf(17)}`).write(`big/${nameOf(17)}`, 'a file').remove(`big/${nameOf(2000)}`).mkdir(`big/${nameOf(2000)}`)
  }],
])('a large directory is stored as it is if %s', (_what, entries, change) => {
  test('and again if that is undone', LONG, async () => {
    const world = new World()
    const source = largeSource(entries)
    const before = describeWanted(source)
    await push(await world.area(), source)
    expect(world.mirror).toEqual(before)
    const old = largeSource(entries)
    change(source)
    const { problems } = await pushReleased(world, source)
    expect(problems).toEqual([])
    expect(world.mirror).toEqual(describeWanted(source))
    expect((await (await world.area()).beginSync()).rootDigest).toEqual(source.snapshot().rootDigest)
    const again = new World()
    await push(await again.area(), source)
    await pushReleased(again, old)
    expect(again.mirror).toEqual(before)
  })
})

test('one new entry costs a page or two and the tables above, however large the directory is', LONG, async () => {
  const world = new World()
  const source = largeSource(20_000)
  await push(await world.area(), source)
  for (const name of [`${nameOf(12_345)} b`, 'a', 'z']) {
    const before = pagesOf(source)
    world.clock.jump(1000)
    source.write(`big/${name}`, 'one more')
    const { listings, listedBytes, asked } = await push(await world.area(), source)
    expect(asked).toEqual([`big/${name}`])
    // The root listing and what differs in the directory.
    expect(listings).toBe(1 + newNodes(before, pagesOf(source)))
    expect(listings).toBeLessThanOrEqual(1 + MOST_PAGES)
    expect(listedBytes).toBeLessThan(100_000)
  }
  expect(world.mirror).toEqual(describeWanted(source))
})

/** Inserts, removes, replaces and renames runs of entries of the directory. */
function edit (source: SourceTree, random: SeededRandom): void {
  const directory = source.at('big')
  if (directory.kind !== 'directory') throw new Error('unreachable')
  const names = [...directory.children.keys()].sort()
  const start = random.below(names.length)
  const run = names.slice(start, start + 1 + random.below(random.pick([1, 3, 200, names.length])))
  const what = random.pick(['insert', 'remove', 'replace', 'rename', 'link'])
  for (const [i, name] of run.entries()) {
    if (what === 'insert') source.write(`big/${name} ${String(i)}`, `new ${String(random.below(1000))}`)
    else if (what === 'remove' && directory.children.size > 1) source.remove(`big/${name}`)
    else if (what === 'rename') source.move(`big/${name}`, `big/${String(random.below(9))}${name}`)
    else if (what === 'link') source.remove(`big/${name}`).link(`big/${name}`, 'elsewhere')
    else if (what === 'replace') source.remove(`big/${name}`).write(`big/${name}`, `other ${String(random.below(1000))}`)
  }
}

test.each([1, 2, 3])(`random changes of large directories are stored, for what differs (seed ${String(SEED)} + %i)`, LONG, async run => {
  const random = seededRandom(SEED + run)
  const world = new World()
  const source = largeSource(1100 + random.below(2500))
  await push(await world.area(), source)
  for (let round = 0; round < 5; round++) {
    const before = pagesOf(source)
    for (let left = 1 + random.below(3); left > 0; left--) edit(source, random)
    const after = pagesOf(source)
    const { listings, problems } = await pushReleased(world, source)
    expect(problems).toEqual([])
    expect(world.mirror).toEqual(describeWanted(source))
    const inner = source.snapshot().directories
    expect(listings).toBeLessThanOrEqual(1 + newNodes(before, after) + inner)
    expect((await (await world.area()).beginSync()).rootDigest).toEqual(source.snapshot().rootDigest)
  }
})

/** Node sets times as doubles, which is less exact than the clock of the source. */
function withoutTime (line: string): string {
  return line.replace(/ \d{15}\b/u, '')
}

test('random changes of a large directory are stored on a disk, and verified', LONG, async () => {
  const random = seededRandom(SEED)
  const { area, root, clock } = await newSite()
  const source = largeSource(1500)
  for (let round = 0; round < 3; round++) {
    await area.release()
    await push(area, source)
    expect(describeFolder(`${root}/laptop`).map(withoutTime)).toEqual(describeSource(source).map(withoutTime))
    expect((await area.verify()).problems).toEqual([])
    clock.jump(3_600_000)
    edit(source, random)
  }
})

describe('if the store folds names', () => {
  const FOLDS = { foldsNames: true, windowsNames: false }

  test('a new spelling of a stored name of another page is refused, each time, and the stored file stays', LONG, async () => {
    const world = new World(FOLDS)
    const source = largeSource(3000)
    await push(await world.area(), source)
    const before = world.mirror
    const clash = nameOf(1500).toUpperCase()
    source.write(`big/${clash}`, 'other content')
    for (const more of ['big/zzz 1', 'big/zzz 2']) {
      world.clock.jump(1000)
      source.write(more, 'more')
      const { problems, listings } = await push(await world.area(), source)
      expect(problems).toMatchObject([{ code: 'NAME_COLLIDES', path: `big/${clash}` }])
      expect(listings).toBeLessThanOrEqual(2 + MOST_PAGES)
    }
    expect(world.mirror).toEqual(expect.arrayContaining(before.filter(line => !line.startsWith('big/ '))))
    expect(world.mirror.some(line => line.includes(clash))).toBe(false)
    // Once the stored one is gone, the other one takes its place.
    world.clock.jump(1000)
    source.remove(`big/${nameOf(1500)}`)
    const { problems } = await push(await world.area(), source)
    expect(problems).toEqual([])
    expect(world.mirror).toEqual(describeWanted(source))
  })

  test('a name that gets another spelling, and so moves to another page, keeps its content', LONG, async () => {
    const world = new World(FOLDS)
    const source = largeSource(3000)
    await push(await world.area(), source)
    world.clock.jump(1000)
    source.move(`big/${nameOf(1500)}`, `big/${nameOf(1500).toUpperCase()}`)
    const { problems, asked } = await push(await world.area(), source)
    expect([problems, asked]).toEqual([[], []])
    expect(world.mirror).toEqual(describeWanted(source))
  })
})

type Change = (pages: readonly Page[]) => readonly Page[]

describe('the sync ends with LISTING_INVALID, and nothing changes, if a table', () => {
  /** A sync that is shown a table instead of that of the stored directory, which has some of its pages. */
  async function showTable (change: Change, { isRoot = false } = {}): Promise<FileSyncError | undefined> {
    const world = new World()
    const source = isRoot ? new SourceTree() : largeSource(3000)
    if (isRoot) for (let i = 0; i < 2000; i++) source.write(nameOf(i), String(i))
    await push(await world.area(), source)
    const before = world.mirror
    const area = await world.area()
    const sync = await area.beginSync(isRoot ? { scope: { folders: new Map(), away: [], removed: new Set() } } : {})
    const table = encodePageTable(change(pagesOf(source, isRoot ? '' : 'big').levels[0] ?? []))
    const big: Entry = { kind: 'directory', name: 'big' as Name, mtimeNs: 5n, mode: 0o755, digest: hashBytes(table) }
    const root = isRoot ? table : encodeListing([big])
    const questions = new ListingRequester(hashBytes(root), hashBytes)
    try {
      for (const bytes of isRoot ? [table] : [root, table]) {
        questions.nextRequest()
        const arrived = questions.accept({ number: questions.arrived, bytes })
        for (const wanted of sync.compare(arrived)) {
          if (wanted?.entry !== undefined) questions.request({ number: wanted.listing, directory: ROOT_PATH }, wanted.index, wanted.entry)
        }
      }
      return undefined
    } catch (error) {
      return error as FileSyncError
    } finally {
      await sync.abandon()
      expect(world.mirror).toEqual(before)
    }
  }

  const other = { firstName: `${nameOf(1)} b` as Name, entries: 1, digest: hashBytes(encodeListing([])) }

  test.each<[string, Change]>([
    ['names a stored page by another first name', ([first, ...rest]) => [{ ...first, firstName: 'a' as Name } as Page, ...rest]],
    ['gives a stored page another number of entries', ([first, ...rest]) => [{ ...first, entries: 7 } as Page, ...rest]],
    ['names a page inside a stored one', ([first, ...rest]) => [first as Page, other, ...rest]],
    ['names a stored page twice', pages => [...pages, { ...pages[0], firstName: 'z' as Name } as Page]],
  ])('%s', LONG, async (_what, change) => {
    expect(await showTable(change)).toMatchObject({ code: 'LISTING_INVALID', path: 'big' })
  })

  test('lists the folders of a client', LONG, async () => {
    expect(await showTable(pages => pages, { isRoot: true })).toMatchObject({ code: 'LISTING_INVALID' })
  })

  test('but not if it is that of the directory', LONG, async () => {
    expect(await showTable(pages => pages.slice(0, -1))).toBeUndefined()
  })
})
