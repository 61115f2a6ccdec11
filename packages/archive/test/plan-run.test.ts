import { join } from 'node:path'
import { expect, test } from 'vitest'
import type { Area, PlanRunOutcome } from '../src/index.ts'
import { describeFolder, newArchive, newFolder, versionsIn } from './support/on-disk.ts'
import { compareAll, push } from './support/push.ts'
import { SourceTree } from './support/source-tree.ts'

async function runPlan (area: Area, source: SourceTree, complete = true): Promise<PlanRunOutcome> {
  const looking = await area.beginPlanRun()
  compareAll(looking, source.snapshot())
  return await looking.finish({ complete })
}

const sample = (): SourceTree => new SourceTree()
  .write('stays', 'as it is').write('changes', 'old').write('goes', 'away').write('moves', 'the same bytes elsewhere')
  .write('sub/one', '1').write('sub/two', '22').link('link', 'stays')

const change = (source: SourceTree): SourceTree => source
  .write('changes', 'new content').remove('goes').move('moves', 'sub/moved').write('fresh', 'f').write('sub/more', 'more').remove('sub/one')

test('describes what the next sync then does, and changes nothing', async () => {
  const root = newFolder()
  const area = await (await newArchive({ root })).area('laptop')
  const source = sample()
  expect(await runPlan(area, source)).toMatchObject({
    added: { files: 6, bytes: 42 },
    changed: { files: 0, bytes: 0 },
    deleted: { files: 0, bytes: 0 },
    renamed: 0,
  })
  await push(area, source)
  const before = describeFolder(join(root, 'laptop'))
  change(source)
  const told = await runPlan(area, source)
  expect(told).toEqual({
    added: { files: 2, bytes: 5 },
    changed: { files: 1, bytes: 11 },
    deleted: { files: 2, bytes: 5 },
    renamed: 1,
    problems: [],
    problemCount: 0,
    obstacle: undefined,
  })
  expect([describeFolder(join(root, 'laptop')), versionsIn(root, 'laptop')]).toEqual([before, []])
  expect(await runPlan(area, source)).toEqual(told)
  expect(await push(area, source)).toMatchObject({
    files: told.added.files + told.changed.files,
    renamed: told.renamed,
    deleted: told.deleted.files,
  })
  expect(await runPlan(area, source)).toMatchObject({ added: { files: 0 }, changed: { files: 0 }, deleted: { files: 0 }, renamed: 0 })
})

test('plans no deletions after an incomplete scan, or if the archive keeps deleted files', async () => {
  for (const [mode, complete] of [['mirror', false], ['archive', true]] as const) {
    const area = await (await newArchive({ deletions: mode })).area('laptop')
    const source = sample()
    await push(area, source)
    expect(await runPlan(area, source.remove('goes'), complete)).toMatchObject({ deleted: { files: 0, bytes: 0 } })
  }
})

test('reports that the brake would halt the sync, and names what there is no room for', async () => {
  const crowd = new SourceTree()
  for (let i = 0; i < 150; i++) crowd.write(`f${i}`, `${i}`)
  const area = await (await newArchive({ quotaBytes: 1000 })).area('laptop')
  await push(area, crowd)
  expect((await runPlan(area, new SourceTree())).obstacle).toMatch(/150 of 150 files of "laptop" would vanish/u)
  expect(area.halted).toBeUndefined()
  const overQuota = await runPlan(area, crowd.write('large', new Uint8Array(2000)).write('little', 'x'))
  expect(overQuota).toMatchObject({
    added: { files: 1, bytes: 1 },
    problems: [{ path: 'large', code: 'NO_ROOM' }],
    problemCount: 1,
    obstacle: undefined,
  })
  const full = await (await newArchive({ reserveBytes: 2 ** 60 })).area('laptop')
  expect(await runPlan(full, crowd)).toMatchObject({ added: { files: 0 }, problemCount: 152, obstacle: undefined })
})

test('does not affect a later sync', async () => {
  const area = await (await newArchive()).area('laptop')
  const source = sample()
  await push(area, source)
  const looking = await area.beginPlanRun()
  const pushed = await push(area, change(source))
  compareAll(looking, source.snapshot())
  expect(pushed).toMatchObject({ files: 3, deleted: 2, problems: [] })
  expect(await looking.finish({ complete: true })).toMatchObject({ added: { files: 0 }, deleted: { files: 0 } })
})
