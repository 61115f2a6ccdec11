import { spawnSync } from 'node:child_process'
import { mkdtempSync, rmdirSync } from 'node:fs'
import { mkdir, readdir, rename, rm, rmdir, utimes, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { createInterface } from 'node:readline'
import type { PushResult } from '@filesync/client'
import { randomBytes } from '@filesync/protocol/testing'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { CLIENT_PROGRAM, mirrorOf, Stage } from '../src/programs.ts'
import type { Finished, RunningServer } from '../src/programs.ts'
import { describeTree, treeDifferences } from '../src/trees.ts'

const LONG_AGO = 1_700_000_000

/** File systems may not be mounted in most containers. */
const mayMount = ((): boolean => {
  const at = mkdtempSync(join(tmpdir(), 'filesync-mount-'))
  const isMounted = spawnSync('mount', ['-t', 'tmpfs', '-o', 'size=1m', 'tmpfs', at]).status === 0
  if (isMounted) spawnSync('umount', ['-l', at])
  rmdirSync(at)
  return isMounted
})()

let stage: Stage
let server: RunningServer
let documents: string
let photos: string
const mounted: string[] = []
beforeEach(async () => {
  stage = await Stage.open()
  server = await stage.startServer('server', ['--interval', '3600'])
  await stage.pair(server, 'client')
  documents = stage.path('documents')
  photos = stage.path('photos')
  await put('documents/letter', 'dear')
  await put('documents/old/note', 'note')
  await put('photos/summer/beach', 'sand')
})
afterEach(async () => {
  await stage.stopAll()
  for (const at of mounted.splice(0)) spawnSync('umount', ['-l', at])
  await stage.dispose()
})

/** Writes a file that has been quiet for long. */
async function put (path: string, content: string | Uint8Array, seconds = LONG_AGO): Promise<void> {
  await mkdir(dirname(stage.path(path)), { recursive: true })
  await writeFile(stage.path(path), content)
  await utimes(stage.path(path), seconds, seconds)
}

async function push (...args: string[]): Promise<Finished & { result: PushResult }> {
  const finished = await stage.run(CLIENT_PROGRAM, ['push', ...args, '--json', ...stage.clientArgs('client')])
  const last = finished.stdout.trimEnd().split('\n').at(-1) ?? ''
  return { ...finished, result: (last === '' ? {} : JSON.parse(last)) as PushResult }
}

async function why (path: string, client = 'client'): Promise<{ readonly path: string, readonly state: string, readonly reason: string }> {
  const { code, stdout, stderr } = await stage.run(CLIENT_PROGRAM, ['why', path, '--json', '--state-dir', stage.path(client)])
  expect(code, stderr).toBe(0)
  return JSON.parse(stdout) as { path: string, state: string, reason: string }
}

/** What the archive holds of a folder. */
function mirror (folder: string): string {
  return mirrorOf(server, 'client', folder)
}

async function expectStored (...folders: string[]): Promise<void> {
  for (const folder of folders) expect(await treeDifferences(folder, mirror(folder))).toEqual([])
}

/** The runs of a client that keeps running. */
class Runs {
  readonly #lines: AsyncIterator<string>

  constructor (args: readonly string[], client = 'client') {
    const child = stage.start(CLIENT_PROGRAM, ['start', ...args, '--json', ...stage.clientArgs(client)])
    this.#lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]()
  }

  async next (): Promise<PushResult> {
    const line = await this.#lines.next()
    if (line.done === true) throw new Error('The client ended.')
    return JSON.parse(line.value) as PushResult
  }
}

/** A disk that can be unplugged and plugged in again at a mount point, with what is on it. */
class Disk {
  readonly mountPoint: string
  readonly #device: string

  private constructor (mountPoint: string, device: string) {
    this.mountPoint = mountPoint
    this.#device = device
  }

  static async plug (name: string): Promise<Disk> {
    const disk = new Disk(stage.path('media', name), stage.path(`device-${name}`))
    await mkdir(disk.#device)
    await mkdir(disk.mountPoint, { recursive: true })
    expect(spawnSync('mount', ['-t', 'tmpfs', '-o', 'size=8m', 'tmpfs', disk.#device]).status).toBe(0)
    mounted.push(disk.mountPoint, disk.#device)
    disk.mount()
    return disk
  }

  mount (): void {
    expect(spawnSync('mount', ['--bind', this.#device, this.mountPoint]).status).toBe(0)
  }

  // At once, as a disk is pulled out: a process may have a file of it open.
  unplug (): void {
    expect(spawnSync('umount', ['-l', this.mountPoint]).status).toBe(0)
  }
}

test('folders are stored beside each other, and one that is not mentioned is left alone', async () => {
  expect(await push(documents, photos)).toMatchObject({ code: 0, result: { result: 'ok', filesSent: 3, problems: [] } })
  expect((await readdir(join(server.archive, 'client'))).sort()).toEqual(['documents', 'photos'])
  await expectStored(documents, photos)

  const before = await describeTree(mirror(photos))
  await rm(stage.path('documents/old'), { recursive: true })
  await rm(stage.path('photos/summer'), { recursive: true })
  expect(await push(documents)).toMatchObject({ code: 0, result: { result: 'ok', filesDeleted: 1 } })
  await expectStored(documents)
  expect(await describeTree(mirror(photos))).toEqual(before)

  // Without an argument, the folders that were pushed before are pushed.
  await put('photos/winter/snow', 'snow')
  await put('documents/new', 'new')
  expect(await push('--accept-source')).toMatchObject({ code: 0, result: { filesSent: 2, filesDeleted: 1 } })
  await expectStored(documents, photos)
}, 60_000)

test('content that moves from one folder to another is not sent again', async () => {
  await put('documents/film', randomBytes(3_000_000, 7))
  expect((await push(documents, photos)).result.bytesSent).toBeGreaterThan(3_000_000)
  await rename(stage.path('documents/film'), stage.path('photos/film'))
  const moved = await push(documents, photos)
  expect(moved).toMatchObject({ code: 0, result: { result: 'ok', filesSent: 0, filesRenamed: 1, filesDeleted: 0 } })
  expect(moved.result.bytesSent + moved.result.bytesReceived).toBeLessThan(8192)
  await expectStored(documents, photos)
}, 60_000)

test('another directory under the name of a folder is refused and changes nothing, unless it is accepted', async () => {
  await push(documents, photos)
  const before = await describeTree(mirror(documents))
  await put('elsewhere/documents/foreign', 'of somebody else')
  const elsewhere = stage.path('elsewhere', 'documents')
  const alone = await push(elsewhere)
  expect(alone).toMatchObject({ code: 1, result: { result: 'failed', code: 'SOURCE_SUSPECT' } })
  for (const words of [documents, elsewhere, 'NAME=', '--accept-source']) expect(alone.stderr).toContain(words)

  // The other folder is not held back.
  await put('photos/winter/snow', 'snow')
  const beside = await push(elsewhere, photos)
  expect(beside).toMatchObject({
    code: 5, result: { result: 'problems', filesSent: 1, filesDeleted: 0, problems: [{ path: 'documents', code: 'FOLDER_AWAY' }] },
  })
  await expectStored(photos)
  expect(await describeTree(mirror(documents))).toEqual(before)

  expect(await push(elsewhere, '--accept-source')).toMatchObject({ code: 0, result: { filesSent: 1, filesDeleted: 2 } })
  await expectStored(elsewhere)
}, 60_000)

test('an empty directory is refused under a name with files in the archive, also by a client that has forgotten its folders', async () => {
  await push(documents, photos)
  const before = await describeTree(mirror(documents))
  await rename(documents, stage.path('aside'))
  await mkdir(documents)
  expect(await push(documents)).toMatchObject({ code: 1, result: { result: 'failed', code: 'SOURCE_SUSPECT' } })
  // As after the system was installed again.
  await rm(stage.path('client', 'folders.json'))
  const refused = await push(documents, photos)
  const problems = [{ path: 'documents', code: 'FOLDER_EMPTIED' }]
  expect(refused).toMatchObject({ code: 5, result: { result: 'problems', filesDeleted: 0, problems } })
  expect(refused.result.problems[0]?.message).toContain('--accept-source')
  expect(await describeTree(mirror(documents))).toEqual(before)
  expect(await push(documents, photos, '--accept-source')).toMatchObject({ code: 0, result: { filesDeleted: 2 } })
  expect(await readdir(mirror(documents))).toEqual([])
}, 60_000)

test.runIf(mayMount)('an unplugged disk loses nothing, holds nothing back, and is pushed again when it is back', async () => {
  const disk = await Disk.plug('usb')
  for (const name of ['one', 'deep/two']) await put(`media/usb/${name}`, name)
  expect(await push(documents, disk.mountPoint)).toMatchObject({ code: 0, result: { result: 'ok', filesSent: 4 } })
  await expectStored(documents, disk.mountPoint)
  const before = await describeTree(mirror(disk.mountPoint))

  disk.unplug()
  await rm(stage.path('documents/old'), { recursive: true })
  await put('documents/new', 'new')
  // The mount point is left empty, and then removed, as desktops do.
  for (const [filesSent, filesDeleted] of [[1, 1], [0, 0]] as const) {
    const away = await push(documents, disk.mountPoint)
    expect(away).toMatchObject({
      code: 5,
      result: { result: 'problems', filesSent, filesDeleted, problems: [{ path: 'usb', code: 'FOLDER_AWAY' }], problemCount: 1 },
    })
    await expectStored(documents)
    expect(await describeTree(mirror(disk.mountPoint))).toEqual(before)
    await rmdir(disk.mountPoint).catch(() => { /* it is gone already */ })
  }
  expect(await push(disk.mountPoint)).toMatchObject({ code: 1, result: { result: 'failed', code: 'SOURCE_SUSPECT' } })
  expect(await why('usb/one')).toMatchObject({ path: 'usb/one', state: 'away' })

  await mkdir(disk.mountPoint)
  disk.mount()
  await rm(stage.path('media/usb/one'))
  await put('media/usb/three', 'three')
  expect(await push(documents, disk.mountPoint)).toMatchObject({ code: 0, result: { result: 'ok', filesSent: 1, filesDeleted: 1 } })
  await expectStored(documents, disk.mountPoint)
}, 120_000)

test.runIf(mayMount)('a running client goes on with its other folders while a disk is away, and pushes it when it is back', async () => {
  const disk = await Disk.plug('usb')
  await put('media/usb/one', 'one')
  const runs = new Runs([documents, disk.mountPoint, '--settle', '0s'])
  expect(await runs.next()).toMatchObject({ result: 'ok', filesSent: 3 })
  const before = await describeTree(mirror(disk.mountPoint))
  const until = async (isAwaited: (result: PushResult) => boolean): Promise<PushResult> => {
    for (;;) {
      const result = await runs.next()
      if (isAwaited(result)) return result
    }
  }

  disk.unplug()
  await rm(stage.path('documents/old'), { recursive: true })
  const away = await until(({ filesDeleted }) => filesDeleted === 1)
  expect(away).toMatchObject({ result: 'problems', problems: [{ path: 'usb', code: 'FOLDER_AWAY' }] })
  expect(await describeTree(mirror(disk.mountPoint))).toEqual(before)
  const status = await stage.run(CLIENT_PROGRAM, ['status', '--json', '--state-dir', stage.path('client')])
  expect((JSON.parse(status.stdout) as { folders: unknown }).folders).toMatchObject([
    { name: 'documents', state: 'complete' }, { name: 'usb', state: 'away', files: 1 },
  ])

  disk.mount()
  await put('media/usb/two', 'two')
  await put('documents/new', 'new')
  await until(({ result, filesTotal }) => result === 'ok' && filesTotal === 4)
  await expectStored(documents, disk.mountPoint)
}, 120_000)

test('a home directory is pushed without the state of FileSync in it, and a running client does not push again and again', async () => {
  const state = 'home/.local/state/filesync'
  await put('home/diary', 'secret')
  await mkdir(stage.path('home/.local/state'), { recursive: true })
  await stage.pair(server, state, 'laptop')
  await rm(stage.path(`${state}.token`))
  const home = stage.path('home')
  const stored = mirrorOf(server, 'laptop', home)

  const runs = new Runs([home, '--settle', '0s'], state)
  expect(await runs.next()).toMatchObject({ result: 'ok', filesSent: 1, problems: [] })
  expect((await readdir(stored, { recursive: true })).sort()).toEqual(['.local', '.local/state', 'diary'])
  // What a run writes to the state would be noticed long before each answer.
  for (const name of ['a', 'b', 'c', 'd']) {
    expect(await why(`home/.local/state/filesync/${name}`, state)).toMatchObject({
      state: 'excluded', reason: expect.stringContaining('state directory of FileSync') as string,
    })
    // Whole at once: the client sees it before its time is set otherwise.
    await put(`aside/${name}`, name)
    await rename(stage.path('aside', name), stage.path('home', name))
    expect(await runs.next()).toMatchObject({ result: 'ok', filesSent: 1 })
  }
  expect((await readdir(stored)).sort()).toEqual(['.local', 'a', 'b', 'c', 'd', 'diary'])
}, 60_000)

test('a removal from the archive that removes nothing says why', async () => {
  await push(documents, photos)
  const remove = async (name: string): Promise<Finished> => (
    await stage.run(CLIENT_PROGRAM, ['folders', 'remove', name, '--from-archive', ...stage.clientArgs('client')])
  )
  const misspelled = await remove('Documents')
  expect(misspelled.code, misspelled.stderr).toBe(0)
  expect(misspelled.stdout).toContain('no file in a folder of exactly this name')
  await expectStored(documents)
  await stage.stop(server.child)
  server = await stage.startServer('server', ['--mode', 'archive'])
  const kept = await remove('documents')
  expect(kept.code, kept.stderr).toBe(0)
  expect(kept.stdout).toContain('stay in the archive, because this server keeps all')
  await expectStored(documents)
}, 60_000)

test('two clients with folders of the same name do not see or change each other\'s', async () => {
  await stage.pair(server, 'other')
  await push(documents, photos)
  await put('theirs/documents/letter', 'of another client')
  expect(await stage.push('other', stage.path('theirs', 'documents'))).toMatchObject({ code: 0, result: { filesSent: 1, filesDeleted: 0 } })
  await expectStored(documents, photos)
  expect(await treeDifferences(stage.path('theirs', 'documents'), mirrorOf(server, 'other', documents))).toEqual([])

  // What the first one stored is not safe for the second one, and what the second one removes stays with the first one.
  await put('theirs/documents/old/note', 'note')
  const safe = await stage.run(CLIENT_PROGRAM, ['safe', 'documents/old/note', '--json', ...stage.clientArgs('other')])
  expect(safe.code).toBe(5)
  expect(JSON.parse(safe.stdout)).toMatchObject({ path: 'documents/old/note', safe: false, state: 'absent' })
  await rm(stage.path('theirs/documents/letter'))
  expect(await stage.push('other', stage.path('theirs', 'documents'))).toMatchObject({ code: 0, result: { filesDeleted: 1 } })
  await expectStored(documents, photos)
}, 60_000)
