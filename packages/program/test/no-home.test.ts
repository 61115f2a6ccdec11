import { mkdtemp, readdir, rm } from 'node:fs/promises'
import { syncBuiltinESMExports } from 'node:module'
import os, { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { createProgram, defaultStateDir, homeDirectory, pathSetting, runProgram, userPath } from '@filesync/program/node'
import { fakeTerminal } from '@filesync/program/testing'
import { defaultSettingsFile } from '../src/node/state-dir.ts'

// A user id without an entry in the system's list, as in containers that run with --user.
const { homedir, userInfo } = os
beforeAll(() => {
  os.homedir = () => { throw new Error('uv_os_homedir returned ENOENT') }
  os.userInfo = () => { throw new Error('uv_os_get_passwd returned ENOENT') }
  syncBuiltinESMExports()
})
afterAll(() => {
  Object.assign(os, { homedir, userInfo })
  syncBuiltinESMExports()
})

const env = { XDG_CONFIG_HOME: '' }

test('there is no home directory, and none is invented', () => {
  for (const HOME of [undefined, '', '.']) expect(homeDirectory({ HOME })).toBeUndefined()
  expect(homeDirectory({ HOME: '/home/me' })).toBe('/home/me')
})

test('asks for --state-dir', () => {
  const usage = expect.objectContaining({ code: 'USAGE', message: expect.stringContaining('--state-dir DIR') as unknown }) as unknown
  for (const isService of [true, false]) {
    expect(() => defaultStateDir({ name: 'hello', isService, option: '--state-dir DIR' }, {})).toThrow(usage)
  }
  expect(defaultSettingsFile({ name: 'hello' }, {})).toBeUndefined()
  expect(() => userPath('~/x', {})).toThrow(expect.objectContaining({ code: 'USAGE' }))
})

test('a command with --state-dir runs, and writes nothing to the working directory', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'filesync-no-home-'))
  const before = await readdir('.')
  let stateDir: unknown
  const program = createProgram({ name: 'filesync-client', family: 'filesync', version: '1', description: '' })
  program.command('id').addOption(pathSetting('--state-dir <dir>', '')).addOption(pathSetting('--config <file>', ''))
    .action((flags: { stateDir: string }) => { ({ stateDir } = flags) })
  const terminal = fakeTerminal(env)
  expect(await runProgram(program, ['id', '--state-dir', folder], terminal), terminal.complained()).toBe(0)
  expect(stateDir).toBe(folder)
  expect(await readdir('.')).toEqual(before)
  await rm(folder, { recursive: true })
})
