import { mkdir, readdir, utimes, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { CLIENT_PROGRAM, Stage } from '../src/programs.ts'
import type { RunningServer } from '../src/programs.ts'

const CLIENT = 'home/.local/state/filesync/client'

let stage: Stage
let server: RunningServer
let home: string
beforeEach(async () => {
  stage = await Stage.open()
  home = stage.path('home')
  await mkdir(home)
  server = await stage.startServer()
  await mkdir(stage.path('home/.local/state/filesync'), { recursive: true })
  await stage.pair(server, CLIENT, 'laptop')
  await writeFile(join(home, 'letter'), 'dear')
  await utimes(join(home, 'letter'), 1_700_000_000, 1_700_000_000)
})
afterEach(async () => { await stage.dispose() })

test('a home directory is pushed without the client\'s state in it, and why says so', async () => {
  expect(await stage.push(CLIENT, home, ['--settle', '0s'])).toMatchObject({ code: 0, result: { result: 'ok' } })
  const stored = await readdir(join(server.archive, 'laptop', 'home'), { recursive: true })
  expect(stored).toContain('letter')
  expect(stored).toContain('.local/state/filesync')
  expect(stored.filter(path => path.includes('state/filesync/'))).toEqual(['.local/state/filesync/client.token'])
  expect(await stage.push(CLIENT, home, ['--settle', '0s'])).toMatchObject({ code: 0, result: { result: 'ok', filesSent: 0 } })
  for (const path of [stage.path(CLIENT), stage.path(CLIENT, 'folders.json')]) {
    const why = await stage.run(CLIENT_PROGRAM, ['why', path, '--json', ...stage.clientArgs(CLIENT)])
    expect([why.stderr, JSON.parse(why.stdout)]).toMatchObject(['', { state: 'excluded' }])
  }
}, 60_000)
