import { join } from 'node:path'
import { setImmediate as nextTurn } from 'node:timers/promises'
import { expect, test } from 'vitest'
import { encodeListing, ROOT_PATH } from '@filesync/protocol'
import type { Name, RelativePath } from '@filesync/protocol'
import { openLmdbIndex } from '../src/node/lmdb-index.ts'
import { describeFolder, describeSource, newArchive, newFolder } from './support/on-disk.ts'
import { push } from './support/push.ts'
import { SourceTree } from './support/source-tree.ts'

function sample (files: number, generation = ''): SourceTree {
  const source = new SourceTree()
  for (let i = 0; i < files; i++) source.write(`d${String(i % 7)}/f${String(i)}`, `content ${String(i)} ${generation}`)
  return source
}

/** Sessions, verifying and looking for changes, all at once, until the archive is closed below them. */
async function work (root: string, turns: number): Promise<PromiseSettledResult<unknown>[]> {
  const archive = await newArchive({ root })
  const areas = await Promise.all(['one', 'two'].map(name => archive.area(name)))
  const under = areas.flatMap(area => [
    push(area, sample(60, String(turns)), { packBytes: 200 }), area.verify(), area.checkMirror({ directories: 10 }), area.prune(),
  ])
  const settled = Promise.allSettled(under)
  for (let turn = 0; turn < turns; turn++) await nextTurn()
  await archive.close()
  await expect(archive.area('one')).rejects.toMatchObject({ code: 'ABORTED' })
  return await settled
}

test('closing an archive ends all work under way with ABORTED, and the next opening continues it', async () => {
  const root = newFolder()
  let cut = 0
  for (const turns of [0, 3, 40]) {
    const failures = (await work(root, turns)).filter(result => result.status === 'rejected').map(({ reason }) => reason as Error)
    cut += failures.length
    for (const failure of failures) expect(failure).toMatchObject({ code: 'ABORTED' })
  }
  expect(cut).toBeGreaterThan(0)
  const archive = await newArchive({ root })
  for (const name of ['one', 'two']) {
    const area = await archive.area(name)
    const last = sample(60, 'last')
    expect((await push(area, last)).problems).toEqual([])
    expect(describeFolder(join(root, name))).toEqual(describeSource(last))
    expect((await area.verify()).problems).toEqual([])
  }
})

test('an index that is being closed rejects every call with ABORTED, and lmdb throws nothing from its timers', async () => {
  const index = openLmdbIndex(newFolder())
  const key = { area: 'a', directory: ROOT_PATH }
  await index.write([{ area: 'a', record: { open: false, lastStampMs: 1 } }])
  index.area('a')
  const stored = { listing: encodeListing([]), facts: new Uint8Array(0) }
  await index.write(['', 'one', 'two'].map(directory => ({ put: { area: 'a', directory: directory as RelativePath }, stored })))
  const [begun, pages] = [index.directories('a')[Symbol.iterator](), index.pages(key)]
  begun.next()
  const writing = index.write([{ area: 'a', record: { open: false, lastStampMs: 2 } }])
  const closed = index.close()
  const reads = [
    () => index.area('a'), () => index.areas(), () => index.directory(key), () => index.listing(key), () => [...index.directories('a')],
    () => begun.next(), () => pages?.read(0), () => index.stored(key), () => index.pages(key), () => index.page(key, 'any' as Name),
    () => index.digest(key), () => index.journal('a'), () => index.signature('a', ROOT_PATH),
  ]
  for (const read of reads) expect(read).toThrow(expect.objectContaining({ code: 'ABORTED' }))
  await expect(index.write([{ area: 'a', record: { open: false, lastStampMs: 3 } }])).rejects.toMatchObject({ code: 'ABORTED' })
  await Promise.all([writing, closed, index.close()])
  for (let turn = 0; turn < 20; turn++) await nextTurn()
})
