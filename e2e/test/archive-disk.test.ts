import { cpSync, existsSync, mkdirSync, readdirSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { CLIENT_PROGRAM, openPairedStage, SERVER_PROGRAM } from '../src/programs.ts'
import type { Finished, PairedStage } from '../src/programs.ts'

let paired: PairedStage
beforeEach(async () => { paired = await openPairedStage() })
afterEach(async () => { await paired.stage.dispose() })

function safe (...args: string[]): Promise<Finished> {
  const { stage, source, server } = paired
  return stage.run(CLIENT_PROGRAM, [
    'safe',
    join(source, 'a'),
    ...args,
    '--server',
    `127.0.0.1:${String(server.listening.port)}`,
    '--state-dir',
    stage.path('client'),
  ])
}

function push (): Promise<Finished> {
  const { stage, source, server } = paired
  return stage.push('client', source, ['--server', `127.0.0.1:${String(server.listening.port)}`])
}

async function status (): Promise<unknown> {
  const { stage, server } = paired
  const finished = await stage.run(SERVER_PROGRAM, ['status', '--json', '--state-dir', server.stateDir])
  return JSON.parse(finished.stdout)
}

function startAgain (...args: string[]): Promise<Finished> {
  return startWith(paired.server.archive, args)
}

/** Starts another server with the state directory of the first one, and waits until it ends. */
function startWith (archive: string, args: readonly string[]): Promise<Finished> {
  const { stage, server } = paired
  return stage.run(SERVER_PROGRAM, [
    'start',
    '--archive',
    archive,
    '--state-dir',
    server.stateDir,
    '--bind',
    '127.0.0.1',
    '--interface',
    'lo',
    ...args,
  ])
}

test('a server whose archive is gone, empty or another one does not start, makes nothing there, and says what to do', async () => {
  const { stage, server, source } = paired
  writeFileSync(join(source, 'a'), 'content')
  expect((await push()).code).toBe(0)
  await stage.stop(server.child)
  const aside = `${server.archive}-unmounted`
  renameSync(server.archive, aside)
  const refused = async (): Promise<void> => {
    const { code, stderr } = await startAgain()
    expect([code, stderr]).toEqual([1, expect.stringMatching(/Mount the disk.*--accept-archive/u)])
  }
  await refused()
  expect(existsSync(server.archive)).toBe(false)
  mkdirSync(server.archive)
  await refused()
  expect(readdirSync(server.archive)).toEqual([])
  rmSync(server.archive, { recursive: true })
  // A copy of the whole archive is the archive, wherever it is.
  cpSync(aside, server.archive, { recursive: true, preserveTimestamps: true })
  const copied = await stage.startServer()
  await stage.stop(copied.child)
  rmSync(server.archive, { recursive: true })
  mkdirSync(server.archive)
  const accepted = await stage.startServer('server', ['--accept-archive'])
  await stage.stop(accepted.child)
  // From then on it is the one that is known.
  const again = await stage.startServer()
  await stage.stop(again.child)
  rmSync(server.archive, { recursive: true })
  renameSync(aside, server.archive)
  await refused()
})

test('while the archive is away nothing is called safe or stored, and status says so; it is used again when it is back', async () => {
  const { stage, server, source } = paired
  writeFileSync(join(source, 'a'), 'content')
  expect((await push()).code).toBe(0)
  expect((await safe()).code).toBe(0)
  const events = createInterface({ input: server.child.stdout })
  const back = new Promise<void>(resolve => { events.on('line', line => { if (line.includes('"event":"archive-back"')) resolve() }) })
  renameSync(server.archive, `${server.archive}-unplugged`)
  for (const finished of [await safe(), await safe('--fresh')]) {
    expect(finished.code).toBe(1)
    expect(finished.stdout).not.toMatch(/safe/iu)
    expect(finished.stderr).toMatch(/archive/iu)
  }
  writeFileSync(join(source, 'b'), 'more')
  expect(await push()).toMatchObject({ code: 1, result: { code: 'ARCHIVE_UNAVAILABLE' } })
  expect(await status()).toMatchObject({ disk: null, away: expect.stringContaining(server.archive) as unknown })
  const text = (await stage.run(SERVER_PROGRAM, ['status', '--state-dir', server.stateDir])).stdout
  expect(text).toMatch(/^archive .*UNAVAILABLE/mu)
  const verified = await stage.run(SERVER_PROGRAM, ['verify', '--state-dir', server.stateDir])
  expect(verified.code).toBe(1)
  // Something else at its place, such as the bare mount point, is left as it is.
  mkdirSync(server.archive)
  expect((await push()).code).toBe(1)
  expect(readdirSync(server.archive)).toEqual([])
  rmSync(server.archive, { recursive: true })
  renameSync(`${server.archive}-unplugged`, server.archive)
  await back
  expect((await push()).code).toBe(0)
  expect((await safe('--fresh')).code).toBe(0)
  expect(await status()).toMatchObject({ away: null, disk: { files: 2 } })
})

test('a second server with the state directory of a running one does not change which archive that one knows', async () => {
  const { stage, server } = paired
  const elsewhere = await startWith(stage.path('elsewhere'), ['--accept-archive'])
  expect([elsewhere.code, elsewhere.stderr]).toEqual([1, expect.stringContaining(server.stateDir)])
  expect(existsSync(stage.path('elsewhere'))).toBe(false)
  await stage.stop(server.child)
  await stage.stop((await stage.startServer()).child)
})

test('a command never makes an archive of a directory that is none', async () => {
  const { stage, server } = paired
  await stage.stop(server.child)
  const mountPoint = stage.path('mount-point')
  mkdirSync(mountPoint)
  for (const command of [
    ['verify'],
    ['history', 'client'],
    ['release', 'client'],
    ['restore', 'client', '--at', '0s', '--to', stage.path('out')],
  ]) {
    const { code, stderr } = await stage.run(SERVER_PROGRAM, [...command, '--archive', mountPoint, '--state-dir', server.stateDir])
    expect([command[0], code, stderr]).toEqual([command[0], 1, expect.stringContaining(`no archive at ${mountPoint}`)])
  }
  expect(readdirSync(mountPoint)).toEqual([])
})
