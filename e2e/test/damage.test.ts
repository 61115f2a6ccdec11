import { cp, mkdir, readdir, readFile, rm, stat, utimes, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { CLIENT_PROGRAM, mirrorOf, SERVER_PROGRAM, Stage } from '../src/programs.ts'
import type { Finished, RunningServer } from '../src/programs.ts'

let stage: Stage
let server: RunningServer
let source: string
beforeEach(async () => {
  stage = await Stage.open()
  source = stage.path('source')
  await stage.introduce('laptop', 'server')
  server = await stage.startServer()
  await mkdir(source)
  for (const [name, content] of [['thesis', 'thesis'], ['other', 'other']] as const) {
    await writeFile(join(source, name), content)
    await utimes(join(source, name), 1_600_000_000, 1_600_000_000)
  }
  await push()
})
afterEach(async () => { await stage.dispose() })

async function push (): Promise<void> {
  const result = await stage.push('laptop', source)
  expect(result, result.stderr).toMatchObject({ code: 0 })
}

async function command (...args: readonly string[]): Promise<Finished> {
  return await stage.run(SERVER_PROGRAM, [...args, '--state-dir', server.stateDir])
}

/** Asks whether the file is safe. */
async function safe (): Promise<Finished> {
  return await stage.run(CLIENT_PROGRAM, ['safe', 'thesis', ...stage.clientArgs('laptop')])
}

/** Restores what there is now. */
async function restore (to: string): Promise<Finished> {
  return await command('restore', 'laptop', '--at', new Date().toISOString(), '--to', stage.path(to))
}

test('a file that was only touched in the archive is restored, with its time, and verify puts it right', async () => {
  const stored = join(mirrorOf(server, 'laptop', source), 'thesis')
  await utimes(stored, 1_700_000_000, 1_700_000_000)
  expect((await stage.run(SERVER_PROGRAM, ['status', '--state-dir', server.stateDir])).stdout).not.toContain('altered, damaged or missing')
  // The question notes it.
  expect((await safe()).code).not.toBe(0)
  expect((await command('status')).stdout).toContain('1 stored file altered, damaged or missing')
  expect((await restore('out')).code).toBe(0)
  expect(await readFile(stage.path('out/source/thesis'), 'utf8')).toBe('thesis')
  expect((await stat(stage.path('out/source/thesis'))).mtimeMs).toBe(1_600_000_000_000)
  expect(await command('verify')).toMatchObject({ code: 0, stdout: 'laptop: 2 files, 11 B, all intact.\n' })
  expect((await safe()).code).toBe(0)
  expect((await command('status')).stdout).not.toContain('altered, damaged or missing')
})

test('verify, status and restore report a damaged file with exit code 5 until the client has sent it again', async () => {
  const stored = join(mirrorOf(server, 'laptop', source), 'thesis')
  await writeFile(stored, 'theSis')
  await utimes(stored, 1_600_000_000, 1_600_000_000)
  for (let i = 0; i < 2; i++) {
    const verified = await command('verify', '--quiet')
    expect(verified.code).toBe(5)
    expect(verified.stderr).toContain('  source/thesis: ')
  }
  expect((await command('status')).stdout).toMatch(
    /1 stored file altered, damaged or missing\n\s+source\/thesis: damaged in the archive, found at /u
  )
  const restored = await restore('out')
  expect(restored.code).toBe(5)
  expect(restored.stdout).toContain('source/thesis: its content in the archive no longer matches its digest')
  expect((await readdir(stage.path('out/source'))).sort()).toEqual(['other', 'thesis.damaged'])
  expect(await readFile(stage.path('out/source/thesis.damaged'), 'utf8')).toBe('theSis')
  await push()
  expect((await command('verify')).code).toBe(0)
  expect((await restore('again')).code).toBe(0)
  expect(await readFile(stage.path('again/source/thesis'), 'utf8')).toBe('thesis')
})

test('verify says that nothing is known where the index is not there, with exit code 5 and what to do', async () => {
  await stage.stop(server.child)
  const copy = stage.path('copy')
  await cp(server.archive, copy, { recursive: true })
  await rm(join(copy, '.filesync/index'), { recursive: true })
  const verified = await command('verify', '--archive', copy)
  expect(verified.code).toBe(5)
  expect(verified.stdout).toMatch(
    /^laptop: no digests are recorded for the files in its folder, so they could not be verified\. .*Let the client sync/u
  )
  expect((await command('verify', 'laptop', '--archive', copy)).code).toBe(5)
  const fresh = await stage.startServer('fresh')
  const empty = await stage.run(SERVER_PROGRAM, ['verify', '--state-dir', fresh.stateDir])
  expect(empty).toMatchObject({ code: 5, stdout: expect.stringContaining('no client has synced yet') as unknown })
})
