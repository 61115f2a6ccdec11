import { chmod, link, lstat, mkdir, readdir, readFile, rename, rm, utimes, writeFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { CLIENT_PROGRAM, mirrorOf, SERVER_PROGRAM, Stage } from '../src/programs.ts'
import type { Finished, RunningServer } from '../src/programs.ts'
import { treeDifferences } from '../src/trees.ts'

const RULES = fileURLToPath(new URL('../../scripts/windows-rules.js', import.meta.url))
const FIXED_SECONDS = 1_700_000_000
const FOLDERS = ['documents', 'photos'] as const
const LARGE = 'large '.repeat(200_000)
const before = process.env['NODE_OPTIONS']

let stage: Stage
let server: RunningServer

// Both programs refuse what Windows refuses, and push two folders.
beforeEach(async () => {
  process.env['NODE_OPTIONS'] = `${before ?? ''} --require=${RULES}`
  stage = await Stage.open()
  for (let i = 0; i < 20; i++) await put(`documents/deep/deeper/leaf-${i}`, `leaf ${i}`)
  await put('documents/read-only', 'not to be changed')
  await put('documents/large', LARGE)
  await chmod(stage.path('documents', 'read-only'), 0o444)
  await chmod(stage.path('documents', 'large'), 0o444)
  await put('photos/image', 'image '.repeat(10_000))
  for (const name of ['first', 'second']) await link(stage.path('photos', 'image'), stage.path('photos', name))
  server = await stage.startServer()
  await stage.pair(server, 'client')
  await push()
})

afterEach(async () => {
  process.env['NODE_OPTIONS'] = before
  await stage.dispose()
})

async function put (path: string, content: string): Promise<void> {
  await mkdir(dirname(stage.path(path)), { recursive: true })
  await rm(stage.path(path), { force: true })
  await writeFile(stage.path(path), content)
  await utimes(stage.path(path), FIXED_SECONDS + content.length, FIXED_SECONDS)
}

/** Pushes both folders, and compares everything but modes; Windows keeps one bit of them. */
async function push (area = 'client'): Promise<void> {
  const { code, stdout, stderr } = await ask('push', ...FOLDERS.map(name => stage.path(name)), '--settle', '0s', '--json')
  const result = JSON.parse(stdout.trimEnd().split('\n').at(-1) ?? '') as { problems: unknown[] }
  expect({ code, problems: result.problems, stderr }).toMatchObject({ code: 0, problems: [] })
  await expectArchived(area)
}

async function expectArchived (area: string): Promise<void> {
  for (const name of FOLDERS) {
    expect(await treeDifferences(stage.path(name), mirrorOf(server, area, stage.path(name)), { modes: false })).toEqual([])
  }
}

async function ask (command: string, ...args: readonly string[]): Promise<Finished> {
  return await stage.run(CLIENT_PROGRAM, [command, ...args, ...stage.clientArgs('client')])
}

async function operate (...args: readonly string[]): Promise<Finished> {
  return await stage.run(SERVER_PROGRAM, [...args, '--state-dir', server.stateDir])
}

interface Restored {
  readonly files: number
  readonly filesPresent: number
  readonly filesLinked: number
  readonly problems: readonly { readonly path: string, readonly code: string }[]
}

async function restore (...args: readonly string[]): Promise<{ readonly code: number, readonly restored: Restored }> {
  const { code, stdout, stderr } = await ask('restore', ...args, '--json')
  expect(stderr).toBe('')
  return { code, restored: JSON.parse(stdout.trimEnd().split('\n').at(-1) ?? '') as Restored }
}

async function expectRestored (to: string): Promise<void> {
  for (const name of FOLDERS) expect(await treeDifferences(stage.path(name), join(to, name), { modes: false })).toEqual([])
  expect(await readdir(to)).not.toContain('.filesync')
  expect((await lstat(join(to, 'documents', 'read-only'))).mode & 0o200).toBe(0)
  expect((await lstat(join(to, 'photos', 'image'))).nlink).toBe(3)
}

test('a client restores its folders with read-only files, times and hard links, and does so again over what is there', async () => {
  const to = stage.path('out')
  expect(await restore('--to', to)).toMatchObject({ code: 0, restored: { files: 25, filesPresent: 0, filesLinked: 2, problems: [] } })
  await expectRestored(to)
  expect(await restore('--to', to)).toMatchObject({ code: 0, restored: { filesPresent: 25, problems: [] } })
  await expectRestored(to)

  // Of the same size, of another size, with another time and mode, something of another kind, and a name that became a file of its own.
  await rm(join(to, 'documents', 'read-only'))
  await writeFile(join(to, 'documents', 'read-only'), 'NOT TO BE CHANGED', { mode: 0o444 })
  await rm(join(to, 'documents', 'large'))
  await writeFile(join(to, 'documents', 'large'), 'small', { mode: 0o444 })
  await chmod(join(to, 'documents', 'deep', 'deeper', 'leaf-0'), 0o444)
  await utimes(join(to, 'documents', 'deep', 'deeper', 'leaf-0'), 1, 1)
  await rm(join(to, 'photos', 'second'))
  await writeFile(join(to, 'photos', 'second'), 'another', { mode: 0o444 })
  const kept = await restore('--to', to)
  expect([kept.code, kept.restored.problems.map(({ path }) => path).sort()])
    .toEqual([5, ['documents/large', 'documents/read-only', 'photos/second']])
  expect(await restore('--to', to, '--overwrite')).toMatchObject({ code: 0, restored: { problems: [] } })
  await expectRestored(to)
})

test('a path of this machine is restored as it was at a point, with what changed and what was deleted since', async () => {
  const { points } = JSON.parse((await ask('history', '--json')).stdout) as { points: { point: string }[] }
  expect(points).toHaveLength(1)
  await put('documents/deep/deeper/leaf-1', 'another leaf')
  await rm(stage.path('documents', 'deep', 'deeper', 'leaf-2'))
  await push()
  const to = stage.path('then')
  expect(await restore(stage.path('documents', 'deep'), '--at', points[0]?.point ?? '', '--to', to)).toMatchObject({ code: 0 })
  expect(await readFile(join(to, 'documents', 'deep', 'deeper', 'leaf-1'), 'utf8')).toBe('leaf 1')
  expect(await readFile(join(to, 'documents', 'deep', 'deeper', 'leaf-2'), 'utf8')).toBe('leaf 2')
  const history = await ask('history', 'documents/deep/deeper/leaf-1', '--json')
  expect(JSON.parse(history.stdout)).toMatchObject({ points: [{}, {}], versions: [{ sizeBytes: 'leaf 1'.length }] })
})

test('names of one file are moved, replaced and separated, and a folder leaves the archive', async () => {
  await rename(stage.path('photos', 'second'), stage.path('photos', 'moved'))
  await push()
  await put('photos/first', 'a file of its own')
  await chmod(stage.path('photos', 'image'), 0o444)
  await push()
  expect((await lstat(join(mirrorOf(server, 'client', stage.path('photos')), 'moved'))).nlink).toBe(2)
  expect((await ask('folders', 'remove', 'photos', '--from-archive')).code).toBe(0)
  expect(await readdir(join(server.archive, 'client'))).toEqual(['documents'])
  expect((await operate('verify')).code).toBe(0)
})

test('a client is renamed while the server runs and removed, and its history stays with it', async () => {
  await put('photos/later', 'later')
  await push()
  const renamed = await operate('peers', 'rename', 'client', 'workstation')
  expect(renamed.code, renamed.stderr).toBe(0)
  await put('photos/later', 'later still')
  await push('workstation')
  const { points } = JSON.parse((await ask('history', '--json')).stdout) as { points: unknown[] }
  expect(points).toHaveLength(3)
  expect((await operate('verify')).code).toBe(0)
  for (const [from, to] of [['workstation', 'Workstation'], ['Workstation', 'client']] as const) {
    expect((await operate('peers', 'rename', from, to)).code).toBe(0)
  }
  await expectArchived('client')
  await stage.stop(server.child)
  server = await stage.startServer()
  await push()
  const removed = await operate('peers', 'remove', 'client')
  expect(removed.code, removed.stderr).toBe(0)
})
