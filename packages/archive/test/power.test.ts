import { readFileSync, statSync, utimesSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { describeFolder, describeSource, newArchive, newFolder } from './on-disk.ts'
import { push } from './push.ts'
import { SourceTree } from './source-tree.ts'

/** Pushes until so many files are said to be stored, and ends the process as far as the archive can tell. */
async function pushAndEnd (root: string, source: SourceTree, files: number): Promise<void> {
  const archive = await newArchive({ root })
  let stored = (): void => { /* set below */ }
  const whenStored = new Promise<void>(resolve => { stored = resolve })
  await expect(push(await archive.area('laptop'), source, {
    withhold: path => path === 'late',
    onSync: sync => { sync.onStored = so => { if (so.files >= files) stored() } },
    before: async () => {
      await whenStored
      await archive.close()
    },
  })).rejects.toMatchObject({ code: 'ABORTED' })
}

/** As a power cut leaves a file of which nothing but its size and time got to the disk. */
function lose (path: string): void {
  const { size, mtimeNs } = statSync(path, { bigint: true })
  writeFileSync(path, new Uint8Array(Number(size)))
  utimesSync(path, Number(mtimeNs) / 1e9, Number(mtimeNs) / 1e9)
}

test('a file that was placed in an unfinished batch, and lost what it held, is asked for again', async () => {
  const root = newFolder()
  const source = new SourceTree().write('placed', 'what arrived').write('late', 'x')
  await pushAndEnd(root, source, 1)
  expect(readFileSync(join(root, 'laptop', 'placed'), 'utf8')).toBe('what arrived')
  lose(join(root, 'laptop', 'placed'))
  const area = await (await newArchive({ root })).area('laptop')
  expect((await push(area, source)).asked).toEqual(['late', 'placed'])
  expect(describeFolder(join(root, 'laptop'))).toEqual(describeSource(source))
  expect((await area.verify()).problems).toEqual([])
})

test('a file that lost what it held is asked for again, also where the client went back to what was there before', async () => {
  const root = newFolder()
  const before = new SourceTree().write('placed', 'at first')
  const first = await newArchive({ root })
  await push(await first.area('laptop'), before)
  await first.close()
  await pushAndEnd(root, new SourceTree().write('other', 'takes a time').write('placed', 'and then').write('late', 'x'), 2)
  lose(join(root, 'laptop', 'placed'))
  const area = await (await newArchive({ root })).area('laptop')
  expect((await push(area, before)).asked).toEqual(['placed'])
  expect(describeFolder(join(root, 'laptop'))).toEqual(describeSource(before))
})
