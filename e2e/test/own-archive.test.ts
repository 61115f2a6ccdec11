import { once } from 'node:events'
import { mkdir, readdir, rename, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { CLIENT_PROGRAM, mirrorOf, Stage } from '../src/programs.ts'
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
  expect((await readdir(join(archive, 'client', 'documents'))).sort()).toEqual(['.filesyncignore', 'thesis'])
}, 60_000)

test('a directory in the archive of its server is refused with both paths', async () => {
  expect(await stage.push('client', documents, settled)).toMatchObject({ code: 0 })
  const copy = mirrorOf(server, 'client', documents)
  // It is not the folder of that name, and under a name of its own it is still a copy of what the server stores.
  expect(await stage.push('client', copy, settled)).toMatchObject({ code: 1, result: { code: 'SOURCE_SUSPECT' } })
  const refused = await stage.push('client', `copy=${copy}`, settled)
  expect(refused).toMatchObject({ code: 2, result: { code: 'USAGE' } })
  expect(refused.result.message).toContain(`${copy}, is inside the archive of the server, ${server.archive}.`)
}, 60_000)

test('the archive of another server is pushed, except for the part that is the server\'s own, and why says so', async () => {
  expect(await stage.push('client', documents, settled)).toMatchObject({ code: 0 })
  await stage.stop(server.child)
  const all = stage.path('all')
  await mkdir(all)
  await rename(server.archive, join(all, 'old archive'))
  const other = await stage.startServer('other')
  await stage.pair(other, 'second')
  expect(await stage.push('second', all, settled)).toMatchObject({ code: 0, result: { result: 'ok', problems: [] } })
  const child = stage.start(CLIENT_PROGRAM, ['start', all, '--json', ...settled, ...stage.clientArgs('second')])
  await once(createInterface({ input: child.stdout }), 'line')
  const why = await stage.run(CLIENT_PROGRAM, ['why', 'old archive', '--json', '--state-dir', stage.path('second')])
  expect(JSON.parse(why.stdout)).toMatchObject({
    path: 'all/old archive',
    state: 'stored',
    reason: expect.stringMatching(/1 entry that cannot be pushed, such as all\/old archive\/\.filesync .*archive of a FileSync/u) as string,
  })
  expect(await readdir(join(mirrorOf(other, 'second', all), 'old archive', 'client', 'documents'))).toEqual(['thesis'])
  expect(await readdir(join(mirrorOf(other, 'second', all), 'old archive'))).toEqual(['client'])
}, 60_000)
