import { chmod, mkdir, rename, rm, symlink, utimes, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { CLIENT_PROGRAM, mirrorOf, SERVER_PROGRAM, Stage } from '../src/programs.ts'
import type { RunningServer } from '../src/programs.ts'
import { treeDifferences } from '../src/trees.ts'

const RULES = fileURLToPath(new URL('../../scripts/windows-rules.js', import.meta.url))
const FIXED_SECONDS = 1_700_000_000
const before = process.env['NODE_OPTIONS']

let stage: Stage
let server: RunningServer
let source: string

// Both programs refuse what Windows refuses.
beforeEach(async () => {
  process.env['NODE_OPTIONS'] = `${before ?? ''} --require=${RULES}`
  stage = await Stage.open()
  source = stage.path('source')
  await mkdir(join(source, 'deep', 'deeper', 'deepest'), { recursive: true })
  for (let i = 0; i < 30; i++) {
    await put(`file-${i}`, `content ${i}`)
    await put(`deep/deeper/deepest/leaf-${i}`, `leaf ${i}`)
  }
  await put('large', 'large '.repeat(200_000))
  server = await stage.startServer()
  await stage.pair(server, 'client')
  await push()
})

afterEach(async () => {
  process.env['NODE_OPTIONS'] = before
  await stage.dispose()
})

async function put (path: string, content: string): Promise<void> {
  await writeFile(join(source, path), content)
  await utimes(join(source, path), FIXED_SECONDS + content.length, FIXED_SECONDS)
}

/** Pushes, and compares everything but modes; Windows keeps one bit of them. */
async function push (): Promise<void> {
  const { code, result, stderr } = await stage.push('client', source, ['--settle', '0s'])
  expect({ code, problems: result.problems, stderr }).toMatchObject({ code: 0, problems: [] })
  expect(await treeDifferences(source, mirrorOf(server, 'client', source), { modes: false })).toEqual([])
}

test('files that are read-only in the archive are replaced, touched and removed', async () => {
  for (let i = 0; i < 4; i++) await chmod(join(source, `file-${i}`), 0o444)
  await chmod(join(source, 'large'), 0o444)
  await push()
  for (const name of ['file-0', 'large']) await rm(join(source, name))
  await put('file-0', 'another')
  await put('large', 'another large one '.repeat(100_000))
  await rm(join(source, 'file-1'))
  await utimes(join(source, 'file-2'), 1_600_000_000, 1_600_000_000)
  await push()
})

test('directories with directories in them are moved, removed and replaced', async () => {
  await rename(join(source, 'deep', 'deeper'), join(source, 'deep', 'moved'))
  await push()
  await rm(join(source, 'deep', 'moved'), { recursive: true })
  await mkdir(join(source, 'new', 'newer', 'newest'), { recursive: true })
  await put('new/newer/newest/leaf', 'new')
  await push()
  await rm(join(source, 'new'), { recursive: true })
  await put('new', 'a file now')
  await rm(join(source, 'file-3'))
  await mkdir(join(source, 'file-3', 'below'), { recursive: true })
  await put('file-3/below/leaf', 'leaf')
  await symlink('large', join(source, 'link'))
  await push()
  await rm(join(source, 'link'))
  await symlink('deep', join(source, 'link'))
  await push()
})

test('a restore brings back kept modes and times, overwrites read-only files, and is refused into the archive', async () => {
  await chmod(join(source, 'file-0'), 0o444)
  await push()
  const restore = async (...args: string[]): Promise<number> =>
    (await stage.run(SERVER_PROGRAM, ['restore', 'client', '--at', '0s', '--state-dir', server.stateDir, ...args])).code
  expect(await restore('--to', stage.path('out'))).toBe(0)
  expect(await treeDifferences(source, stage.path('out', 'source'), { modes: false })).toEqual([])
  expect(await restore('--to', stage.path('out'), '--overwrite')).toBe(0)
  expect(await treeDifferences(source, stage.path('out', 'source'), { modes: false })).toEqual([])
  expect(await restore('--to', join(mirrorOf(server, 'client', source), 'restored'))).toBe(2)
})

test('what is asked of the archive is answered, and a server that starts again goes on', async () => {
  const ask = async (program: string, ...args: string[]): Promise<number> => (await stage.run(program, args)).code
  expect(await ask(CLIENT_PROGRAM, 'safe', join(source, 'deep'), '--fresh', ...stage.clientArgs('client'))).toBe(0)
  expect(await ask(SERVER_PROGRAM, 'verify', '--state-dir', server.stateDir)).toBe(0)
  await stage.stop(server.child)
  server = await stage.startServer()
  await put('file-9', 'after the start')
  await push()
  expect(await ask(SERVER_PROGRAM, 'verify', '--state-dir', server.stateDir)).toBe(0)
})
