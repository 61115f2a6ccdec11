import { mkdir, mkdtemp, rm, symlink } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Command } from 'commander'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { createProgram, namedPathsArgument, runProgram } from '@filesync/program/node'
import { fakeTerminal } from '@filesync/program/testing'
import type { FakeTerminal } from '@filesync/program/testing'
import { rememberFolders } from '../src/folders/folder-memory.ts'
import { completePushSettings, parseHostPort, stateDirOf, withPushSettings } from '../src/settings.ts'
import type { PushFlags, PushSettings } from '../src/settings.ts'

let folder: string
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'filesync-settings-'))
  await mkdir(join(folder, 'tree'))
})
afterAll(async () => { await rm(folder, { recursive: true }) })

/** The settings of `push` for a command line. */
async function settings (argv: readonly string[], terminal: FakeTerminal = fakeTerminal()): Promise<PushSettings> {
  let complete: PushSettings | undefined
  const program = createProgram({ name: 'filesync-client', family: 'filesync', version: '0', description: '' })
  const command = withPushSettings(new Command('push').addArgument(namedPathsArgument('[folder...]')))
  program.addCommand(command.action(async (folders: string[], flags: PushFlags) => {
    complete = await completePushSettings(folders, flags, terminal)
  }))
  const exitCode = await runProgram(program, ['push', ...argv], terminal)
  if (complete === undefined) throw Object.assign(new Error(terminal.complained()), { exitCode })
  return complete
}

const rootsOf = ({ folders }: PushSettings): string[] => folders.map(({ root }) => root)

const refused = (message: RegExp): unknown => expect.objectContaining({ exitCode: 2, message: expect.stringMatching(message) as unknown })

describe('HOST:PORT', () => {
  test.each([
    ['nas.local:4242', 'nas.local', 4242], ['192.168.1.5:1', '192.168.1.5', 1],
    ['[::1]:65535', '::1', 65_535], ['[fe80::1%eth0]:4242', 'fe80::1%eth0', 4242],
    ['[::ffff:10.0.0.1]:80', '::ffff:10.0.0.1', 80], [' nas:80 ', 'nas', 80],
  ])('parses %j as %s and %i', (text, host, port) => {
    expect(parseHostPort(text)).toEqual({ host, port })
  })

  test.each([
    '', 'nas', 'nas:', ':80', 'nas:0', 'nas:65536', 'nas:-1', 'nas:8x', '::1:80', '::1', '[::1]', '[::1]80', '[nas]:80', '[]:80',
    '[1.2.3.4]:80', 'http://nas:80', 'nas:80/x', 'a b:80', 'nas:080000',
  ])('refuses %j', text => {
    expect(() => parseHostPort(text)).toThrow(expect.objectContaining({ code: 'USAGE' }))
  })
})

test('settings that are not given have a default', async () => {
  expect(await settings([join(folder, 'tree')], fakeTerminal({ XDG_STATE_HOME: '/var/state' }))).toEqual({
    folders: [{ name: 'tree', root: join(folder, 'tree') }], stateDir: '/var/state/filesync/client', server: undefined,
    interfaces: undefined, ignoreFile: undefined,
    builtInIgnores: true,
    limitBytesPerSecond: undefined, compression: 'auto', settleMs: 2000, links: 'keep', acceptSource: false,
  })
})

test('every setting can be given in the environment', async () => {
  const env = {
    FILESYNC_FOLDERS: join(folder, 'tree'), FILESYNC_LINKS: 'refuse', FILESYNC_STATE_DIR: '/var/s',
    FILESYNC_SERVER: '[::1]:42', FILESYNC_INTERFACE: 'eth0,eth1',
    FILESYNC_IGNORE_FILE: '/etc/rules',
    FILESYNC_DEFAULT_IGNORES: 'no', FILESYNC_LIMIT: '20M', FILESYNC_COMPRESS: 'never', FILESYNC_SETTLE: '5s', FILESYNC_ACCEPT_SOURCE: 'yes',
  }
  expect(await settings([], fakeTerminal(env))).toEqual({
    folders: [{ name: 'tree', root: join(folder, 'tree') }], stateDir: '/var/s', server: { host: '::1', port: 42 },
    interfaces: ['eth0', 'eth1'],
    ignoreFile: '/etc/rules', builtInIgnores: false,
    limitBytesPerSecond: 20_000_000, compression: 'never', settleMs: 5000, links: 'refuse', acceptSource: true,
  })
})

describe('the folders to push', () => {
  test('is taken from the argument before the setting, and asked for only in a terminal', async () => {
    const given = await settings([join(folder, 'tree'), '--folders', '/elsewhere', '--state-dir', '/var/s'])
    expect(rootsOf(given)).toEqual([join(folder, 'tree')])
    await expect(settings([])).rejects.toEqual(refused(/No folder to push/u))
    await expect(settings(['--json'], fakeTerminal({}, true))).rejects.toEqual(refused(/No folder to push/u))
    const terminal = fakeTerminal({}, true)
    const asked = settings(['--state-dir', '/var/s'], terminal)
    await expect.poll(() => terminal.printed()).toContain('Folder to push:')
    terminal.input.write(`${join(folder, 'tree')}\n`)
    expect(rootsOf(await asked)).toEqual([join(folder, 'tree')])
  })

  test('are those that were pushed before if none is named', async () => {
    const stateDir = join(folder, 'before')
    await mkdir(stateDir)
    const memory = { root: { device: '1', inode: '2', birthtimeNs: '3' }, files: 4 }
    await rememberFolders(stateDir, new Map([['a=b', { ...memory, path: '/x' }], ['tree', { ...memory, path: join(folder, 'tree') }]]))
    expect((await settings(['--state-dir', stateDir])).folders).toEqual([
      { name: 'a=b', root: '/x' }, { name: 'tree', root: join(folder, 'tree') },
    ])
  })

  test('may be entered relative to the home directory with ~', async () => {
    const terminal = fakeTerminal({ HOME: folder }, true)
    const asked = settings(['--state-dir', '/var/s'], terminal)
    await expect.poll(() => terminal.printed()).toContain('Folder to push:')
    terminal.input.write('~/tree\n')
    expect(rootsOf(await asked)).toEqual([join(folder, 'tree')])
  })

  test('may not be empty', async () => {
    await expect(settings([''])).rejects.toEqual(refused(/is empty/u))
    await expect(settings(['--folders', ''])).rejects.toEqual(refused(/is empty/u))
  })
})

describe('the state directory', () => {
  test('is separate for each profile, beside the default one', () => {
    const terminal = fakeTerminal({ XDG_STATE_HOME: '/var/state' })
    expect(stateDirOf({}, terminal)).toBe('/var/state/filesync/client')
    expect(stateDirOf({ profile: 'photos' }, terminal)).toBe('/var/state/filesync/client-photos')
    expect(() => stateDirOf({ profile: 'photos', stateDir: '/var/s' }, terminal)).toThrow(expect.objectContaining({ code: 'USAGE' }))
  })

  test.each(['../x', 'a/b', '.hidden', '..', 'x'.repeat(65), 'ü'])('refuses the profile name %j', async profile => {
    await expect(settings([join(folder, 'tree'), '--profile', profile])).rejects.toEqual(refused(/profile name has/u))
  })

  test('may be inside a folder, but no folder may be inside it, not even through a link', async () => {
    expect(rootsOf(await settings([folder], fakeTerminal({ XDG_STATE_HOME: join(folder, 'home', 'state') })))).toEqual([folder])
    await expect(settings([join(folder, 'tree'), '--state-dir', folder])).rejects.toEqual(refused(/holds the private key/u))
    await expect(settings([folder, '--state-dir', folder])).rejects.toEqual(refused(/holds the private key/u))
    await symlink(join(folder, 'tree'), join(folder, 'link'))
    await expect(settings([join(folder, 'link'), '--state-dir', join(folder, 'tree')])).rejects.toEqual(refused(/holds the private key/u))
    await expect(settings([join(folder, 'tree'), '--state-dir', join(folder, 'link')])).rejects.toEqual(refused(/holds the private key/u))
  })
})

test.each(['0', '1', '3.9k'])('refuses a limit of %s, because a server would consider the client stuck', async limit => {
  await expect(settings([join(folder, 'tree'), '--limit', limit])).rejects.toEqual(refused(/below 4k per second/u))
})
