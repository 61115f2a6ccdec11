import { cp, lstat, mkdir, readFile, readdir, rm, stat, symlink, utimes, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { CLIENT_PROGRAM, openPairedStage } from '../src/programs.ts'
import type { Finished, RunningServer, Stage } from '../src/programs.ts'
import { changeTree, folderIn, makeTree } from '../src/restored-tree.ts'
import { treeDifferences } from '../src/trees.ts'

interface Restored {
  readonly result: string
  readonly to: string
  readonly point: string
  readonly files: number
  readonly filesPresent: number
  readonly filesLinked: number
  readonly filesTotal: number
  readonly problems: readonly { readonly path: string, readonly code: string }[]
  readonly problemCount: number
  readonly code?: string
}

const PUSHES = 3

describe('a client', () => {
  let stage: Stage
  let server: RunningServer
  let source: string
  /** In the archive, with a slash; empty if the area is the directory itself. */
  let folder = ''
  /** Points, oldest first, and a copy of the tree at each. */
  const points: string[] = []

  beforeAll(async () => {
    ({ stage, server, source } = await openPairedStage('laptop'))
    await makeTree(source, { seed: 7, files: 60, largeBytes: 3 << 20 })
    for (let push = 0; push < PUSHES; push++) {
      if (push > 0) await changeTree(source, push)
      expect((await stage.push('client', source)).code).toBe(0)
      await cp(source, stage.path(`at-${push}`), { recursive: true, preserveTimestamps: true, verbatimSymlinks: true })
      points.unshift('')
    }
    const name = folderIn(join(server.archive, 'laptop'), source)
    folder = name === '' ? '' : `${name}/`
    const listed = await run('history', '--json')
    const history = JSON.parse(listed.stdout) as { points: { point: string }[] }
    points.splice(0, points.length, ...history.points.map(({ point }) => point).reverse())
    expect(points).toHaveLength(PUSHES)
  }, 120_000)

  afterAll(async () => { await stage.dispose() })

  async function run (command: string, ...args: readonly string[]): Promise<Finished> {
    return await stage.run(CLIENT_PROGRAM, [command, ...args, ...stage.clientArgs('client')])
  }

  async function restore (...args: readonly string[]): Promise<Finished & { restored: Restored }> {
    const finished = await run('restore', ...args, '--json')
    const last = finished.stdout.trimEnd().split('\n').at(-1) ?? ''
    return { ...finished, restored: JSON.parse(last) as Restored }
  }

  test.each([0, 1, 2])('gets everything, a folder and a file back as they were at point %i', async at => {
    const to = stage.path(`all-${at}`)
    const all = await restore('--at', points[at] ?? '', '--to', to)
    expect(all).toMatchObject({ code: 0, restored: { result: 'ok', point: points[at], problemCount: 0 } })
    expect(await treeDifferences(stage.path(`at-${at}`), join(to, folder))).toEqual([])
    expect(await readdir(to)).not.toContain('.filesync')
    expect(all.restored.files).toBe(all.restored.filesTotal)
    const inodes = await Promise.all(['one', 'two', 'three'].map(async name => (await stat(join(to, `${folder}shared`, name))).ino))
    expect(new Set(inodes).size).toBe(1)
    expect(all.restored.filesLinked).toBe(2)
    expect((await stat(join(to, `${folder}large/sparse.img`))).blocks * 512).toBeLessThan(1 << 20)

    const part = stage.path(`folder-${at}`)
    expect((await restore(`${folder}many`, '--at', points[at] ?? '', '--to', part)).code).toBe(0)
    expect(await treeDifferences(stage.path(`at-${at}`, 'many'), join(part, `${folder}many`))).toEqual([])
    const file = stage.path(`file-${at}`)
    expect((await restore(`${folder}private/deep/er/key`, '--at', points[at] ?? '', '--to', file)).code).toBe(0)
    expect(await readdir(join(file, folder))).toEqual(['private'])
    expect((await lstat(join(file, `${folder}private`))).mode & 0o777).toBe(0o700)
    const key = await readFile(join(file, `${folder}private/deep/er/key`))
    expect(key).toEqual(await readFile(stage.path(`at-${at}`, 'private/deep/er/key')))
  })

  test('sees which points and versions a path has, also by its local path', async () => {
    const { stdout } = await run('history', join(source, 'many/d1/f1'), '--json')
    const history = JSON.parse(stdout) as { points: { point: string }[], versions: { path: string, point: string }[] }
    expect(history.points.map(({ point }) => point)).toEqual([...points].reverse())
    const versions = [points[1], points[0]].map(point => `${folder}many/d1/f1 ${String(point)}`)
    expect(history.versions.map(({ path, point }) => `${path} ${point}`)).toEqual(versions)
    expect((await run('history', `${folder}many/d1/f1`)).stdout).toContain(points[0])
  })

  test('does not send again what is there, and takes no other file for it', async () => {
    const to = stage.path('again')
    await restore(`${folder}many`, '--to', to)
    await writeFile(join(to, `${folder}many/d3/f3`), 'mine')
    const target = join(to, `${folder}many/d4/f4`)
    const original = await readFile(target)
    const { atime, mtime } = await stat(target)
    // As large and as old, but other content.
    await writeFile(target, Buffer.alloc(original.length, 1))
    await utimes(target, atime, mtime)
    const again = await restore(`${folder}many`, '--to', to)
    expect(again).toMatchObject({ code: 5, restored: { result: 'problems', problemCount: 2 } })
    expect(again.restored.problems.map(({ path, code }) => `${code} ${path}`).sort()).toEqual(
      [`PATH_TAKEN ${folder}many/d3/f3`, `PATH_TAKEN ${folder}many/d4/f4`])
    expect(again.restored.filesPresent).toBe(again.restored.files)
    expect(await readFile(join(to, `${folder}many/d3/f3`), 'utf8')).toBe('mine')
    const over = await restore(`${folder}many`, '--to', to, '--overwrite')
    expect(over).toMatchObject({ code: 0, restored: { result: 'ok' } })
    expect(await treeDifferences(join(source, 'many'), join(to, `${folder}many`))).toEqual([])
  })

  test('follows no link in the target, and writes nothing outside', async () => {
    const to = stage.path('trap')
    const outside = stage.path('outside')
    await mkdir(join(to, folder), { recursive: true })
    await mkdir(outside)
    await symlink(outside, join(to, `${folder}many`))
    await symlink(join(outside, 'planted'), join(to, `${folder}shared`))
    const trapped = await restore('--to', to)
    expect(trapped.code).toBe(5)
    expect(trapped.restored.problems.map(({ path, code }) => `${code} ${path}`).sort()).toEqual(
      [`PATH_TAKEN ${folder}many`, `PATH_TAKEN ${folder}shared`])
    expect(await readdir(outside)).toEqual([])
    // Another user's or an attacker's work directory is not used either.
    const worked = stage.path('worked')
    await mkdir(worked)
    await symlink(outside, join(worked, '.filesync'))
    expect((await restore('--to', worked)).code).toBe(1)
    expect(await readdir(outside)).toEqual([])
    await rm(join(worked, '.filesync'))
    await mkdir(join(worked, '.filesync'))
    await symlink(join(outside, 'made'), join(worked, '.filesync/made'))
    await symlink(join(outside, 'lock'), join(worked, '.filesync/lock'))
    await restore(`${folder}empty`, '--to', worked)
    expect(await readdir(outside)).toEqual([])
  })

  test('learns what was wrong with what it asked for', async () => {
    expect(await restore('--at', 'p999')).toMatchObject({ code: 1, restored: { code: 'POINT_UNKNOWN' } })
    expect(await restore(`${folder}nothing`)).toMatchObject({ code: 1, restored: { code: 'PATH_ABSENT' } })
    expect(await restore('../etc')).toMatchObject({ code: 2, restored: { code: 'USAGE' } })
    expect(await restore('--to', server.archive)).toMatchObject({ code: 2, restored: { code: 'USAGE' } })
    expect(await restore('--server', '127.0.0.1:1')).toMatchObject({ code: 75 })
    expect((await stage.run(CLIENT_PROGRAM, ['restore', '--state-dir', stage.path('nobody')])).code).toBe(3)
  })

  test('restores beside, into a directory that is named after the point', async () => {
    const { restored } = await restore(`${folder}empty`, '--at', points[1] ?? '')
    expect(restored.to).toBe(join(process.cwd(), `restored-${points[1] ?? ''}`))
    await rm(restored.to, { recursive: true })
  })

  test('gets nothing from a server that forbids it, and still pushes', async () => {
    await stage.stop(server.child)
    server = await stage.startServer('server', ['--no-client-restore'])
    expect(await restore()).toMatchObject({ code: 1, restored: { code: 'RESTORE_FORBIDDEN' } })
    const history = await run('history')
    expect(history).toMatchObject({ code: 1, stdout: '' })
    expect(history.stderr).toContain('--no-client-restore')
    expect((await stage.push('client', source)).code).toBe(0)
    await stage.stop(server.child)
    server = await stage.startServer('server')
  })

  test('is on record in the audit log with what it read', async () => {
    await restore(`${folder}shared`, '--to', stage.path('audited'))
    const lines = (await readFile(join(server.stateDir, 'audit.log'), 'utf8')).trimEnd().split('\n')
    const last: unknown = JSON.parse(lines.at(-1) ?? '')
    expect(last).toMatchObject({ event: 'restore', area: 'laptop', path: `${folder}shared`, files: 5, point: points[2] })
  })
})
