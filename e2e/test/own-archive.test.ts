import { mkdir, readdir, rename, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { CLIENT_PROGRAM, Stage } from '../src/programs.ts'
import type { RunningServer } from '../src/programs.ts'

let stage: Stage
let server: RunningServer
let documents: string
beforeEach(async () => {
  stage = await Stage.open()
  server = await stage.startServer()
  await stage.pair(server, 'client')
  documents = stage.path('documents')
  await mkdir(documents)
  await writeFile(join(documents, 'thesis'), 'important')
})
afterEach(async () => { await stage.dispose() })

const settled = ['--settle', '0s']

test('a directory that holds the archive of its server is refused with both paths, unless a rule leaves the archive out', async () => {
  await stage.stop(server.child)
  const archive = join(documents, 'backup')
  await rename(server.archive, archive)
  server = await stage.startServer('server', ['--archive', archive])
  const refused = await stage.push('client', documents, settled)
  expect(refused).toMatchObject({ code: 2, result: { result: 'failed', code: 'USAGE' } })
  expect(refused.result.message).toContain(`${documents}, contains the archive of the server, ${archive},`)
  expect(await readdir(join(archive, 'client'))).toEqual([])
  // It does not go on trying either.
  expect((await stage.run(CLIENT_PROGRAM, ['start', documents, ...settled, ...stage.clientArgs('client')])).code).toBe(2)
  expect((await stage.run(CLIENT_PROGRAM, ['plan', documents, ...stage.clientArgs('client')])).code).toBe(2)
  await writeFile(join(documents, '.filesyncignore'), '/backup/\n')
  expect(await stage.push('client', documents, settled)).toMatchObject({ code: 0 })
  expect((await readdir(join(archive, 'client'))).sort()).toEqual(['.filesyncignore', 'thesis'])
}, 60_000)

test('a directory in the archive of its server is refused with both paths', async () => {
  expect(await stage.push('client', documents, settled)).toMatchObject({ code: 0 })
  const copy = join(server.archive, 'client')
  const refused = await stage.push('client', copy, settled)
  expect(refused).toMatchObject({ code: 2, result: { code: 'USAGE' } })
  expect(refused.result.message).toContain(`${copy}, is inside the archive of the server, ${server.archive}.`)
}, 60_000)

test('the archive of another server is pushed, except for the part that is the server\'s own, which is reported once', async () => {
  expect(await stage.push('client', documents, settled)).toMatchObject({ code: 0 })
  await stage.stop(server.child)
  const all = stage.path('all')
  await mkdir(all)
  await rename(server.archive, join(all, 'old archive'))
  const other = await stage.startServer('other')
  await stage.pair(other, 'second')
  const { code, result } = await stage.push('second', all, settled)
  expect(code).toBe(5)
  expect(result.problems).toEqual([{
    path: 'old archive/.filesync', code: 'NAME_RESERVED', message: expect.stringContaining('is the archive of a FileSync server') as string,
  }])
  expect(await readdir(join(other.archive, 'second', 'old archive', 'client'))).toEqual(['thesis'])
}, 60_000)
