import { readFile } from 'node:fs/promises'
import type { Command } from 'commander'
import { expect, test } from 'vitest'
import { runProgram } from '@filesync/program/node'
import { fakeTerminal } from '@filesync/program/testing'
import { createClientProgram } from '../src/command-line.ts'

const COMMON = ['--state-dir', '--config', '--json', '--quiet', '--profile']
const PUSHING = ['--id', '--server', '--interface', '--ignore-file', '--limit']
/** Scripts rely on these commands and flags. */
const CONTRACT: Readonly<Record<string, readonly string[]>> = {
  'start': [...PUSHING, '--watch', '--no-watch', '--once'],
  'push': PUSHING,
  'pair': ['--server', '--id', '--code-stdin'],
  'enroll': ['--token-file', '--server', '--id'],
  'servers': [],
  'forget SERVER': [],
  'trust-server ID': [],
  'id': [],
  'status': ['--follow'],
  'why PATH': [],
  'doctor': [],
}

async function run (argv: readonly string[]): Promise<{ exitCode: number, out: string, err: string }> {
  const terminal = fakeTerminal()
  const exitCode = await runProgram(createClientProgram({ terminal, signal: new AbortController().signal }), argv, terminal)
  return { exitCode, out: terminal.printed(), err: terminal.complained() }
}

test('--help lists every command', async () => {
  const { exitCode, out } = await run(['--help'])
  expect(exitCode).toBe(0)
  for (const command of Object.keys(CONTRACT)) expect(out).toMatch(new RegExp(`^ {2}${command.split(' ')[0] ?? ''}\\b`, 'mu'))
})

test.each(Object.entries(CONTRACT))('%s --help lists every flag', async (command, flags) => {
  const { exitCode, out } = await run([...command.split(' ').slice(0, 1), '--help'])
  expect(exitCode).toBe(0)
  for (const flag of [...COMMON, ...flags]) expect(out).toMatch(new RegExp(`^ +${flag}\\b`, 'mu'))
})

test('every flag has a description', () => {
  const bare = (command: Command): string[] => [
    ...command.options.filter(({ description }) => description === '').map(({ flags }) => `${command.name()} ${flags}`),
    ...command.commands.flatMap(bare),
  ]
  expect(bare(createClientProgram({ terminal: fakeTerminal(), signal: new AbortController().signal }))).toEqual([])
})

test.each([
  ['nonsense --flag'], ['push --prot 1'], ['forget'], ['enroll'], ['push --server nas'],
])('"%s" is reported as wrong usage, without a stack', async line => {
  const { exitCode, out, err } = await run(line.split(' '))
  expect([exitCode, out]).toEqual([2, ''])
  expect(err).not.toBe('')
  expect(err).not.toMatch(/^ {4}at /mu)
})

test('push --json ends with a result even if no run could start', async () => {
  const { exitCode, out, err } = await run(['push', '--json'])
  expect(exitCode).toBe(2)
  expect(JSON.parse(out)).toMatchObject({ result: 'failed', filesSent: 0, problems: [], code: 'USAGE' })
  expect(err).toMatch(/^filesync-client: No folder to push/u)
})

test('the commands in the README are scripts of the repository', async () => {
  const root = new URL('../../../', import.meta.url)
  const [readme, manifest] = await Promise.all([
    readFile(new URL('README.md', root), 'utf8'), readFile(new URL('package.json', root), 'utf8'),
  ])
  const { scripts } = JSON.parse(manifest) as { scripts: Record<string, string> }
  const calls = [...readme.matchAll(/npx -y pnpm@12 (?:run )?([a-z:-]+)/gu)]
  const named = calls.map(([, name = '']) => name).filter(name => !name.startsWith('-'))
  expect(named.length).toBeGreaterThan(0)
  expect(named.filter(name => !Object.hasOwn(scripts, name))).toEqual([])
  for (const [, folder = ''] of readme.matchAll(/--filter (server|client) start/gu)) {
    const app = JSON.parse(await readFile(new URL(`apps/${folder}/package.json`, root), 'utf8')) as { scripts: Record<string, string> }
    expect(app.scripts).toHaveProperty('start')
  }
})
