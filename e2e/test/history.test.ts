import { chmod, cp, mkdir, rename, rm, stat, symlink, utimes, writeFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { SERVER_PROGRAM, Stage } from '../src/programs.ts'
import type { Finished, RunningServer } from '../src/programs.ts'
import { treeDifferences } from '../src/trees.ts'

const LONG_AGO = 1_600_000_000

let stage: Stage
let source: string
let server: RunningServer
beforeEach(async () => {
  stage = await Stage.open()
  source = stage.path('source')
  await stage.introduce('laptop', 'server')
  server = await stage.startServer()
})
afterEach(async () => { await stage.dispose() })

async function write (path: string, content: string, generation = 0): Promise<void> {
  await mkdir(dirname(join(source, path)), { recursive: true })
  await writeFile(join(source, path), content)
  await utimes(join(source, path), LONG_AGO + generation, LONG_AGO + generation)
}

/** Pushes the source, and keeps a copy of it. */
async function pushAndKeep (name: string): Promise<string> {
  const result = await stage.push('laptop', source)
  expect(result, result.stderr).toMatchObject({ code: 0 })
  const copy = stage.path(name)
  await cp(source, copy, { recursive: true, preserveTimestamps: true, verbatimSymlinks: true })
  return copy
}

async function ask (...args: string[]): Promise<Finished> {
  return await stage.run(SERVER_PROGRAM, [...args, '--state-dir', server.stateDir])
}

interface Row {
  readonly point: string
  readonly at: string
  readonly added: number
  readonly replaced: number
  readonly removed: number
  readonly bytes: number
}

async function points (...path: string[]): Promise<Row[]> {
  const { stdout, stderr, code } = await ask('history', 'laptop', ...path, '--json')
  expect(code, stderr).toBe(0)
  return (JSON.parse(stdout) as { points: Row[] }).points
}

test('each completed push is a point that history lists, and restore brings back by its id and by its printed time', async () => {
  await write('docs/a', 'first')
  await write('docs/b', 'stays')
  await write('private/diary', 'secret')
  await chmod(join(source, 'private'), 0o700)
  await symlink('docs', join(source, 'link'))
  const copies = [await pushAndKeep('one')]
  await write('docs/a', 'second, longer', 1)
  await rename(join(source, 'docs/b'), join(source, 'moved'))
  await write('new', 'new')
  copies.push(await pushAndKeep('two'))
  await rm(join(source, 'private'), { recursive: true })
  copies.push(await pushAndKeep('three'))
  // Nothing changed, so there is no further point.
  await pushAndKeep('same')

  const rows = (await points()).reverse()
  expect(rows.map(({ added, replaced, removed, bytes }) => [added, replaced, removed, bytes])).toEqual([
    [3, 0, 0, 16], [2, 1, 1, 22], [0, 0, 1, 0],
  ])
  const printed = (await ask('history', 'laptop')).stdout.trim().split('\n').reverse()
  for (const [i, { point, at }] of rows.entries()) {
    const [id, time = ''] = printed[i]?.split(/ +/u) ?? []
    expect([id, new Date(time).toISOString()]).toEqual([point, at])
    expect(time).toMatch(/[+-]\d\d:\d\d$/u)
    for (const [kind, moment] of [['id', point], ['time', time], ['utc', at]] as const) {
      const to = stage.path(`restored-${kind}-${point}`)
      const restored = await ask('restore', 'laptop', '--at', moment, '--to', to)
      expect(restored, restored.stderr).toMatchObject({ code: 0 })
      expect(restored.stdout).toContain(`as of ${point}, ${time}`)
      expect(await treeDifferences(copies[i] ?? '', join(to, 'source'))).toEqual([])
    }
  }
})

test('history of a path names the points that changed it, and for each version the point that has it', async () => {
  await write('docs/a', 'first')
  await write('other', 'x')
  const first = await pushAndKeep('one')
  await write('other', 'changed', 1)
  await pushAndKeep('two')
  await write('docs/a', 'second', 2)
  await pushAndKeep('three')
  const all = await points()
  const { stdout } = await ask('history', 'laptop', 'source/docs', '--json')
  const told = JSON.parse(stdout) as { points: Row[], versions: { path: string, point: string }[] }
  expect(told.points.map(({ point }) => point)).toEqual([all[0]?.point, all[2]?.point])
  expect(told.versions).toMatchObject([{ path: 'source/docs/a', kind: 'file', sizeBytes: 5, point: all[1]?.point }])
  const to = stage.path('restored')
  expect(await ask('restore', 'laptop', 'source/docs', '--at', told.versions[0]?.point ?? '', '--to', to)).toMatchObject({ code: 0 })
  expect(await treeDifferences(join(first, 'docs'), join(to, 'source/docs'))).toEqual([])
  const text = (await ask('history', 'laptop', 'source/docs/a')).stdout
  expect(text).toMatch(new RegExp(`^${told.versions[0]?.point ?? ''} +until \\S+[+-]\\d\\d:\\d\\d {2}5 B {2}source/docs/a$`, 'mu'))
})

test('a restore without a target writes beside the user, and what is unknown or to come is refused with what to do', async () => {
  await write('a', 'a')
  await pushAndKeep('one')
  const [{ point } = { point: '' }] = await points()
  const here = stage.path('here')
  await mkdir(here)
  const restored = await stage.run(SERVER_PROGRAM, ['restore', 'laptop', '--at', point, '--state-dir', server.stateDir], here)
  expect(restored, restored.stderr).toMatchObject({ code: 0 })
  expect((await stat(join(here, `restored-${point}`, 'source', 'a'))).size).toBe(1)
  const refusals = [
    ['p999', /"p999" is not a point of this client, or is no longer kept\. Points from p\d+ to p\d+ are kept; "history" lists them/u],
    ['2999-01-01', /is in the future: the server's clock says/u],
    ['1999-01-01', /There was nothing at that time\. Run "filesync-server history laptop"/u],
    ['soon', /"soon" is not a valid time/u],
  ] as const
  for (const [at, why] of refusals) {
    const { code, stderr } = await ask('restore', 'laptop', '--at', at, '--to', stage.path('never'))
    expect([code, stderr]).toEqual([2, expect.stringMatching(why)])
  }
  expect(await ask('versions', 'laptop')).toMatchObject({ code: 2, stderr: expect.stringContaining('filesync-server history') as unknown })
})
