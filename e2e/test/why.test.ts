import { createInterface } from 'node:readline'
import { once } from 'node:events'
import { mkdir, rename, rm, utimes, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { CLIENT_PROGRAM, Stage } from '../src/programs.ts'

const LONG_AGO = 1_600_000_000

let stage: Stage
let source: string
beforeEach(async () => {
  stage = await Stage.open()
  source = stage.path('source')
  await mkdir(join(source, 'd'), { recursive: true })
  await write('top', 'one')
  await write('d/file', 'two')
  await stage.pair(await stage.startServer('server', ['--interval', '3600']), 'client')
})
afterEach(async () => { await stage.dispose() })

async function write (path: string, content: string): Promise<void> {
  await writeFile(join(source, path), content)
  await utimes(join(source, path), LONG_AGO, LONG_AGO)
}

async function why (path: string): Promise<{ readonly state: string, readonly reason: string }> {
  const { code, stdout, stderr } = await stage.run(CLIENT_PROGRAM, ['why', path, '--json', '--state-dir', stage.path('client')])
  expect(code, stderr).toBe(0)
  return JSON.parse(stdout) as { state: string, reason: string }
}

test('a client that does not watch says of a file how it is now, not how it was at the last run', async () => {
  const child = stage.start(CLIENT_PROGRAM, ['start', source, '--no-watch', '--json', ...stage.clientArgs('client')])
  await once(createInterface({ input: child.stdout }), 'line')
  expect(await why('top')).toMatchObject({
    state: 'stored',
    reason: expect.stringContaining('(3 bytes, modified 2020-09-13T12:26:40.000Z)') as unknown,
  })
  expect(await why('d')).toMatchObject({ state: 'stored' })

  await write('top', 'changed since')
  await write('d/new', 'new')
  expect(await why('top')).toMatchObject({
    state: 'pending',
    reason: expect.stringMatching(/^It has changed since it was stored \(13 bytes, .*the next run is at/u) as unknown,
  })
  expect(await why('d/new')).toMatchObject({ state: 'pending' })
  expect(await why('d')).toMatchObject({ state: 'pending', reason: expect.stringContaining('Its content has changed') as unknown })
  expect(await why('d/file')).toMatchObject({ state: 'stored' })
  // Another file of the same size and time.
  await write('other', 'two')
  await rename(join(source, 'other'), join(source, 'd/file'))
  expect(await why('d/file')).toMatchObject({ state: 'pending' })
  await rm(join(source, 'top'))
  expect(await why('top')).toMatchObject({ state: 'absent' })
})
