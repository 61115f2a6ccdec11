import { mkdir, readdir, readFile, rm, utimes, writeFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { encodeStart } from '@filesync/archive/testing'
import { hashBytes } from '@filesync/protocol/node'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { LogLines } from '../src/log-lines.ts'
import { CLIENT_PROGRAM, mirrorOf, SERVER_PROGRAM, Stage } from '../src/programs.ts'
import type { RunningServer } from '../src/programs.ts'
import { treeDifferences } from '../src/trees.ts'

const DAY_MS = 86_400_000
const HOUR_MS = 3_600_000
const LONG_AGO = 1_600_000_000

let stage: Stage
let source: string
beforeEach(async () => {
  stage = await Stage.open()
  source = stage.path('source')
  await stage.introduce('laptop', 'server')
})
afterEach(async () => { await stage.dispose() })

/** Writes a file with a time of its own for each generation. */
async function write (path: string, content: string | Uint8Array, generation = 0): Promise<void> {
  await mkdir(dirname(join(source, path)), { recursive: true })
  await writeFile(join(source, path), content)
  await utimes(join(source, path), LONG_AGO + generation, LONG_AGO + generation)
}

async function pushed (server: RunningServer): Promise<void> {
  const result = await stage.push('laptop', source)
  expect(result, result.stderr).toMatchObject({ code: 0 })
  expect(await treeDifferences(source, mirrorOf(server, 'laptop', source))).toEqual([])
}

/** The folder in versions of a sync, and what is remembered of it: that it was then. */
async function putAway ({ archive }: RunningServer, count: number, ms: number): Promise<string> {
  const number = String(count).padStart(10, '0')
  const folder = `${number}-${new Date(ms).toISOString().replaceAll(':', '.')}`
  await mkdir(join(archive, '.filesync/versions/laptop', folder, 'source'), { recursive: true })
  await writeFile(join(archive, '.filesync/versions/laptop', folder, 'source/diary'), folder)
  await writeFile(join(archive, '.filesync/history/laptop', `${number}.log`), encodeStart({ ms, ageMs: ms }, hashBytes))
  return folder
}

test('versions past --keep are dropped after a session, of older days all but the first and the last, and all of today', async () => {
  let server = await stage.startServer()
  await write('diary', 'yesterday')
  await pushed(server)
  await write('diary', 'today', 1)
  await pushed(server)
  await stage.stop(server.child)
  // As if there had been syncs 40 and 39 days ago, and three on one day ten days ago.
  const versions = join(server.archive, '.filesync/versions/laptop')
  const [fresh = ''] = await readdir(versions)
  const noon = Math.floor(Date.now() / DAY_MS) * DAY_MS + DAY_MS / 2
  const aged: string[] = []
  for (const [at, ms] of [40 * DAY_MS, 39 * DAY_MS, 10 * DAY_MS, 10 * DAY_MS - HOUR_MS, 10 * DAY_MS - 2 * HOUR_MS].entries())
    aged.push(await putAway(server, 11 + at, noon - ms))

  server = await stage.startServer('server', ['--keep', '30d'])
  const log = new LogLines(server)
  await pushed(server)
  expect(await log.next('pruned')).toMatchObject({ area: 'laptop', versions: 3 })
  expect((await readdir(versions)).sort()).toEqual([fresh, aged[2], aged[4]])
  const listed = await stage.run(SERVER_PROGRAM, ['history', 'laptop', 'source/diary', '--json', '--state-dir', server.stateDir])
  expect((JSON.parse(listed.stdout) as { versions: unknown[] }).versions).toHaveLength(3)
})

const LIMITS = [['a quota', ['--quota', '1M', '--reserve', '0']], ['a reserve of free space', ['--reserve', '900000G']]] as const

test.each(LIMITS)(
  '%s keeps one file out, names it with exit code 5 and does not have it sent, and stores the others',
  async (what, limits) => {
    let server = await stage.startServer('server', ['--reserve', '0'])
    await write('kept', 'stays')
    await pushed(server)
    await stage.stop(server.child)
    server = await stage.startServer('server', limits)
    await write('large', new Uint8Array(3 << 20).fill(7))
    await write('empty', '')
    if (what === 'a quota') await write('small', 'fits')
    await rm(join(source, 'kept'))
    for (let i = 0; i < 2; i++) {
      const partly = await stage.push('laptop', source)
      expect(partly).toMatchObject({
        code: 5,
        result: { result: 'problems', problems: [{ path: 'source/large', code: 'NO_ROOM' }], problemCount: 1 },
      })
      expect(partly.result.problems[0]?.message).toMatch(what === 'a quota' ? /--quota/u : /--reserve/u)
      expect(partly.result.bytesSent).toBeLessThan(64 << 10)
      // What leaves the mirror needs no room.
      expect(await readdir(mirrorOf(server, 'laptop', source))).toEqual(what === 'a quota' ? ['empty', 'small'] : ['empty'])
      expect(await readdir(join(server.archive, '.filesync/staging'))).toEqual([])
    }
    const planned = await stage.run(CLIENT_PROGRAM, ['plan', source, '--json', ...stage.clientArgs('laptop')])
    expect(planned.code).toBe(0)
    const problems = [{ path: 'source/large', code: 'NO_ROOM' }]
    expect(JSON.parse(planned.stdout)).toMatchObject({ result: 'problems', filesNew: 0, problems })

    await rm(join(source, 'large'))
    await pushed(server)
    const verified = await stage.run(SERVER_PROGRAM, ['verify', '--state-dir', server.stateDir])
    expect(verified, verified.stdout).toMatchObject({ code: 0 })
  }
)

test('an index that was lost is made again at the next session, and the log says so', async () => {
  let server = await stage.startServer()
  for (let i = 0; i < 3; i++) await write(`d/f${i}`, `content ${i}`)
  await pushed(server)
  await stage.stop(server.child)
  await rm(join(server.archive, '.filesync/index'), { recursive: true })

  server = await stage.startServer()
  const log = new LogLines(server)
  const { bytesSent } = (await stage.push('laptop', source)).result
  expect(bytesSent).toBeLessThan(32_000)
  expect(await log.next('index-lost')).toMatchObject({ area: 'laptop' })
  expect(await log.next('index-made')).toMatchObject({ area: 'laptop', files: 3, bytes: 27 })
  await pushed(server)
})

test('what was damaged, deleted and added by hand in the archive is noticed after a session and put right by the next one', async () => {
  let server = await stage.startServer()
  for (let i = 0; i < 30; i++) await write(`d${i % 3}/deep/f${i}`, `content ${i}`)
  await pushed(server)
  // The mirror is checked at most once a minute; a restarted server has not checked yet.
  await stage.stop(server.child)
  const mirror = mirrorOf(server, 'laptop', source)
  await writeFile(join(mirror, 'd0/deep/f0'), 'CONTENT 0')
  await rm(join(mirror, 'd1/deep/f1'))
  await writeFile(join(mirror, 'd2/deep/mine'), 'by hand')

  server = await stage.startServer()
  const log = new LogLines(server)
  expect(await stage.push('laptop', source)).toMatchObject({ code: 0, result: { filesSent: 0 } })
  expect(await log.next('hand-made')).toMatchObject({ area: 'laptop', paths: 3 })
  expect(await stage.push('laptop', source)).toMatchObject({ code: 0, result: { filesSent: 2, filesDeleted: 1 } })
  expect(await treeDifferences(source, mirror)).toEqual([])
  const [stamp = ''] = await readdir(join(server.archive, '.filesync/versions/laptop'))
  expect(await readFile(join(server.archive, '.filesync/versions/laptop', stamp, 'source/d2/deep/mine'), 'utf8')).toBe('by hand')
  expect(await readFile(join(server.archive, '.filesync/versions/laptop', stamp, 'source/d0/deep/f0'), 'utf8')).toBe('CONTENT 0')
})
