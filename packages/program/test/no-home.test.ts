import { mkdtemp, readdir, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, expect, test, vi } from 'vitest'
import { fakeTerminal } from '@filesync/program/testing'

// A user id without an entry in the system's list, as in containers that run with --user. Modules may be shared with other
// test files, so those that ask the system are loaded again here.
vi.resetModules()
vi.doMock('node:os', async original => ({
  ...await original<Record<string, unknown>>(),
  homedir: () => { throw new Error('uv_os_homedir returned ENOENT') },
  userInfo: () => { throw new Error('uv_os_get_passwd returned ENOENT') },
}))
const { createProgram, defaultStateDir, homeDirectory, pathSetting, runProgram, userPath } = await import('@filesync/program/node')
const { defaultSettingsFile } = await import('../src/node/state-dir.ts')
afterAll(() => {
  vi.doUnmock('node:os')
  vi.resetModules()
})

const env = { XDG_CONFIG_HOME: '' }

test('no home directory is known, and none is made up', () => {
  for (const HOME of [undefined, '', '.']) expect(homeDirectory({ HOME })).toBeUndefined()
  expect(homeDirectory({ HOME: '/home/me' })).toBe('/home/me')
})

test('the place of the state has to be named, and the message says how', () => {
  for (const program of ['server', 'client'] as const) {
    expect(() => defaultStateDir(program, {})).toThrow(expect.objectContaining({ code: 'USAGE', message: expect.stringContaining('--state-dir DIR') as unknown }))
  }
  expect(defaultSettingsFile('filesync-client', {})).toBeUndefined()
  expect(() => userPath('~/x', {})).toThrow(expect.objectContaining({ code: 'USAGE' }))
})

test('a command with --state-dir runs, and nothing is written below the working directory', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'filesync-no-home-'))
  const before = await readdir('.')
  let stateDir: unknown
  const program = createProgram({ name: 'filesync-client', version: '1', description: '' })
  program.command('id').addOption(pathSetting('--state-dir <dir>', '')).addOption(pathSetting('--config <file>', '')).action((flags: { stateDir: string }) => { ({ stateDir } = flags) })
  const terminal = fakeTerminal(env)
  expect(await runProgram(program, ['id', '--state-dir', folder], terminal), terminal.complained()).toBe(0)
  expect(stateDir).toBe(folder)
  expect(await readdir('.')).toEqual(before)
  await rm(folder, { recursive: true })
})
