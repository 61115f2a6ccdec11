import { mkdir, mkdtemp, realpath, rm, symlink, writeFile } from 'node:fs/promises'
import { homedir, tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import {
  createProgram, homeDirectory, namedPath, nameOnDisk, pathArgument, pathSetting, runProgram, userPath,
} from '@filesync/program/node'
import { fakeTerminal } from '@filesync/program/testing'

let folder: string
beforeAll(async () => {
  folder = await realpath(await mkdtemp(join(tmpdir(), 'filesync-paths-')))
  await mkdir(join(folder, 'etc'))
})
afterAll(async () => { await rm(folder, { recursive: true }) })

const working = process.cwd()

describe('the name of a path', () => {
  test('is spelled as on the disk, which may find it by another spelling too', async () => {
    for (const name of ['Photos', 'Ärger', 'one', 'ONE']) await mkdir(join(folder, 'names', name), { recursive: true })
    const named = (name: string): string => nameOnDisk(join(folder, 'names', name))
    expect(['Photos', 'photos', 'PHOTOS', 'ärger'.normalize('NFD'), 'one', 'One', 'none'].map(named))
      .toEqual(['Photos', 'Photos', 'Photos', 'Ärger', 'one', 'One', 'none'])
    expect([nameOnDisk(join(folder, 'missing', 'x')), nameOnDisk('/')]).toEqual(['x', ''])
  })
})

describe.runIf(process.platform !== 'win32')('a path from the user', () => {
  test.each([
    ['/a/../b', '/b'], ['a', join(working, 'a')], ['~', '/home/me'], ['~/x', '/home/me/x'], ['~/', '/home/me'], ['./~', join(working, '~')],
    ['a/~', join(working, 'a/~')], ['~$x', join(working, '~$x')], ['x~', join(working, 'x~')],
  ])('%s is %s', (text, path) => {
    expect(userPath(text, { HOME: '/home/me' })).toBe(path)
  })

  test('is relative to the given base, except for ~', () => {
    expect(userPath('../x', { HOME: '/home/me' }, '/etc/filesync')).toBe('/etc/x')
    expect(userPath('~/x', { HOME: '/home/me' }, '/etc/filesync')).toBe('/home/me/x')
  })

  test.each(['~root', '~root/x', '~a.b-c/x'])('%s is refused with what to do', text => {
    const usage = expect.objectContaining({ code: 'USAGE', message: expect.stringContaining(`./${text}`) as unknown }) as unknown
    expect(() => userPath(text, { HOME: '/home/me' })).toThrow(usage)
  })

  test('an empty or relative HOME counts as not set', () => {
    for (const HOME of ['', '.', 'me']) expect(homeDirectory({ HOME })).toBe(homeDirectory({}))
    expect(homeDirectory({ HOME: '' })).toBe(homedir())
  })
})

describe.runIf(process.platform !== 'win32')('in the script of a package manager', () => {
  const script = { npm_lifecycle_event: 'start', npm_package_json: join(working, 'package.json'), INIT_CWD: '/where/I/am' }

  test('a path is relative to the directory in which the package manager was called', () => {
    expect(userPath('x', script)).toBe('/where/I/am/x')
    expect(userPath('.', { ...script, npm_package_json: undefined })).toBe('/where/I/am')
  })

  test('a path is relative to the working directory if the script has changed it', () => {
    expect(userPath('x', { ...script, npm_package_json: '/elsewhere/package.json' })).toBe(join(working, 'x'))
  })

  test('a symbolic link to the working directory makes no difference', async () => {
    await symlink(working, join(folder, 'link'))
    expect(userPath('x', { ...script, npm_package_json: join(folder, 'link', 'package.json') })).toBe('/where/I/am/x')
  })

  test.each([
    { npm_lifecycle_event: undefined }, { INIT_CWD: undefined }, { INIT_CWD: '' }, { INIT_CWD: 'here' },
  ])('%j means that no script runs', change => {
    expect(userPath('x', { ...script, ...change })).toBe(join(working, 'x'))
  })
})

interface Received {
  readonly directory?: string | undefined
  readonly options?: Readonly<Record<string, string>>
}

async function run (argv: readonly string[], env: Readonly<Record<string, string>> = {}): Promise<Received> {
  let received: Received = {}
  const program = createProgram({ name: 'filesync-test', family: 'filesync', version: '1', description: '' })
  program.command('go').addArgument(pathArgument('[dir]'))
    .addOption(pathSetting('--config <file>', '')).addOption(pathSetting('--archive <dir>', ''))
    .action((directory: string | undefined, options: Record<string, string>) => { received = { directory, options } })
  await runProgram(program, ['go', ...argv], fakeTerminal({ HOME: '/home/me', ...env }))
  return received
}

describe.runIf(process.platform !== 'win32')('a command receives absolute paths', () => {
  const script = { npm_lifecycle_event: 'start', npm_package_json: join(working, 'package.json'), INIT_CWD: '/where/I/am' }

  test('from flags, arguments and the environment, relative to the working directory', async () => {
    expect(await run(['a', '--archive', 'b'])).toEqual({ directory: join(working, 'a'), options: { archive: join(working, 'b') } })
    expect(await run(['a', '--archive', 'b'], script)).toEqual({ directory: '/where/I/am/a', options: { archive: '/where/I/am/b' } })
    expect(await run(['~/a'], { FILESYNC_ARCHIVE: '~/b' })).toEqual({ directory: '/home/me/a', options: { archive: '/home/me/b' } })
    expect(await run([], { ...script, FILESYNC_ARCHIVE: 'b' })).toMatchObject({ options: { archive: '/where/I/am/b' } })
  })

  test('from a settings file, relative to the directory of the file', async () => {
    const file = join(folder, 'etc', 'settings.yaml')
    await writeFile(file, 'archive: ../x')
    expect(await run(['--config', file], script)).toMatchObject({ options: { archive: join(folder, 'x') } })
    expect(await run(['--config', 'etc/settings.yaml'], { ...script, INIT_CWD: folder }))
      .toMatchObject({ options: { archive: join(folder, 'x') } })
    await writeFile(file, 'archive: ~/x')
    expect(await run(['--config', file])).toMatchObject({ options: { archive: '/home/me/x' } })
  })

  test('but an empty argument as it is, so that the command can refuse it', async () => {
    expect((await run([''])).directory).toBe('')
  })
})

describe('a path with a name before it', () => {
  test.each([
    ['docs=~/documents', `docs=${join('/home/me', 'documents')}`],
    ['docs=sub', `docs=${join(process.cwd(), 'sub')}`],
    ['.filesync=/srv/x', '.filesync=/srv/x'],
    ['a=b=c', `a=${join(process.cwd(), 'b=c')}`],
  ])('keeps the name of %j', (text, absolute) => {
    expect(namedPath(text, { HOME: '/home/me' })).toBe(absolute)
  })

  test.each([
    ['./a=b', join(process.cwd(), 'a=b')],
    ['../a=b', join(dirname(process.cwd()), 'a=b')],
    ['/srv/a=b', '/srv/a=b'],
    ['~/a=b', join('/home/me', 'a=b')],
    ['=b', join(process.cwd(), '=b')],
    ['a=', join(process.cwd(), 'a=')],
  ])('takes %j as a path alone', (text, absolute) => {
    expect(namedPath(text, { HOME: '/home/me' })).toBe(absolute)
  })
})
