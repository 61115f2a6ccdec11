import { mkdtemp, rm, symlink } from 'node:fs/promises'
import { homedir, hostname, tmpdir } from 'node:os'
import { join } from 'node:path'
import { Command } from 'commander'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { createProgram, runProgram } from '@filesync/program/node'
import { completeSettings, parseInteger, stateDirOf, withStartSettings } from '../src/settings.ts'
import type { ServerSettings, ServerStartFlags } from '../src/settings.ts'
import { fakeTerminal } from '@filesync/program/testing'
import type { FakeTerminal } from '@filesync/program/testing'

let folder: string
beforeAll(async () => { folder = await mkdtemp(join(tmpdir(), 'filesync-settings-')) })
afterAll(async () => { await rm(folder, { recursive: true }) })

/** The settings with which `start` runs for a command line. */
async function settings (argv: readonly string[], terminal: FakeTerminal = fakeTerminal()): Promise<ServerSettings> {
  let complete: ServerSettings | undefined
  const program = createProgram({ name: 'filesync-server', family: 'filesync', version: '0', description: '' })
  const command = withStartSettings(new Command('start'))
  command.action(async (flags: ServerStartFlags) => { complete = await completeSettings(flags, terminal) })
  program.addCommand(command, { isDefault: true })
  const exitCode = await runProgram(program, argv, terminal)
  if (complete === undefined) throw Object.assign(new Error(terminal.complained()), { exitCode })
  return complete
}

const refused = (message: RegExp): unknown => expect.objectContaining({ exitCode: 2, message: expect.stringMatching(message) as unknown })

test('without a terminal, missing settings get defaults, and nothing is asked', async () => {
  const terminal = fakeTerminal({ XDG_STATE_HOME: '/var/state' })
  expect(await settings(['--archive', '/srv/archive'], terminal)).toEqual({
    archiveRoot: '/srv/archive',
    acceptArchive: false,
    clientRestore: true,
    allowNetworkDisk: false,
    port: 0,
    intervalMs: 300_000,
    name: hostname(),
    stateDir: '/var/state/filesync/server',
    bind: undefined,
    interfaces: undefined,
    discovery: true,
    maxSessions: 1,
    sessionTimeMs: 1_800_000,
    windows: [],
    keepMs: 30 * 86_400_000,
    quotaBytes: undefined,
    reserveBytes: undefined,
    deletions: 'mirror',
    jsonLogs: false,
    quiet: false,
  })
  expect(terminal.printed()).toBe('')
  await expect(settings([])).rejects.toEqual(refused(/--archive DIR/u))
})

test('every setting can be given in the environment', async () => {
  const env = {
    FILESYNC_ARCHIVE: '/srv/a',
    FILESYNC_PORT: '4242',
    FILESYNC_INTERVAL: '60',
    FILESYNC_NAME: 'nas',
    FILESYNC_STATE_DIR: '/var/s',
    FILESYNC_BIND: '::1',
    FILESYNC_INTERFACE: 'eth0,eth1',
    FILESYNC_DISCOVERY: 'false',
    FILESYNC_MAX_SESSIONS: '3',
    FILESYNC_KEEP: '1w',
    FILESYNC_MODE: 'archive',
    FILESYNC_JSON_LOGS: '1',
    FILESYNC_QUOTA: '2G',
    FILESYNC_RESERVE: '500M',
    FILESYNC_SESSION_TIME: '10m',
    FILESYNC_WINDOW: '22:00-06:00, 12:00-13:00',
    FILESYNC_LIMIT: '20M',
  }
  expect(await settings([], fakeTerminal(env))).toEqual({
    archiveRoot: '/srv/a',
    acceptArchive: false,
    clientRestore: true,
    allowNetworkDisk: false,
    port: 4242,
    intervalMs: 60_000,
    name: 'nas',
    stateDir: '/var/s',
    bind: '::1',
    interfaces: ['eth0', 'eth1'],
    discovery: false,
    maxSessions: 3,
    sessionTimeMs: 600_000,
    limitBytesPerSecond: 2e7,
    windows: [{ fromMinute: 1320, toMinute: 360 }, { fromMinute: 720, toMinute: 780 }],
    keepMs: 7 * 86_400_000,
    quotaBytes: 2e9,
    reserveBytes: 5e8,
    deletions: 'archive',
    jsonLogs: true,
    quiet: false,
  })
})

describe('in a terminal', () => {
  test('missing settings are asked for, and Enter chooses the default', async () => {
    const terminal = fakeTerminal({}, true)
    const completing = settings([], terminal)
    const dialog = [
      ['Directory for the archive:', '/srv/asked'], ['TCP port', '70000'], ['not a whole number', ''], ['Seconds between', ''],
    ] as const
    for (const [question, answer] of dialog) {
      await expect.poll(() => terminal.printed()).toContain(question)
      terminal.input.write(`${answer}\n`)
    }
    expect(await completing).toMatchObject({ archiveRoot: '/srv/asked', port: 0, intervalMs: 300_000 })
  })

  test('an answered path with ~ is in the home directory', async () => {
    const terminal = fakeTerminal({ HOME: folder }, true)
    const completing = settings(['--port', '1', '--interval', '9', '--state-dir', '/var/s'], terminal)
    await expect.poll(() => terminal.printed()).toContain('Directory for the archive:')
    terminal.input.write('~/x\n')
    expect((await completing).archiveRoot).toBe(join(folder, 'x'))
  })

  test('given settings are not asked for', async () => {
    const terminal = fakeTerminal({ FILESYNC_PORT: '1' }, true)
    await settings(['--archive', '/srv/archive', '--interval', '9'], terminal)
    expect(terminal.printed()).toBe('')
    await expect(settings(['--quiet'], fakeTerminal({}, true))).rejects.toEqual(refused(/--archive DIR/u))
  })
})

describe('the archive', () => {
  test('of a package manager\'s script is relative to where the script was called', async () => {
    const env = { INIT_CWD: folder, npm_lifecycle_event: 'start', npm_package_json: join(process.cwd(), 'package.json') }
    expect((await settings(['--archive', './arch'], fakeTerminal(env))).archiveRoot).toBe(join(folder, 'arch'))
  })

  test.each(['/', '//', homedir(), `${homedir()}/.`])('cannot be %s', async path => {
    await expect(settings(['--archive', path])).rejects.toEqual(refused(/clients create folders in it/u))
  })

  test('cannot be a link to such a directory', async () => {
    await symlink('/', join(folder, 'root'))
    await expect(settings(['--archive', join(folder, 'root')])).rejects.toEqual(refused(/clients create folders in it/u))
  })

  test('is not the working directory if its setting is empty', async () => {
    await expect(settings(['--archive', ''])).rejects.toEqual(refused(/The value is empty/u))
    await expect(settings([], fakeTerminal({ FILESYNC_ARCHIVE: '' }))).rejects.toEqual(refused(/--archive DIR/u))
  })

  test('can be a new directory inside the home directory', async () => {
    expect((await settings(['--archive', join(homedir(), 'new', 'archive')])).archiveRoot).toBe(join(homedir(), 'new', 'archive'))
  })
})

test.each([
  ['--port', '65536'], ['--port', '-1'], ['--port', '1e3'], ['--port', '0x10'], ['--port', '1.5'],
  ['--interval', '0'], ['--interval', '86401'],
  ['--max-sessions', '0'], ['--max-sessions', '65'], ['--keep', 'long'], ['--mode', 'both'],
])('rejects %s %s', async (flag, text) => {
  await expect(settings(['--archive', '/srv/archive', `${flag}=${text}`])).rejects.toEqual(refused(/is invalid/u))
})

test.each([['0', 0], ['10', 10], [' 7 ', 7], ['007', 7]])('parses %j as the whole number %i', (text, number) => {
  expect(parseInteger(text, [0, 10])).toBe(number)
})

test.each(['', ' ', '11', '-1', '1.0', '1e0', '٣', 'Infinity', '9'.repeat(400)])('rejects %j as a whole number from 0 to 10', text => {
  expect(() => parseInteger(text, [0, 10])).toThrow(expect.objectContaining({ code: 'USAGE' }))
})

test('a relative state directory is below the working directory', () => {
  expect(stateDirOf({ stateDir: 'state' }, fakeTerminal())).toBe(join(process.cwd(), 'state'))
})

test('the original protocol is off by default, and needs a separate port', async () => {
  expect((await settings(['--archive', '/srv/archive', '--port', '4242'])).legacyPort).toBeUndefined()
  expect((await settings(['--archive', '/srv/archive', '--port', '4242', '--legacy-port', '4243'])).legacyPort).toBe(4243)
  const same = ['--archive', '/srv/archive', '--port', '4242', '--legacy-port', '4242']
  await expect(settings(same)).rejects.toEqual(refused(/needs a separate port/u))
})

test.each([
  [['--session-time', '500ms'], /too short for a session/u],
  [['--window', '22-6'], /"22-6" is not a window/u],
  [['--limit', '20k'], /would time out. Use 50k or more/u],
  [['--limit', '99k', '--legacy-port', '4243'], /2 clients at once.*Use 100k or more/u],
  [['--limit', '100k', '--max-sessions', '4'], /4 clients at once.*Use 200k or more/u],
])('rejects %j', async (flags, message) => {
  await expect(settings(['--archive', '/srv/a', ...flags])).rejects.toEqual(refused(message))
})
