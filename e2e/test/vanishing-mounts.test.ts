import { execFileSync, spawnSync } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { mkdir, mkdtemp, readdir, readFile, rm, stat, utimes, writeFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { createInterface } from 'node:readline'
import type { PushResult } from '@filesync/client'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { CLIENT_PROGRAM, openPairedStage, SCRATCH } from '../src/programs.ts'
import type { RunningServer, Stage } from '../src/programs.ts'
import { treeDifferences } from '../src/trees.ts'

const LONG_AGO = 1_700_000_000

/** Most containers may not mount. */
const canMount = await (async () => {
  const folder = await mkdtemp(join(SCRATCH, 'filesync-mount-'))
  const { status } = spawnSync('mount', ['--bind', folder, folder], { stdio: 'ignore' })
  if (status === 0) unmount(folder)
  await rm(folder, { recursive: true })
  return status === 0
})()

function mount (disk: string, at: string): void {
  execFileSync('mount', ['--bind', disk, at], { stdio: 'ignore' })
}

function unmount (at: string): void {
  execFileSync('umount', ['-l', at], { stdio: 'ignore' })
}

async function settled (path: string, content: string | Buffer): Promise<void> {
  await mkdir(dirname(path), { recursive: true })
  await writeFile(path, content)
  await utimes(path, LONG_AGO, LONG_AGO)
}

describe.skipIf(!canMount)('a disk that is mounted in the pushed folder', () => {
  let stage: Stage
  let server: RunningServer
  let source: string
  let disk: string
  let usb: string
  beforeEach(async () => {
    ({ stage, server, source } = await openPairedStage())
    disk = stage.path('disk')
    usb = join(source, 'usb')
    await mkdir(usb)
    await settled(join(disk, 'deep/photo'), 'a photo')
    await settled(join(source, 'here'), 'here')
    await settled(join(source, 'stays'), 'stays')
    mount(disk, usb)
  })
  afterEach(async () => {
    spawnSync('umount', ['-l', usb], { stdio: 'ignore' })
    await stage.dispose()
  })

  const stored = (...names: string[]): string => join(server.archive, 'client', 'source', ...names)
  const versions = async (): Promise<string[]> => {
    return await readdir(join(server.archive, '.filesync', 'versions'), { recursive: true }).catch(() => [])
  }
  const push = async (...args: string[]): Promise<PushResult> => (await stage.push('client', source, args)).result

  test('stays in the archive while it is away, and everything else is pushed, deletions included', async () => {
    expect(await push()).toMatchObject({ result: 'ok', filesSent: 3 })
    unmount(usb)
    await rm(join(source, 'here'))
    await settled(join(source, 'fresh'), 'fresh')
    for (const filesSent of [1, 0]) {
      const { code, result } = await stage.push('client', source)
      expect([code, result.filesSent, result.problemCount, result.problems.map(({ path, code }) => `${path} ${code}`)])
        .toEqual([5, filesSent, 1, ['source/usb AWAY']])
    }
    expect((await readdir(stored())).sort()).toEqual(['fresh', 'stays', 'usb'])
    expect(await readFile(stored('usb/deep/photo'), 'utf8')).toBe('a photo')
    expect((await versions()).filter(path => path.includes('photo'))).toEqual([])
    for (const path of [usb, join(usb, 'deep/photo')]) {
      const why = await stage.run(CLIENT_PROGRAM, ['why', path, '--json', ...stage.clientArgs('client')])
      expect([why.stderr, JSON.parse(why.stdout)]).toMatchObject(['', { state: 'away' }])
    }

    mount(disk, usb)
    expect(await push()).toMatchObject({ result: 'ok', filesSent: 0, filesDeleted: 0 })
    expect(await treeDifferences(source, stored())).toEqual([])

    unmount(usb)
    expect(await push('--accept-source')).toMatchObject({ result: 'ok', filesDeleted: 1 })
    expect(await readdir(stored('usb'))).toEqual([])
    expect((await versions()).some(path => path.includes('photo'))).toBe(true)
  }, 60_000)

  test('stays in the archive if the directory that it was mounted in is removed with its other files', async () => {
    unmount(usb)
    usb = join(source, 'album/usb')
    await settled(join(source, 'album/note'), 'a note')
    await mkdir(usb)
    mount(disk, usb)
    expect(await push()).toMatchObject({ result: 'ok', filesSent: 4 })
    unmount(usb)
    await rm(join(source, 'album'), { recursive: true })
    for (let times = 0; times < 2; times++) {
      expect(await push()).toMatchObject({ result: 'problems', filesDeleted: 0, problems: [{ path: 'source/album/usb', code: 'AWAY' }] })
    }
    expect(await readFile(stored('album/usb/deep/photo'), 'utf8')).toBe('a photo')
    await mkdir(usb, { recursive: true })
    mount(disk, usb)
    // What was beside it vanished with its directory, and is removed now that the directory can be compared again.
    expect(await push()).toMatchObject({ result: 'ok', filesSent: 0, filesDeleted: 1 })
    expect(await treeDifferences(source, stored())).toEqual([])
  }, 60_000)

  test('that is unmounted while a push reads it stays in the archive as it was', async () => {
    expect(await push()).toMatchObject({ result: 'ok', filesSent: 3 })
    for (let index = 0; index < 20; index++) await settled(join(disk, `more/${index}.bin`), randomBytes(400_000))
    const child = stage.start(CLIENT_PROGRAM, ['push', source, '--json', '--limit', '4M', ...stage.clientArgs('client')])
    const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]()
    const staging = join(server.archive, '.filesync')
    await expect.poll(async () => {
      const names = await readdir(staging, { recursive: true })
      const sizes = await Promise.all(names.map(async name => (await stat(join(staging, name)).catch(() => undefined))?.size ?? 0))
      return Math.max(0, ...sizes)
    }, { timeout: 20_000, interval: 5 }).toBeGreaterThan(300_000)
    unmount(usb)
    const result = JSON.parse((await lines.next()).value as string) as PushResult
    expect(result).toMatchObject({ filesDeleted: 0 })
    expect(await readFile(stored('usb/deep/photo'), 'utf8')).toBe('a photo')
    expect(await push()).toMatchObject({ result: 'problems', filesDeleted: 0, problems: [{ path: 'source/usb', code: 'AWAY' }] })
    expect(await readFile(stored('usb/deep/photo'), 'utf8')).toBe('a photo')
    expect((await versions()).filter(path => path.includes('photo'))).toEqual([])
    mount(disk, usb)
    expect(await push()).toMatchObject({ result: 'ok', filesDeleted: 0 })
    expect(await treeDifferences(source, stored())).toEqual([])
  }, 60_000)

  test('is noticed by a running client when it is unmounted and when it is back, although no event reports either', async () => {
    const child = stage.start(CLIENT_PROGRAM, ['start', source, '--json', ...stage.clientArgs('client')])
    const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]()
    const next = async (): Promise<PushResult> => JSON.parse((await lines.next()).value as string) as PushResult
    expect(await next()).toMatchObject({ result: 'ok', filesSent: 3 })
    unmount(usb)
    expect(await next()).toMatchObject({ result: 'problems', filesDeleted: 0, problems: [{ path: 'source/usb', code: 'AWAY' }] })
    await settled(join(disk, 'later'), 'written elsewhere')
    mount(disk, usb)
    expect(await next()).toMatchObject({ result: 'ok', filesSent: 1, filesDeleted: 0 })
    expect(await treeDifferences(source, stored())).toEqual([])
  }, 60_000)
})
