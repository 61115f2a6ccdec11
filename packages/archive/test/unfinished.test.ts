import { ROOT_PATH } from '@filesync/protocol'
import type { RelativePath } from '@filesync/protocol'
import { hashBytes } from '@filesync/protocol/node'
import { expect, test } from 'vitest'
import type { StoredSoFar, Sync } from '../src/index.ts'
import { World } from './support/in-memory.ts'
import { compareAll, makePack, push } from './support/push.ts'
import { SourceTree } from './support/source-tree.ts'
import type { SourceNode } from './support/source-tree.ts'

type SourceFile = Extract<SourceNode, { kind: 'file' }>

const FILES = 300

function manyFiles (): SourceTree {
  const source = new SourceTree()
  for (let i = 0; i < FILES; i++) source.write(`docs/f${String(i)}`, `content ${String(i)}`)
  return source
    .write('kind', 'a file').mkdir('folder').write('folder/a', 'a').write('folder/b', 'b').write('deleted', 'x')
    .write('same', 'y')
}

/** A directory gets another name, two paths hold another kind of thing, and a file goes. */
function change (source: SourceTree): void {
  source
    .move('docs', 'elsewhere').remove('kind').write('kind/new', 'z').remove('folder').write('folder', 'a file now')
    .remove('deleted').write('late', 'comes late')
}

/** Ends early when all but one file have arrived. Returns the last progress. */
async function pushMost (world: World, source: SourceTree): Promise<StoredSoFar | undefined> {
  let last: StoredSoFar | undefined
  const onSync = (sync: Sync): void => { sync.onStored = stored => { last = stored } }
  await push(await world.area(), source, { end: 'abandon', withhold: path => path === 'late', onSync })
  return last
}

test('a sync that ends early and the next one together count what one sync would', async () => {
  const [world, whole] = [new World(), new World()]
  const source = manyFiles()
  for (const { area } of [world, whole].map(one => ({ area: one.area() }))) await push(await area, source)
  change(source)
  const { files, bytes, renamed, deleted } = await push(await whole.area(), source)
  expect({ files, renamed, deleted }).toEqual({ files: 3, renamed: FILES, deleted: 4 })
  const first = await pushMost(world, source)
  expect(first).toMatchObject({ files: 2, renamed: FILES, deleted: 3 })
  const second = await push(await world.area(), source)
  expect({
    files: 2 + second.files,
    bytes: (first?.bytes ?? 0) + second.bytes,
    renamed: FILES + second.renamed,
    deleted: 3 + second.deleted,
  }).toEqual({ files, bytes, renamed, deleted })
  expect(world.mirror).toEqual(whole.mirror)
})

test('a file that has not arrived replaces nothing, and what it will replace is not counted as deleted', async () => {
  const world = new World()
  const source = new SourceTree().write('late/a', 'a').write('late/b', 'b')
  await push(await world.area(), source)
  source.remove('late').write('late', 'a file')
  expect(await pushMost(world, source)).toBeUndefined()
  expect(await push(await world.area(), source)).toMatchObject({ files: 1, deleted: 2 })
})

test('names replaced by another spelling are counted as deleted by the sync that replaced them', async () => {
  const world = new World({ foldsNames: true, windowsNames: false })
  const source = new SourceTree().write('Report', 'one').write('deleted', 'x')
  await push(await world.area(), source)
  source.remove('Report').write('REPORT', 'two').remove('deleted').write('late', 'x')
  expect(await pushMost(world, source)).toMatchObject({ files: 1, deleted: 1 })
  expect(await push(await world.area(), source)).toMatchObject({ files: 1, deleted: 1 })
})

/** All that is stored moves, and so few files go that the brake has nothing to do with them. */
async function moveAll (): Promise<{ readonly world: World, readonly source: SourceTree }> {
  const world = new World()
  const source = manyFiles()
  await push(await world.area(), source)
  return { world, source: source
    .move('docs', 'elsewhere').remove('deleted').remove('same').remove('kind').remove('folder').write('late', 'comes late') }
}

test('what a sync moved before it ended early is not counted as deleted by the next one', async () => {
  const { world, source } = await moveAll()
  expect(await pushMost(world, source)).toMatchObject({ renamed: FILES, deleted: 0 })
  const area = await world.area()
  const run = await area.beginPlanRun()
  compareAll(run, source.snapshot())
  expect(await run.finish({ complete: true })).toMatchObject({ deleted: { files: 5 }, obstacle: undefined })
  // Nor where some directories could not be read by then.
  expect(await push(area, source, { complete: false })).toMatchObject({ files: 1, deleted: 0 })
  expect(await push(area, source)).toMatchObject({ renamed: 0, deleted: 5 })
})

test('what a process moved before it was killed is not counted as deleted by the next one', async () => {
  const { world, source } = await moveAll()
  const before = async (): Promise<void> => { world.failure = { at: world.calls + 1, error: new Error('The process was killed.') } }
  await expect(push(await world.area(), source, { withhold: () => true, before })).rejects.toThrow('killed')
  world.failure = undefined
  const { renamed, deleted } = await push(await world.area(), source)
  expect(deleted).toBe(5)
  expect([0, FILES]).toContain(renamed)
})

test('a file whose content has no other path is deleted, although another file has its file id, size and time', async () => {
  const world = new World()
  const source = manyFiles()
  await push(await world.area(), source)
  const { mtimeNs, fileId } = source.at('docs/f0') as SourceFile
  Object.assign(source.write('alike', 'CONTENT 0').at('alike'), { mtimeNs, fileId })
  await push(await world.area(), source)
  source.move('docs', 'elsewhere').write('late', 'comes late')
  await pushMost(world, source)
  source.remove('elsewhere/f0')
  expect(await push(await world.area(), source)).toMatchObject({ deleted: 2 })
})

test('what was placed before the brake held is finished after a crash', async () => {
  const world = new World()
  const source = manyFiles()
  await push(await world.area(), source)
  source.move('docs', 'elsewhere').write('early', 'new')
  const sync = await (await world.area()).beginSync()
  const { answers } = compareAll(sync, source.snapshot())
  const plan = sync.plan({ complete: true, digest: true })
  const stored = new Promise<void>(resolve => { sync.onStored = () => { resolve() } })
  for (const [task, [listing, index, how]] of [...plan.tasks].entries()) {
    if (how === 'DIGEST') await sync.compareDigests([{ task, digest: hashBytes(new Uint8Array([1])) }])
    else expect(answers.entry(listing, index)).toMatchObject({ directory: ROOT_PATH, entry: { name: 'early' } })
    if (how !== 'DIGEST') await sync.stagePack(makePack([{ task, content: new TextEncoder().encode('new') }]))
  }
  await stored
  expect(() => plan.retryTasks()).toThrow(expect.objectContaining({ code: 'HALTED' }))
  // The process ends here, and another one starts.
  const area = await world.area()
  await (await area.beginSync()).abandon()
  expect(area.stat('early' as RelativePath)).toMatchObject({ sizeBytes: 3 })
  expect(area.halted).toMatchObject({ vanishing: FILES })
})
