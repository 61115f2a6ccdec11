import { cpSync, existsSync, mkdirSync, readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { ROOT_PATH } from '@filesync/protocol'
import { hashBytes } from '@filesync/protocol/node'
import type { Archive, OtherCopy } from '../src/index.ts'
import { LoopDisk, mayMountImages } from './support/disks.ts'
import { World } from './support/in-memory.ts'
import { newArchive, newFolder } from './support/on-disk.ts'
import { push } from './support/push.ts'
import { SourceTree } from './support/source-tree.ts'

const AWAY = { code: 'ARCHIVE_UNAVAILABLE', message: expect.stringMatching(/archive that the server opened is no longer at/u) as unknown }

function copyOf (path: string, text: string): OtherCopy {
  return { path: path as OtherCopy['path'], kind: 'file', digest: hashBytes(new TextEncoder().encode(text)) }
}

/** Every kind of answer that depends on what an archive stores. */
async function everyAnswer (archive: Archive): Promise<(readonly [string, () => Promise<unknown>])[]> {
  const area = await archive.area('laptop')
  const source = new SourceTree().write('a', 'content')
  return [
    ['sync', () => push(area, source)],
    ['plan', () => area.beginPlanRun()],
    ['safe', () => area.checkSafe([copyOf('a', 'content')])],
    ['safe --fresh', () => area.checkSafe([copyOf('a', 'content')], { fresh: true })],
    ['verify', () => area.verify()],
    ['versions', () => area.versions(ROOT_PATH)],
    ['restore', () => area.restore({ path: ROOT_PATH, at: { ms: Infinity }, to: newFolder() })],
    ['room', () => archive.room()],
  ]
}

async function expectAway (archive: Archive, away: object = AWAY): Promise<void> {
  for (const [question, answer] of await everyAnswer(archive)) await expect(answer(), question).rejects.toMatchObject(away)
}

test('an archive that was replaced by another directory answers nothing, and changes neither', async () => {
  const root = join(newFolder(), 'archive')
  const archive = await newArchive({ root })
  await push(await archive.area('laptop'), new SourceTree().write('a', 'content'))
  renameSync(root, `${root} elsewhere`)
  await expectAway(archive)
  mkdirSync(root)
  await expectAway(archive)
  expect(readdirSync(root)).toEqual([])
  rmSync(root, { recursive: true })
  // A copy has the same id, but it is not what this process writes to.
  cpSync(`${root} elsewhere`, root, { recursive: true })
  await expectAway(archive)
  rmSync(root, { recursive: true })
  renameSync(`${root} elsewhere`, root)
  for (const [question, answer] of await everyAnswer(archive)) await expect(answer(), question).resolves.toBeDefined()
})

test('an archive without its id, or with another one, answers nothing', async () => {
  const root = newFolder()
  const archive = await newArchive({ root })
  await push(await archive.area('laptop'), new SourceTree().write('a', 'content'))
  const file = join(root, '.filesync/id')
  const id = readFileSync(file, 'utf8')
  writeFileSync(file, id.replace(/^./u, first => first === '0' ? '1' : '0'))
  await expectAway(archive)
  rmSync(file)
  await expectAway(archive)
  writeFileSync(file, id)
  await expect(archive.room()).resolves.toBeDefined()
})

// Mounting an image takes root.
test.runIf(mayMountImages)('a disk mounted over the archive is detected before any answer, and its room is not reported', async () => {
  const disk = new LoopDisk()
  const archive = await newArchive({ root: disk.at })
  const source = new SourceTree().write('a', 'content')
  const area = await archive.area('laptop')
  await push(area, source)
  expect(await area.checkSafe([copyOf('a', 'content')])).toMatchObject([{ verdict: 'safe' }])
  disk.mount()
  await expectAway(archive)
  expect(readdirSync(disk.at)).toEqual(['lost+found'])
  disk.unmount()
  expect(await area.checkSafe([copyOf('a', 'content')])).toMatchObject([{ verdict: 'safe' }])
})

// Mounting an image takes root.
test.runIf(mayMountImages)('a disk mounted during a sync keeps that sync from reporting everything as stored', async () => {
  const disk = new LoopDisk()
  const area = await (await newArchive({ root: disk.at })).area('laptop')
  const syncing = push(area, new SourceTree().write('a', 'content'), { onSync: () => { disk.mount() } })
  await expect(syncing).rejects.toMatchObject(AWAY)
  disk.unmount()
})

// The ioctl takes root and a file system that knows it.
test.runIf(mayMountImages)('nothing on a disk that was pulled out is reported as safe or as damaged', async ({ skip }) => {
  const disk = new LoopDisk()
  disk.mount()
  const archive = await newArchive({ root: disk.at })
  const area = await archive.area('laptop')
  await push(area, new SourceTree().write('a', 'content'))
  skip(!disk.pull(), 'There is no python3 here, or the file system cannot be shut down.')
  await expect(area.checkSafe([copyOf('a', 'content')])).rejects.toMatchObject({ code: 'ARCHIVE_UNAVAILABLE' })
  await expect(area.checkSafe([copyOf('a', 'content')], { fresh: true })).rejects.toMatchObject({ code: 'ARCHIVE_UNAVAILABLE' })
  await expect(area.verify()).rejects.toMatchObject({ code: 'ARCHIVE_UNAVAILABLE' })
  expect(area.stat('a' as never)).toBeDefined()
})

test('what is read from a disk that does not answer is neither safe nor damage', async () => {
  const world = new World()
  const area = await world.area()
  await push(area, new SourceTree().write('a', 'content'))
  world.store.root.below('laptop')?.remove('a')
  const gone = Object.assign(new Error('EIO'), { code: 'ARCHIVE_UNAVAILABLE' })
  const ensure = world.store.ensurePresent.bind(world.store)
  world.store.ensurePresent = async check => { if (check === 'disk') throw gone; await ensure(check) }
  await expect(area.checkSafe([copyOf('a', 'content')])).rejects.toBe(gone)
  await expect(area.verify()).rejects.toBe(gone)
  world.store.ensurePresent = ensure
  expect(area.stat('a' as never)).toBeDefined()
  expect(await area.checkSafe([copyOf('a', 'content')])).toMatchObject([{ verdict: 'altered' }])
})

test('only the expected archive is opened, and nothing is created in another directory', async () => {
  const root = join(newFolder(), 'archive')
  const archive = await newArchive({ root })
  const { id } = archive
  await archive.close()
  const again = await newArchive({ root, expectedId: id })
  expect(again.id).toBe(id)
  await again.close()
  const refusal = { code: 'ARCHIVE_UNAVAILABLE', message: expect.stringMatching(/mount.*--accept-archive/iu) as unknown }
  const empty = newFolder()
  await expect(newArchive({ root: empty, expectedId: id })).rejects.toMatchObject(refusal)
  expect(readdirSync(empty)).toEqual([])
  const missing = join(empty, 'missing')
  await expect(newArchive({ root: missing, expectedId: id })).rejects.toMatchObject(refusal)
  expect(existsSync(missing)).toBe(false)
  const other = newFolder()
  await (await newArchive({ root: other })).close()
  await expect(newArchive({ root: other, expectedId: id })).rejects.toMatchObject(refusal)
})
