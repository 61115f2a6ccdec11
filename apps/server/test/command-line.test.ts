import type { Command } from 'commander'
import { expect, test } from 'vitest'
import { runProgram } from '@filesync/program/node'
import { fakeTerminal } from '@filesync/program/testing'
import { createServerProgram } from '../src/command-line.ts'

const COMMON = ['--state-dir', '--config', '--json', '--quiet']
/** The commands and flags that scripts rely on. */
const CONTRACT: Readonly<Record<string, readonly string[]>> = {
  'start': [
    '--archive', '--port', '--interval', '--name', '--bind', '--interface', '--no-discovery', '--max-sessions', '--keep', '--quota',
    '--reserve', '--mode', '--metrics', '--json-logs',
  ],
  'pair': ['--ttl', '--for'],
  'token create': ['--uses', '--expires', '--for'],
  'token list': [],
  'token revoke': [],
  'peers list': [],
  'peers rename': ['--archive'],
  'peers remove': ['--archive', '--keep-files'],
  'peers pause': [],
  'peers resume': [],
  'peers expect': [],
  'revoke': [],
  'trust': ['--name'],
  'id': [],
  'status': ['--follow'],
  'doctor': [],
  'history': ['--before', '--limit'],
  'restore': ['--at', '--to'],
  'verify': [],
}

async function run (argv: readonly string[]): Promise<{ exitCode: number, out: string, err: string }> {
  const terminal = fakeTerminal()
  const exitCode = await runProgram(createServerProgram({ terminal, signal: new AbortController().signal }), argv, terminal)
  return { exitCode, out: terminal.printed(), err: terminal.complained() }
}

test('--help lists every command', async () => {
  const [main, token, peers] = [await run(['--help']), await run(['token', '--help']), await run(['peers', '--help'])]
  expect([main.exitCode, token.exitCode, peers.exitCode]).toEqual([0, 0, 0])
  for (const command of Object.keys(CONTRACT)) {
    const [name = '', below] = command.split(' ')
    expect(main.out).toMatch(new RegExp(`^ {2}${name}\\b`, 'mu'))
    if (below !== undefined) expect((name === 'token' ? token : peers).out).toMatch(new RegExp(`^ {2}${below}\\b`, 'mu'))
  }
})

test.each(Object.entries(CONTRACT))('%s --help lists every flag', async (command, flags) => {
  const { exitCode, out } = await run([...command.split(' '), '--help'])
  expect(exitCode).toBe(0)
  for (const flag of [...COMMON, ...flags]) expect(out).toMatch(new RegExp(`^ +${flag}\\b`, 'mu'))
})

test('every flag has a description', () => {
  const bare = (command: Command): string[] => [
    ...command.options.filter(({ description }) => description === '').map(({ flags }) => `${command.name()} ${flags}`),
    ...command.commands.flatMap(bare),
  ]
  expect(bare(createServerProgram({ terminal: fakeTerminal(), signal: new AbortController().signal }))).toEqual([])
})

const WRONG_USAGE = [
  ['nonsense'], ['start --prot 1'], ['start'], ['token'], ['token create --uses 0'], ['revoke'], ['trust x'], ['start --archive /'],
]

test.each(WRONG_USAGE)(
  '"%s" is reported as wrong usage, without a stack trace', async line => {
    const { exitCode, out, err } = await run(line.split(' '))
    expect([exitCode, out]).toEqual([2, ''])
    expect(err).not.toBe('')
    expect(err).not.toMatch(/^ {4}at /mu)
  })
