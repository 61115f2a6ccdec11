import { chmod, mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { parseDuration } from '@filesync/program'
import { createProgram, listSetting, runProgram, setting } from '@filesync/program/node'
import { ERRORS, FileSyncError } from '@filesync/protocol'
import type { ErrorCode } from '@filesync/protocol'
import { fakeTerminal } from '@filesync/program/testing'
import type { FakeTerminal } from '@filesync/program/testing'

let folder: string
beforeAll(async () => { folder = await mkdtemp(join(tmpdir(), 'filesync-program-')) })
afterAll(async () => { await rm(folder, { recursive: true }) })

interface Run {
  readonly exitCode: number
  /** The options that the command received; undefined if it did not run. */
  readonly options: Readonly<Record<string, unknown>> | undefined
  readonly terminal: FakeTerminal
}

interface Given {
  readonly flags?: readonly string[]
  readonly env?: Readonly<Record<string, string>>
  readonly file?: string
  readonly action?: (terminal: FakeTerminal) => void
}

async function run ({ flags = [], env = {}, file, action }: Given): Promise<Run> {
  const terminal = fakeTerminal(env)
  let options: Record<string, unknown> | undefined
  const program = createProgram({ name: 'filesync-test', family: 'filesync', version: '1.2.3', description: 'A program.' })
  program.command('go', { isDefault: true })
    .addOption(setting('--config <file>', ''))
    .addOption(setting('--name <name>', ''))
    .addOption(setting('--port <n>', '', text => {
      if (!/^\d+$/u.test(text)) throw new FileSyncError('USAGE', `"${text}" is no number.`)
      return Number(text)
    }).default(7))
    .addOption(setting('--keep <time>', '', parseDuration).default(1000))
    .addOption(setting('--mode <mode>', '').choices(['one', 'two']).default('one'))
    .addOption(listSetting('--interface <name>', ''))
    .addOption(setting('--quiet', ''))
    .addOption(setting('--no-discovery', ''))
    .addOption(setting('--no-default-rules', ''))
    .action((given: Record<string, unknown>) => {
      options = given
      action?.(terminal)
    })
  program.command('other').addOption(setting('--token-file <file>', '').makeOptionMandatory()).option('--label <x>')
    .action((given: Record<string, unknown>) => { options = given })
  const named: string[] = []
  if (file !== undefined) {
    const path = join(folder, 'settings.yaml')
    await writeFile(path, file)
    named.push('--config', path)
  }
  const exitCode = await runProgram(program, [...flags, ...named], terminal)
  return { exitCode, options, terminal }
}

/** The value of an option with these sources. */
async function value (name: string, given: Given): Promise<unknown> {
  const { exitCode, options, terminal } = await run(given)
  expect(terminal.complained()).toBe('')
  expect(exitCode).toBe(0)
  return options?.[name]
}

describe.each([
  { kind: 'text', name: 'name', flags: ['--name', 'a'], env: { FILESYNC_NAME: 'b' }, file: 'name: c', values: ['a', 'b', 'c', undefined] },
  { kind: 'a number', name: 'port', flags: ['--port', '1'], env: { FILESYNC_PORT: '2' }, file: 'port: 3', values: [1, 2, 3, 7] },
  {
    kind: 'a duration', name: 'keep', flags: ['--keep', '2s'], env: { FILESYNC_KEEP: '3s' }, file: 'keep: 4s',
    values: [2000, 3000, 4000, 1000],
  },
  {
    kind: 'a choice', name: 'mode', flags: ['--mode', 'two'], env: { FILESYNC_MODE: 'one' }, file: 'mode: two',
    values: ['two', 'one', 'two', 'one'],
  },
  {
    kind: 'a list', name: 'interface', flags: ['--interface', 'a', '--interface', 'b,c'], env: { FILESYNC_INTERFACE: 'd, e' },
    file: 'interface: [f, g]', values: [['a', 'b', 'c'], ['d', 'e'], ['f', 'g'], undefined],
  },
  {
    kind: 'a switch', name: 'quiet', flags: ['--quiet'], env: { FILESYNC_QUIET: 'false' }, file: 'quiet: true',
    values: [true, false, true, undefined],
  },
  {
    kind: 'a switch that is on', name: 'discovery', flags: ['--no-discovery'], env: { FILESYNC_DISCOVERY: '1' }, file: 'discovery: false',
    values: [false, true, false, true],
  },
])('$kind', ({ name, flags, env, file, values: [fromFlags, fromEnv, fromFile, byDefault] }) => {
  test('is taken from the flags first, then from the environment, the file and the default', async () => {
    expect(await value(name, { flags, env, file })).toEqual(fromFlags)
    expect(await value(name, { env, file })).toEqual(fromEnv)
    expect(await value(name, { file })).toEqual(fromFile)
    expect(await value(name, {})).toEqual(byDefault)
  })
})

describe('switches', () => {
  test('a negated name of several words can be set by its positive name', async () => {
    expect(await value('defaultRules', { env: { FILESYNC_DEFAULT_RULES: 'no' } })).toBe(false)
    expect(await value('defaultRules', { file: 'default-rules: false' })).toBe(false)
  })

  test.each([
    ['true', true], ['1', true], ['YES', true], ['on', true], ['false', false], ['0', false], ['No', false], ['off', false], ['', false],
  ])('FILESYNC_QUIET=%j means %j', async (text, expected) => {
    expect(await value('quiet', { env: { FILESYNC_QUIET: text } })).toBe(expected)
    expect(await value('discovery', { env: { FILESYNC_NO_DISCOVERY: text } })).toBe(!expected)
    if (text !== '') expect(await value('quiet', { file: `quiet: ${text}` })).toBe(expected)
  })

  test('a file may use either name of a switch, but not both', async () => {
    expect(await value('discovery', { file: 'no-discovery: true' })).toBe(false)
    expect(await value('discovery', { file: 'no-discovery: false' })).toBe(true)
    expect((await run({ file: 'no-discovery: true\ndiscovery: true' })).exitCode).toBe(2)
    expect((await run({ env: { FILESYNC_DISCOVERY: '0', FILESYNC_NO_DISCOVERY: '0' } })).exitCode).toBe(2)
  })
})

describe('refuses with exit code 2 and one line that names the cause', () => {
  test.each<[Given, RegExp]>([
    [{ file: 'prot: 1' }, /unknown setting "prot"/u],
    [{ file: 'config: x' }, /unknown setting "config"/u],
    [{ file: 'label: x' }, /unknown setting "label"/u],
    [{ file: 'port: x' }, /"port" in the configuration file .* "x" is no number/u],
    [{ file: 'port: [1, 2]' }, /several values/u],
    [{ file: 'quiet: maybe' }, /"maybe" is neither true nor false/u],
    [{ file: 'mode: three' }, /Allowed choices are one, two/u],
    [{ file: 'port: x', flags: ['--port', '1'] }, /"x" is no number/u],
    [{ env: { FILESYNC_PORT: 'x' } }, /FILESYNC_PORT: "x" is no number/u],
    [{ env: { FILESYNC_QUIET: 'maybe' } }, /FILESYNC_QUIET: "maybe" is neither true nor false/u],
    [{ env: { FILESYNC_INTERFACE: 'a,,b' } }, /The value is empty/u],
    [{ env: { FILESYNC_CONFIG: '/nonexistent/x.yaml' } }, /cannot be read: ENOENT/u],
    [{ flags: ['other'] }, /give --token-file <file>, or set FILESYNC_TOKEN_FILE/u],
  ])('%j', async (given, message) => {
    const { exitCode, options, terminal } = await run(given)
    expect(terminal.complained()).toMatch(/^filesync-test: [^\n]*\n$/u)
    expect(terminal.complained()).toMatch(message)
    expect(exitCode).toBe(2)
    expect(options).toBeUndefined()
  })

  test.each([
    [['--port', 'x'], /"x" is no number/u], [['--name', ''], /The value is empty/u],
    [['--nmae', 'x'], /unknown option '--nmae'/u], [['go', 'x'], /too many arguments/u],
  ])('%j', async (flags, message) => {
    const { exitCode, terminal } = await run({ flags })
    expect(exitCode).toBe(2)
    expect(terminal.complained()).toMatch(message)
    expect(terminal.complained()).toMatch(/run with --help for usage/u)
  })
})

test('an empty environment variable counts as not set', async () => {
  expect(await value('name', { env: { FILESYNC_NAME: '' }, file: 'name: c' })).toBe('c')
  expect(await value('port', { env: { FILESYNC_PORT: '' } })).toBe(7)
})

test('a required setting can come from any source', async () => {
  expect(await value('tokenFile', { flags: ['other', '--token-file', 'a'] })).toBe('a')
  expect(await value('tokenFile', { flags: ['other'], env: { FILESYNC_TOKEN_FILE: 'b' } })).toBe('b')
  const config = join(folder, 'config', 'filesync')
  await mkdir(config, { recursive: true })
  await writeFile(join(config, 'test.yaml'), 'token-file: c\nport: 9')
  expect(await value('tokenFile', { flags: ['other'], env: { XDG_CONFIG_HOME: join(folder, 'config') } })).toBe('c')
})

test('reads the default settings file unless another is named', async () => {
  const env = { XDG_CONFIG_HOME: join(folder, 'usual') }
  expect(await value('port', { env })).toBe(7)
  await mkdir(join(folder, 'usual', 'filesync'), { recursive: true })
  await writeFile(join(folder, 'usual', 'filesync', 'test.yaml'), 'port: 8')
  expect(await value('port', { env })).toBe(8)
  expect(await value('port', { env, file: 'name: x' })).toBe(7)
  expect(await value('port', { env: { XDG_CONFIG_HOME: '' } })).toBe(7)
})

test.skipIf(process.getuid?.() === 0)('reports a default settings file that cannot be read', async () => {
  const directory = join(folder, 'locked', 'filesync')
  await mkdir(directory, { recursive: true })
  await writeFile(join(directory, 'test.yaml'), '')
  await chmod(join(directory, 'test.yaml'), 0)
  expect((await run({ env: { XDG_CONFIG_HOME: join(folder, 'locked') } })).terminal.complained()).toMatch(/cannot be read: EACCES/u)
})

describe('a first word that is not a command', () => {
  interface Call {
    readonly exitCode: number
    readonly stderr: string
    readonly ran: readonly string[]
  }

  async function call (argv: readonly string[], takesPath: boolean): Promise<Call> {
    const ran: string[] = []
    const program = createProgram({ name: 'filesync-test', family: 'filesync', version: '1', description: '', takesPath })
    program.command('start', { isDefault: true }).argument('[dir]')
      .addOption(setting('--quiet', '')).addOption(setting('--server <address>', ''))
      .action((directory: string) => { ran.push(directory) })
    for (const name of ['status', 'push', 'pair']) program.command(name).action(() => { ran.push(name) })
    const terminal = fakeTerminal()
    return { exitCode: await runProgram(program, argv, terminal), stderr: terminal.complained(), ran }
  }

  const typos = [['stauts', 'status'], ['Status', 'status'], ['pusch', 'push'], ['par', 'pair'], ['staus', 'status']]
  const options = [[], ['--quiet'], ['--server', 'nas'], ['--server=nas', '--quiet']]
  describe.each(options)('after %j', (...before) => {
    test.each(typos)('%s is refused with the suggestion %s', async (word, nearest) => {
      for (const takesPath of [false, true]) {
        const { exitCode, stderr, ran } = await call([...before, word], takesPath)
        expect([exitCode, ran]).toEqual([2, []])
        expect(stderr).toContain(`There is no command "${word}"`)
        expect(stderr).toContain(`Did you mean "${nearest}"?`)
      }
    })
  })

  test('is refused without a suggestion if no command is similar', async () => {
    expect((await call(['photos-of-2019'], true)).stderr).toMatch(
      /^filesync-test: There is no command "photos-of-2019", and no file or directory of that name\. "filesync-test --help" lists/u)
  })

  test('may be an existing path if the program takes one', async () => {
    expect(await call([folder], true)).toMatchObject({ exitCode: 0, ran: [folder] })
    expect(await call(['--quiet', folder], true)).toMatchObject({ exitCode: 0, ran: [folder] })
    expect(await call([folder], false)).toMatchObject({ exitCode: 2, ran: [] })
    expect(await call(['push'], true)).toMatchObject({ exitCode: 0, ran: ['push'] })
  })

  test('does not include the value of an option', async () => {
    expect(await call(['--server', 'stauts'], true)).toMatchObject({ exitCode: 0, ran: [undefined] })
  })
})

test('refuses a command after an option, which would be an argument of the default command', async () => {
  const { exitCode, options, terminal } = await run({ flags: ['--quiet', 'other'] })
  expect([exitCode, options]).toEqual([2, undefined])
  expect(terminal.complained()).toBe(
    'filesync-test: Options must follow the command. Write "filesync-test other", then the options.\n')
})

describe('errors', () => {
  test.each(Object.keys(ERRORS) as ErrorCode[])('%s determines the exit code', async code => {
    const { exitCode, terminal } = await run({ action: () => { throw new FileSyncError(code, 'So it is.') } })
    expect(exitCode).toBe(ERRORS[code].exitCode)
    expect(terminal.complained()).toBe('filesync-test: So it is.\n')
    expect(terminal.printed()).toBe('')
  })

  test('escapes text from a peer that the terminal would obey', async () => {
    const { terminal } = await run({ action: () => { throw new FileSyncError('PEER_GONE', 'No "\u001b]0;x\u0007\n\u202e" there.') } })
    expect(terminal.complained()).toBe('filesync-test: No "\\u{1b}]0;x\\u{7}\\u{a}\\u{202e}" there.\n')
    expect((await run({ flags: ['--\u001b[31m'] })).terminal.complained()).not.toContain('\u001b')
  })

  test('a bug shows no stack by default, and says what to do', async () => {
    const action = (): void => { throw new TypeError('x is undefined') }
    const plain = await run({ action })
    expect(plain.exitCode).toBe(1)
    expect(plain.terminal.complained()).toMatch(/^filesync-test: x is undefined\n.*FILESYNC_DEBUG=1.*\n$/u)
    expect((await run({ action, env: { FILESYNC_DEBUG: '1' } })).terminal.complained()).toMatch(/\n {4}at /u)
  })

  test('FILESYNC_DEBUG shows the stack of each cause', async () => {
    const deepest = new RangeError('the disk\u001b is odd')
    const middle = new Error('the index failed', { cause: deepest })
    const error = new FileSyncError('ARCHIVE_UNAVAILABLE', 'The archive cannot be used.', { cause: middle })
    Object.assign(deepest, { cause: error })
    const { terminal } = await run({ action: () => { throw error }, env: { FILESYNC_DEBUG: '1' } })
    expect(terminal.complained()).toMatch(/The archive cannot be used\.\n {4}at /u)
    expect(terminal.complained()).toMatch(
      /\ncaused by: Error: the index failed\n {4}at [^]*\ncaused by: RangeError: the disk\\u\{1b\} is odd\n {4}at /u)
    expect(terminal.complained().match(/^caused by: /gmu)).toHaveLength(2)
    expect((await run({ action: () => { throw error } })).terminal.complained()).toBe('filesync-test: The archive cannot be used.\n')
  })

  test.each([
    new Error('No native build was found for platform=linux arch=x64 runtime=node abi=999'),
    Object.assign(new Error('Cannot find module \'@lmdb/lmdb-linux-x64\''), { code: 'MODULE_NOT_FOUND' }),
    Object.assign(new Error('/x/node.napi.node: invalid ELF header'), { code: 'ERR_DLOPEN_FAILED' }),
    new Error('it cannot be loaded', { cause: new Error('Cannot find native binding. npm has a bug related to optional dependencies') }),
  ])('reports missing native code, with what to do: %s', async error => {
    const { terminal } = await run({ action: () => { throw error } })
    expect(terminal.complained()).toMatch(/native code is missing for this machine .*--omit=optional/u)
    expect(terminal.complained()).not.toContain('this is a bug')
  })

  test('keeps the lines of a message, and escapes line ends within them', async () => {
    const error = new FileSyncError('IDENTITY_CHANGED', 'It changed.', { lines: ['  expected a', '  got b\nFAKE'] })
    const { terminal } = await run({ action: () => { throw error } })
    expect(terminal.complained()).toBe('filesync-test: It changed.\n  expected a\n  got b\\u{a}FAKE\n')
  })

  test('does not call an error of the system a bug', async () => {
    const error = Object.assign(new Error('EACCES: permission denied, mkdir \'/x\''), { code: 'EACCES', syscall: 'mkdir' })
    const { terminal } = await run({ action: () => { throw error } })
    expect(terminal.complained()).toBe('filesync-test: EACCES: permission denied, mkdir \'/x\'\n')
  })

  test.each([
    ['EPIPE', 0, ''], ['ENOSPC', 1, 'filesync-test: It failed.\n'],
  ])('after %s on the output the exit code is %i', async (code, exitCode, stderr) => {
    const error = Object.assign(new Error('It failed.'), { code, syscall: 'write' })
    const ended = await run({ action: terminal => { terminal.stdout.emit('error', error) } })
    expect(ended.exitCode).toBe(exitCode)
    expect(ended.terminal.complained()).toBe(stderr)
  })
})

test('prints help and version on stdout, with exit code 0', async () => {
  const help = await run({ flags: ['go', '--help'] })
  expect(help.exitCode).toBe(0)
  expect(help.terminal.printed()).toMatch(/--no-discovery/u)
  expect(help.terminal.printed()).toMatch(/FILESYNC_<OPTION>.*\n?.*XDG_CONFIG_HOME\/filesync\/test\.yaml/u)
  const version = await run({ flags: ['--version'] })
  expect([version.exitCode, version.terminal.printed()]).toEqual([0, '1.2.3\n'])
})

describe('a program of another name', () => {
  interface Greeted extends FakeTerminal { readonly greeted: unknown }
  async function greet (init: { name: string, family?: string }, env: Record<string, string>): Promise<Greeted> {
    const program = createProgram(init)
    const terminal = fakeTerminal({ XDG_CONFIG_HOME: folder, ...env })
    let greeted: unknown
    program.command('greet', { isDefault: true })
      .addOption(setting('--whom <name>', '')).addOption(setting('--needed <x>', '').makeOptionMandatory())
      .action((flags: { whom?: string, needed: string }) => {
        greeted = flags.whom
        if (flags.needed === 'bug') throw new TypeError('x is undefined')
      })
    await runProgram(program, env['ARGS']?.split(' ') ?? [], terminal)
    return { ...terminal, greeted }
  }

  test('has its own variables and its own settings file', async () => {
    expect((await greet({ name: 'hello-2' }, { HELLO_2_WHOM: 'Ada', HELLO_2_NEEDED: 'x' })).greeted).toBe('Ada')
    await mkdir(join(folder, 'hello-2'), { recursive: true })
    await writeFile(join(folder, 'hello-2', 'config.yaml'), 'whom: Grace\nneeded: x')
    expect((await greet({ name: 'hello-2' }, {})).greeted).toBe('Grace')
    await mkdir(join(folder, 'acme'), { recursive: true })
    await writeFile(join(folder, 'acme', 'server.yaml'), 'needed: x')
    expect((await greet({ name: 'acme-server', family: 'acme' }, { ACME_WHOM: 'Alan' })).greeted).toBe('Alan')
  })

  test('is not called FileSync in any message', async () => {
    const said = [
      await greet({ name: 'hi' }, { ARGS: '--help' }), await greet({ name: 'hi' }, {}), await greet({ name: 'hi' }, { HI_NEEDED: 'bug' }),
      await greet({ name: 'hi' }, { HI_NEEDED: 'bug', HI_DEBUG: '1' }), await greet({ name: 'hi' }, { ARGS: 'x' }),
      await greet({ name: 'hi' }, { HI_CONFIG: '/nonexistent' }),
    ].map(terminal => `${terminal.printed()}${terminal.complained()}`)
    expect(said[0]).toMatch(/HI_<OPTION>[^]*hi\/config\.yaml/u)
    expect(said[1]).toMatch(/set HI_NEEDED in the environment/u)
    expect(said[2]).toMatch(/this is a bug in hi\. Run it again with HI_DEBUG=1/u)
    // A stack names the directory that the tests run in.
    for (const text of [...said.slice(0, 3), ...said.slice(4)]) expect(text).not.toMatch(/filesync/iu)
  })

  const wrong = [{ name: '' }, { name: '../x' }, { name: 'a b' }, { name: 'a', family: '/etc' }, {} as { name: string }]
  test.each(wrong)('%j is refused', init => {
    expect(() => createProgram(init)).toThrow(/^createProgram: (name|family) must start with a letter/u)
  })
})
