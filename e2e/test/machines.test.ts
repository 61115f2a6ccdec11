import { randomBytes } from 'node:crypto'
import { cp, mkdir, readdir, readFile, rm, utimes, writeFile } from 'node:fs/promises'
import { spawn, spawnSync } from 'node:child_process'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { CLIENT_PROGRAM, SERVER_PROGRAM, Stage } from '../src/programs.ts'
import type { Finished, RunningServer } from '../src/programs.ts'

let stage: Stage
let server: RunningServer
beforeEach(async () => {
  stage = await Stage.open()
  server = await stage.startServer()
})
afterEach(async () => { await stage.dispose() })

/** The bytes of all files that {@link fill} writes. */
const TOTAL_BYTES = 12_000_000
const LONG_AGO = 1_700_000_000

/** Files as a person has them: many small ones, some of the same size, and a large one. */
async function fill (directory: string): Promise<void> {
  await mkdir(`${directory}/photos`, { recursive: true })
  for (let n = 0; n < 40; n++) await put(`${directory}/photos/${String(n)}.jpg`, randomBytes(100_000))
  await put(`${directory}/video.mp4`, randomBytes(8_000_000))
}

/** Writes a file that has been quiet for long, so that no push waits for it. */
async function put (file: string, content: Uint8Array): Promise<void> {
  await writeFile(file, content)
  await utimes(file, LONG_AGO, LONG_AGO)
}

async function operate (...args: readonly string[]): Promise<Finished> {
  return await stage.run(SERVER_PROGRAM, [...args, '--state-dir', server.stateDir])
}

interface Listed {
  readonly client: string
  readonly late: boolean
  readonly pausedAt: string | null
  readonly removedAt: string | null
  readonly lastCompleteAt: string | null
  readonly expectMs: number | 'never' | null
  readonly cloned: object | null
}

async function peers (): Promise<Listed[]> {
  return JSON.parse((await operate('peers', '--json')).stdout) as Listed[]
}

async function pairByCode (client: string, args: readonly string[], id = 'renewed'): Promise<Finished> {
  const shown = await operate('pair', '--json', ...args)
  expect(shown.code, shown.stderr).toBe(0)
  const { code } = JSON.parse(shown.stdout) as { code: string }
  const child = spawn(process.execPath, [CLIENT_PROGRAM, 'pair', '--code-stdin', '--id', id, ...stage.clientArgs(client)])
  child.stdin.end(`${code}\n`)
  let [stdout, stderr] = ['', '']
  child.stdout.setEncoding('utf8').on('data', (text: string) => { stdout += text })
  child.stderr.setEncoding('utf8').on('data', (text: string) => { stderr += text })
  return await new Promise(resolve => { child.once('close', exit => { resolve({ code: exit ?? -1, stdout, stderr }) }) })
}

test.each(['the same times', 'new times'])('a reinstalled machine continues its files with %s, and sends none', async times => {
  const source = stage.path('source')
  await fill(source)
  await stage.pair(server, 'old', 'work')
  expect((await stage.push('old', source)).code).toBe(0)
  await mkdir(stage.path('copy'))
  const copy = stage.path('copy', 'source')
  // To the nanosecond, which the copy of Node does not keep.
  if (times === 'the same times') spawnSync('cp', ['-a', source, copy])
  else await cp(source, copy, { recursive: true })
  const beside = await pairByCode('new', [], 'work')
  expect(beside.stdout).toContain('"filesync-server pair --for work"')
  const paired = await pairByCode('new', ['--for', 'WORK'])
  expect(paired.code, paired.stderr).toBe(0)
  expect(paired.stdout).toContain('This machine continues the files of "work"')
  expect(await peers()).toMatchObject([{ client: 'work' }])
  const { code, result, stderr } = await stage.push('new', copy, ['--id', 'renewed'])
  expect(code, stderr).toBe(0)
  expect(result).toMatchObject({ result: 'ok', filesDeleted: 0 })
  expect(result.bytesSent).toBeLessThan(TOTAL_BYTES / 100)
  expect(await readFile(`${server.archive}/work/source/video.mp4`)).toEqual(await readFile(`${source}/video.mp4`))
  expect(await readdir(`${server.archive}/.filesync/versions/work`).catch(() => [])).toEqual([])
  const old = await stage.push('old', source)
  expect([old.code, old.stderr]).toEqual([3, expect.stringContaining('Another machine has taken over the files of this client')])
})

test('a reinstalled machine that pushes one folder after the other sends nothing of either', async () => {
  const [notes, source] = [stage.path('notes'), stage.path('source')]
  await fill(source)
  await mkdir(notes)
  await writeFile(stage.path('notes', 'todo'), randomBytes(50_000))
  await stage.pair(server, 'old', 'work')
  for (const folder of [notes, source]) expect((await stage.push('old', folder)).code).toBe(0)
  // With new times.
  await mkdir(stage.path('copy'))
  for (const name of ['notes', 'source']) await cp(stage.path(name), stage.path('copy', name), { recursive: true })
  expect((await pairByCode('new', ['--for', 'work'])).code).toBe(0)
  for (const name of ['notes', 'source']) {
    // Twice: a run without changes is a complete one too.
    for (let run = 0; run < 2; run++) {
      const { code, result, stderr } = await stage.push('new', stage.path('copy', name))
      expect(code, stderr).toBe(0)
      expect(result.bytesSent).toBeLessThan(25_000)
    }
  }
})

test('a token for a client is used once, and a client that nobody knows is named with those that exist', async () => {
  await stage.pair(server, 'old', 'work')
  const unknown = await operate('pair', '--for', 'nobody')
  expect([unknown.code, unknown.stderr]).toEqual([2, expect.stringContaining('There are: work.')])
  const token = await operate('token', 'create', '--for', 'work')
  await writeFile(stage.path('token'), token.stdout, { mode: 0o600 })
  const enroll = async (client: string): Promise<number> => (
    (await stage.run(CLIENT_PROGRAM, ['enroll', '--token-file', stage.path('token'), ...stage.clientArgs(client)])).code
  )
  expect(await enroll('first')).toBe(0)
  expect(await enroll('second')).toBe(3)
  expect(await enroll('first')).toBe(0)
  expect(await peers()).toMatchObject([{ client: 'work' }])
  await stage.stop(server.child)
  expect((await operate('token', 'create', '--for', 'work')).code).toBe(0)
  expect((await operate('token', 'create', '--for', 'nobody')).code).toBe(2)
})

test.each(['running', 'stopped'])('a client is renamed by a %s server, needs no change, and sends nothing again', async state => {
  const source = stage.path('source')
  await fill(source)
  await stage.pair(server, 'client', 'work')
  await stage.pair(server, 'other', 'camera')
  await stage.push('client', source, ['--id', 'work'])
  if (state === 'stopped') await stage.stop(server.child)
  const place = state === 'stopped' ? ['--archive', server.archive] : []
  for (const name of ['camera', 'CAMERA', 'legacy', 'work', 'a/b', '..']) {
    expect((await operate('peers', 'rename', 'work', name, ...place)).code, name).toBe(2)
  }
  const renamed = await operate('peers', 'rename', 'work', 'Studio', ...place)
  expect(renamed.code, renamed.stderr).toBe(0)
  if (state === 'stopped') server = await stage.startServer()
  const pushed = await stage.push('client', source, ['--id', 'work'])
  expect(pushed.code, pushed.stderr).toBe(0)
  expect(pushed.result.bytesSent).toBeLessThan(20_000)
  expect((await readdir(server.archive)).sort()).toEqual(['.filesync', 'Studio'])
  expect((await peers()).map(({ client, lastCompleteAt }) => [client, lastCompleteAt !== null]).sort()).toEqual([
    ['Studio', true], ['camera', false],
  ])
  expect((await stage.run(CLIENT_PROGRAM, ['servers', '--state-dir', stage.path('client')])).stdout).toContain('as Studio')
})

test.each(['running', 'stopped'])('a client that a %s server removes is out, and its files are versions', async state => {
  const source = stage.path('source')
  await fill(source)
  await stage.pair(server, 'client', 'work')
  await stage.push('client', source)
  if (state === 'stopped') await stage.stop(server.child)
  const place = state === 'stopped' ? ['--archive', server.archive] : []
  const removed = await operate('peers', 'remove', 'work', ...place)
  expect([removed.code, removed.stdout]).toEqual([0, expect.stringContaining('41 files moved to versions')])
  if (state === 'stopped') server = await stage.startServer()
  expect((await stage.push('client', source)).code).toBe(3)
  expect(await readdir(`${server.archive}/work`)).toEqual([])
  const restored = await operate('restore', 'work', '--to', stage.path('back'), '--at', new Date(Date.now() - 1).toISOString())
  expect([0, 2]).toContain(restored.code)
  expect((await peers())[0]?.removedAt).not.toBeNull()
  await stage.pair(server, 'another', 'work')
  expect((await peers()).map(({ client }) => client).sort()).toEqual(['work', 'work-2'])
})

test.each(['running', 'stopped'])('a client that a %s server paused learns so, pushes nothing, and goes on after resume', async state => {
  const source = stage.path('source')
  await fill(source)
  await stage.pair(server, 'client', 'work')
  const whileStopped = async (work: () => Promise<Finished>): Promise<void> => {
    if (state === 'stopped') await stage.stop(server.child)
    const done = await work()
    expect(done.code, done.stderr).toBe(0)
    if (state === 'stopped') server = await stage.startServer()
  }
  await whileStopped(async () => await operate('peers', 'pause', 'work'))
  await whileStopped(async () => await operate('peers', 'expect', 'work', '14d'))
  const paused = await stage.push('client', source)
  expect(paused.code).toBe(75)
  expect(paused.result).toMatchObject({ result: 'paused', code: 'PAUSED' })
  expect(paused.result.nextSyncAt).not.toBeNull()
  expect(await readdir(server.archive)).toEqual(['.filesync'])
  expect(await peers()).toMatchObject([{ client: 'work', late: false, expectMs: 14 * 86_400_000 }])
  expect((await operate('status')).stdout).toContain('PAUSED')
  await whileStopped(async () => await operate('peers', 'resume', 'work'))
  expect((await stage.push('client', source)).code).toBe(0)
  expect((await peers())[0]?.pausedAt).toBeNull()
})

test('the operator keeps the files of a removed client, and another machine continues them', async () => {
  const source = stage.path('source')
  await fill(source)
  await stage.pair(server, 'client', 'work')
  await stage.push('client', source)
  expect((await operate('peers', 'remove', 'work', '--keep-files')).code).toBe(0)
  expect((await stage.push('client', source)).code).toBe(3)
  expect((await pairByCode('heir', ['--for', 'work'])).code).toBe(0)
  const { code, result } = await stage.push('heir', source)
  expect([code, result.filesSent, result.bytesSent < TOTAL_BYTES / 100]).toEqual([0, 0, true])
})

test('what cannot be done to a client says why, and a damaged book stops nothing silently', async () => {
  for (const args of [
    ['rename', 'nobody', 'x'], ['remove', 'nobody'], ['pause', 'nobody'], ['resume', 'nobody'], ['expect', 'nobody', '1d'],
  ]) expect(await operate('peers', ...args), args.join(' ')).toMatchObject({ code: 2 })
  await stage.pair(server, 'client', 'work')
  expect((await operate('peers', 'expect', 'work', 'soon')).code).toBe(2)
  await operate('revoke', 'work')
  expect((await operate('peers', 'pause', 'work')).code).toBe(2)
  await writeFile(`${server.stateDir}/peers.json`, '{"version":1,"peers":[{"id":', { mode: 0o600 })
  for (const args of [['pair', '--for', 'work'], ['peers'], ['peers', 'pause', 'work'], ['peers', 'remove', 'work']]) {
    const outcome = await operate(...args)
    expect([outcome.code, outcome.stderr], args.join(' ')).toEqual([1, expect.stringContaining('is damaged')])
  }
  await rm(`${server.stateDir}/peers.json`)
})
