import { existsSync } from 'node:fs'
import { mkdir, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { askControl } from '@filesync/program/node'
import { CLIENT_PROGRAM, Stage } from '../src/programs.ts'

let stage: Stage
beforeEach(async () => {
  stage = await Stage.open()
  await mkdir(stage.path('source'))
  await mkdir(stage.path('other'))
})
afterEach(async () => { await stage.dispose() })

// Written well before now, so that no run waits for them to be quiet.
async function write (name: string, text: string): Promise<void> {
  await writeFile(stage.path('source', name), text)
}

test('a client that is paired with two servers keeps each directory on one, and says on which', async () => {
  const nas = await stage.startServer('nas', ['--name', 'nas'])
  await stage.pair(nas, 'client')
  await write('first', '1')
  const args = ['--settle', '0s']
  expect(await stage.push('client', stage.path('source'), args)).toMatchObject({ code: 0, result: { result: 'ok', server: 'nas' } })

  const attic = await stage.startServer('attic', ['--name', 'attic'])
  await stage.pair(attic, 'client')
  for (const nth of [1, 2, 3, 4, 5, 6]) {
    await write('first', `${nth}`.repeat(nth))
    expect(await stage.push('client', stage.path('source'), args)).toMatchObject({ code: 0, result: { result: 'ok', server: 'nas' } })
    expect(await readFile(join(nas.archive, 'client/source/first'), 'utf8')).toBe(`${nth}`.repeat(nth))
  }
  expect(existsSync(join(attic.archive, 'client'))).toBe(false)

  const refused = await stage.push('client', stage.path('other'), [...args, '--accept-source'])
  expect(refused).toMatchObject({ code: 2, stderr: expect.stringMatching(/2 servers \(nas, attic\).*--server-name/u) as unknown })

  await stage.stop(nas.child)
  const away = await stage.push('client', stage.path('source'), [
    ...args,
    '--server',
    `127.0.0.1:${attic.listening.port}`,
    '--server-name',
    'nas',
  ])
  expect(away.code).toBe(4)
  expect(existsSync(join(attic.archive, 'client'))).toBe(false)

  const moved = await stage.run(CLIENT_PROGRAM, [
    'push',
    stage.path('source'),
    ...args,
    '--server-name',
    'attic',
    ...stage.clientArgs('client'),
  ])
  expect(moved).toMatchObject({ code: 0, stdout: expect.stringContaining('Everything is stored on attic: 1 file') as unknown })
  expect(await stage.push('client', stage.path('source'), args)).toMatchObject({ code: 0, result: { server: 'attic' } })
})

test('a client that is started again knows when everything was stored last', async () => {
  const server = await stage.startServer()
  await stage.pair(server, 'client')
  await write('first', '1')
  expect((await stage.push('client', stage.path('source'), ['--settle', '0s'])).result.result).toBe('ok')
  await stage.stop(server.child)
  stage.start(CLIENT_PROGRAM, [
    'start',
    stage.path('source'),
    '--server',
    `127.0.0.1:${server.listening.port}`,
    ...stage.clientArgs('client'),
  ])
  await expect.poll(async () => await askControl(stage.path('client'), 'GET /status'), { timeout: 20_000 })
    .toMatchObject({ lastCompleteAt: expect.stringMatching(/^\d{4}-/u) as unknown })
})
