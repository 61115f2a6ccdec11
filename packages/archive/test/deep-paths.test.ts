import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { LIMITS } from '@filesync/protocol'
import { hashBytes } from '@filesync/protocol/node'
import { newArchive, newFolder } from './support/on-disk.ts'
import { asPath, push } from './support/push.ts'
import { SourceTree } from './support/source-tree.ts'

const DEEPEST = Array.from({ length: LIMITS.pathDepth - 1 }, () => 'd').join('/')
const OVER = `${DEEPEST}/e`

test('a path of the maximum depth is stored and safe, and each deeper entry is a problem', async () => {
  const area = await (await newArchive()).area('laptop')
  // Our own client leaves these out; one that does not receives problems.
  const source = new SourceTree()
    .write(`${DEEPEST}/last`, 'is stored').write(`${OVER}/file`, 'too deep').link(`${OVER}/link`, 'file')
    .write(`${OVER}/f/below`, 'far too deep')
  for (const again of [false, true]) {
    const { problems, asked } = await push(area, source)
    expect(asked).toEqual(again ? [] : [`${DEEPEST}/last`])
    const expected = ['f', 'file', 'link'].map(name => `PATH_TOO_DEEP ${OVER}/${name}`)
    expect(problems.map(({ path, code }) => `${code} ${path}`).sort()).toEqual(expected)
  }
  const answers = await area.checkSafe([{
    path: asPath(`${DEEPEST}/last`),
    kind: 'file',
    digest: hashBytes(Buffer.from('is stored')),
  }], { fresh: true })
  expect(answers).toMatchObject([{ verdict: 'safe' }])
  expect((await area.verify()).problems).toEqual([])
})

test('a rebuilt index leaves out deeper paths that were put into the archive by hand', async () => {
  const root = newFolder()
  const area = await (await newArchive({ root })).area('laptop')
  const deep = join(root, 'laptop', OVER, 'f/g')
  mkdirSync(deep, { recursive: true })
  writeFileSync(join(deep, 'file'), 'by hand')
  writeFileSync(join(root, 'laptop', DEEPEST, 'last'), 'is known')
  expect(await area.rebuild()).toEqual({ files: 1, bytes: 8 })
})
