import { mkdir, mkdtemp, rm, symlink, writeFile } from 'node:fs/promises'
import { homedir, tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { checkStateDir, defaultStateDir } from '@filesync/program/node'
import { defaultSettingsFile, settingsFileName } from '../src/node/state-dir.ts'

describe.runIf(process.platform === 'linux')('default paths', () => {
  const home = join(homedir(), '.local/state/filesync/server')
  test.each([
    [{}, home],
    [{ XDG_STATE_HOME: '/var/x' }, '/var/x/filesync/server'],
    [{ XDG_STATE_HOME: '' }, home],
    [{ XDG_STATE_HOME: 'here' }, home],
    [{ STATE_DIRECTORY: '/var/lib/a:/var/lib/b' }, '/var/lib/a'],
    [{ STATE_DIRECTORY: '' }, home],
  ])('with %j, the state directory is %s', (env, directory) => {
    expect(defaultStateDir({ name: 'filesync-server', family: 'filesync', isService: true }, env)).toBe(directory)
  })

  test('the configuration file is named after the program', () => {
    const file = (name: string, base: string): string | undefined =>
      defaultSettingsFile({ name, family: 'filesync' }, { XDG_CONFIG_HOME: base })
    expect(file('filesync-client', '/etc/x')).toBe('/etc/x/filesync/client.yaml')
    expect(file('filesync-server', '')).toBe(join(homedir(), '.config/filesync/server.yaml'))
  })
})

describe('a state directory', () => {
  let folder: string
  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'filesync-state-'))
    await mkdir(join(folder, 'tree', 'below'), { recursive: true })
    await symlink(join(folder, 'tree', 'below'), join(folder, 'link'))
    await writeFile(join(folder, 'file'), '')
  })
  afterAll(async () => { await rm(folder, { recursive: true }) })

  test.each([
    'tree', 'tree/below', 'tree/not/there/yet', 'tree/..state', 'link', 'link/state', 'other/../tree/state', 'file/x',
  ])('%s is refused', async path => {
    await expect(checkStateDir(join(folder, path), join(folder, 'tree'), { treeName: 'the tree' }))
      .rejects.toEqual(expect.objectContaining({ code: 'USAGE' }))
  })

  test.each(['', 'treehouse', 'state', 'not/there/yet', '..tree'])('%j is accepted', async path => {
    await checkStateDir(join(folder, path), join(folder, 'tree'), { treeName: 'the tree' })
  })
})

test.each([
  ['win32', '%APPDATA%\\filesync\\client.yaml'], ['linux', '$XDG_CONFIG_HOME/filesync/client.yaml (~/.config by default)'],
] as const)('the help on %s names the settings file of that system', (platform, name) => {
  expect(settingsFileName({ name: 'filesync-client', family: 'filesync' }, platform)).toBe(name)
})
