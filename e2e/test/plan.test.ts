import { mkdir, readdir, rename, rm, utimes, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { CLIENT_PROGRAM, openPairedStage } from '../src/programs.ts'
import type { Finished, RunningServer, Stage } from '../src/programs.ts'
import { describeTree } from '../src/trees.ts'

const LONG_AGO = 1_700_000_000

let stage: Stage
let server: RunningServer
let source: string
let mirror: string

beforeEach(async () => {
  ({ stage, server, source, mirror } = await openPairedStage())
  await mkdir(join(source, 'sub'))
})

afterEach(async () => { await stage.dispose() })

async function write (name: string, text: string): Promise<void> {
  await writeFile(join(source, name), text)
  await utimes(join(source, name), LONG_AGO, LONG_AGO)
}

async function plan (...args: string[]): Promise<Finished> {
  return await stage.run(CLIENT_PROGRAM, ['plan', source, ...stage.clientArgs('client'), ...args])
}

test('a plan says what the push after it does, and leaves both ends unchanged', async () => {
  for (const name of ['stays', 'changes', 'goes', 'moves', 'sub/one']) await write(name, `content of ${name}`)
  expect(JSON.parse((await plan('--json')).stdout)).toMatchObject({
    result: 'ok',
    filesNew: 5,
    filesChanged: 0,
    filesDeleted: 0,
    filesRenamed: 0,
    filesTotal: 5,
  })
  expect(await readdir(join(server.archive, 'client'))).toEqual([])
  await stage.push('client', source)
  await write('changes', 'content that is new')
  await write('sub/fresh', 'fresh')
  await rm(join(source, 'goes'))
  await rename(join(source, 'moves'), join(source, 'sub', 'moved'))
  const before = [
    await describeTree(source),
    await describeTree(mirror),
    await readdir(join(server.archive, '.filesync', 'versions')).catch(() => []),
  ]
  const planned = await plan('--json')
  expect(planned.code, planned.stderr).toBe(0)
  expect(JSON.parse(planned.stdout)).toEqual({
    result: 'ok',
    filesNew: 1,
    bytesNew: 5,
    filesChanged: 1,
    bytesChanged: 19,
    filesDeleted: 1,
    bytesDeleted: 15,
    filesRenamed: 1,
    filesTotal: 5,
    bytesTotal: 74,
    problems: [],
    problemCount: 0,
    leftOut: [],
    leftOutCount: 0,
  })
  expect([
    await describeTree(source),
    await describeTree(mirror),
    await readdir(join(server.archive, '.filesync', 'versions')).catch(() => []),
  ]).toEqual(before)
  expect(await stage.push('client', source)).toMatchObject({ code: 0, result: { filesSent: 2, filesDeleted: 1, filesRenamed: 1 } })
}, 60_000)

test('a plan names what would stop the push, and a failed one says so in JSON too', async () => {
  for (let i = 0; i < 150; i++) await write(`f${i}`, `${i}`)
  await write('kept', 'x')
  await stage.push('client', source)
  for (let i = 0; i < 150; i++) await rm(join(source, `f${i}`))
  expect(JSON.parse((await plan('--json')).stdout)).toMatchObject({
    result: 'stopped',
    filesDeleted: 150,
    message: expect.stringContaining('would vanish') as unknown,
  })
  await stage.stop(server.child)
  const failed = await plan('--json', '--server', `127.0.0.1:${server.listening.port}`)
  expect(failed.code).toBe(75)
  expect(JSON.parse(failed.stdout)).toMatchObject({ result: 'failed', code: 'SERVER_UNREACHABLE' })
}, 60_000)

test('a push under another name than the client was paired as is refused before anything is sent', async () => {
  await write('file', 'x')
  const refused = await stage.push('client', source, ['--id', 'somebody-else'])
  expect(refused).toMatchObject({ code: 2, result: { result: 'failed', code: 'USAGE' } })
  expect(refused.stderr).toContain('paired as "client"')
  expect(await readdir(join(server.archive, 'client'))).toEqual([])
  expect(await stage.push('client', source, ['--id', 'client'])).toMatchObject({ code: 0, result: { filesSent: 1 } })
}, 60_000)
