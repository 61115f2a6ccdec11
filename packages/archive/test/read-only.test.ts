import { mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { tmpdir } from 'node:os'
import { expect, onTestFinished, test } from 'vitest'
import { ROOT_PATH } from '@filesync/protocol'
import type { Archive } from '../src/index.ts'
import { LoopDisk, mayMountImages, run } from './support/disks.ts'
import { describeFolder, newArchive, newFolder, WallClock } from './support/on-disk.ts'
import { push } from './support/push.ts'
import { SourceTree } from './support/source-tree.ts'

/** An archive with two states of a file, on a disk that is mounted read-only. */
async function onReadOnlyDisk (
  spoil: (root: string) => void = () => { /* all is well */ },
): Promise<{ disk: LoopDisk, before: string[], betweenMs: number, archive: Archive }> {
  const disk = new LoopDisk()
  disk.mount()
  const clock = new WallClock(Date.now() - 60_000)
  const writing = await newArchive({ root: disk.at, clock })
  const area = await writing.area('laptop')
  const source = new SourceTree().write('a', 'old').write('d/b', 'same')
  await push(area, source)
  clock.advance(10_000)
  const betweenMs = clock.nowMs()
  clock.advance(10_000)
  await push(area, source.write('a', 'new one'))
  await writing.close()
  spoil(disk.at)
  await disk.unmountWhole()
  disk.mount('ro')
  const before = describeFolder(disk.at)
  return { disk, before, betweenMs, archive: await newArchive({ root: disk.at, mustExist: true, mayBeReadOnly: true }) }
}

function text (directory: string, name: string): string {
  return readFileSync(join(directory, name), 'utf8')
}

// Mounting an image takes root, here and below.
test.runIf(mayMountImages)('an archive on a read-only disk is listed, verified and restored, and leaves no temporary files', async () => {
  const scratch = newFolder()
  const saved = process.env['TMPDIR']
  process.env['TMPDIR'] = scratch
  onTestFinished(() => { if (saved === undefined) delete process.env['TMPDIR']; else process.env['TMPDIR'] = saved })
  expect(tmpdir()).toBe(scratch)
  const { disk, before, betweenMs, archive } = await onReadOnlyDisk()
  expect(archive.isReadOnly).toBe(true)
  const area = await archive.area('laptop')
  expect((await area.versions(ROOT_PATH)).map(({ path }) => path)).toEqual(['a'])
  expect(await area.verify()).toMatchObject({ files: 2, problems: [] })
  const to = newFolder()
  expect(await area.restore({ path: ROOT_PATH, at: { ms: Infinity }, to })).toMatchObject({ files: 2, failures: [] })
  expect([text(to, 'a'), text(to, 'd/b')]).toEqual(['new one', 'same'])
  const past = newFolder()
  expect(await area.restore({ path: ROOT_PATH, at: { ms: betweenMs }, to: past })).toMatchObject({ files: 2, failures: [] })
  expect([text(past, 'a'), text(past, 'd/b')]).toEqual(['old', 'same'])
  await archive.close()
  expect(describeFolder(disk.at)).toEqual(before)
  expect(readdirSync(scratch)).toEqual([])
})

test.runIf(mayMountImages)('damage on a read-only disk is reported each time, with the note that it is not recorded', async () => {
  const { archive } = await onReadOnlyDisk(root => { writeFileSync(join(root, 'laptop/d/b'), 'sane') })
  const area = await archive.area('laptop')
  const damage = [{ path: 'd/b', message: expect.stringContaining('not recorded') as unknown }]
  expect((await area.verify()).problems).toMatchObject(damage)
  await archive.close()
})

test.runIf(mayMountImages)('a sync, a release and an open for writing are refused on a read-only disk', async () => {
  const { disk, archive } = await onReadOnlyDisk()
  const area = await archive.area('laptop')
  const refusal = { code: 'ARCHIVE_UNAVAILABLE', message: expect.stringContaining('read-only') as unknown }
  await expect(area.beginSync()).rejects.toMatchObject(refusal)
  await expect(area.release()).rejects.toMatchObject(refusal)
  await archive.close()
  await expect(newArchive({ root: disk.at })).rejects.toMatchObject({ code: 'ARCHIVE_UNAVAILABLE' })
})

test.runIf(mayMountImages)('several can read at once, but not a read-only mount of an archive that a server writes to', async () => {
  const { disk, archive } = await onReadOnlyDisk()
  const second = await newArchive({ root: disk.at, mustExist: true, mayBeReadOnly: true })
  await Promise.all([archive.close(), second.close()])
  const root = newFolder()
  const mount = newFolder()
  const writing = await newArchive({ root })
  mkdirSync(join(mount, 'ro'))
  expect(run('mount', ['--bind', root, join(mount, 'ro')]) && run('mount', ['-o', 'remount,bind,ro', join(mount, 'ro')])).toBe(true)
  onTestFinished(() => { run('umount', ['-l', join(mount, 'ro')]) })
  await expect(newArchive({
    root: join(mount, 'ro'),
    mustExist: true,
    mayBeReadOnly: true,
  })).rejects.toMatchObject({ code: 'STATE_IN_USE' })
  await writing.close()
})

test.runIf(mayMountImages)('a restore from a read-only disk reports a sync that was cut off', async () => {
  const disk = new LoopDisk()
  disk.mount()
  const writing = await newArchive({ root: disk.at })
  await push(await writing.area('laptop'), new SourceTree().write('a', 'a'))
  let closed: Promise<void> | undefined
  const source = new SourceTree().write('a', 'a')
  for (let i = 0; i < 200; i++) source.write(`f${String(i)}`, `content ${String(i)}`)
  const cut = push(await writing.area('laptop'), source, { packBytes: 100, onSync: sync => {
    sync.onStored = () => { closed ??= writing.close() }
  } })
  await expect(cut).rejects.toMatchObject({ code: 'ABORTED' })
  await closed
  await disk.unmountWhole()
  disk.mount('ro')
  const archive = await newArchive({ root: disk.at, mustExist: true, mayBeReadOnly: true })
  const outcome = await (await archive.area('laptop')).restore({ path: ROOT_PATH, at: { ms: Infinity }, to: newFolder() })
  expect(outcome).toMatchObject({ failures: [{ path: '.', message: expect.stringContaining('the last sync did not finish') as unknown }] })
  await archive.close()
})
