import { spawn } from 'node:child_process'
import { lstatSync, mkdirSync, readdirSync, symlinkSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { expect, onTestFinished, test } from 'vitest'
import { LoopDisk, mayMountImages, run } from './support/disks.ts'
import { newArchive, newFolder } from './support/on-disk.ts'
import { push } from './support/push.ts'
import { SourceTree } from './support/source-tree.ts'

const hasExfat = mayMountImages && run('sh', ['-c', 'command -v mkfs.exfat && command -v mount.exfat-fuse'])

test('the lock is a plain file, so that it works on a file system without sockets and hard links', async () => {
  const root = newFolder()
  await newArchive({ root })
  for (const name of readdirSync(join(root, '.filesync'))) {
    const stat = lstatSync(join(root, '.filesync', name))
    expect([name, stat.isDirectory() || (stat.isFile() && stat.nlink === 1)]).toEqual([name, true])
  }
})

// Making and mounting exFAT takes root and two packages that few systems have.
test.runIf(hasExfat)('an archive on exFAT opens, stores, and is locked', async () => {
  const disk = new LoopDisk(['mkfs.exfat'])
  disk.mountBy('mount.exfat-fuse')
  const archive = await newArchive({ root: disk.at })
  const source = new SourceTree().write('a', 'content').write('d/b', 'more')
  expect((await push(await archive.area('laptop'), source)).problems).toEqual([])
  expect((await (await archive.area('laptop')).verify()).problems).toEqual([])
  await expect(newArchive({ root: disk.at })).rejects.toMatchObject({ code: 'STATE_IN_USE' })
  await archive.close()
})

test('an archive is locked through a second path too, even with another directory for temporary files', async () => {
  const folder = newFolder()
  mkdirSync(join(folder, 'real/archive'), { recursive: true })
  symlinkSync('real', join(folder, 'way'))
  const archive = await newArchive({ root: join(folder, 'real/archive') })
  const before = process.env['TMPDIR']
  process.env['TMPDIR'] = folder
  onTestFinished(() => { if (before === undefined) delete process.env['TMPDIR']; else process.env['TMPDIR'] = before })
  await expect(newArchive({ root: join(folder, 'way/archive') })).rejects.toMatchObject({ code: 'STATE_IN_USE' })
  await archive.close()
  await (await newArchive({ root: join(folder, 'way/archive') })).close()
})

// A bind mount takes root.
test.runIf(mayMountImages)('an archive is locked through a second mount of its disk too', async () => {
  const disk = new LoopDisk()
  disk.mount()
  const second = newFolder()
  expect(run('mount', ['--bind', disk.at, second])).toBe(true)
  onTestFinished(() => { run('umount', ['-l', second]) })
  const archive = await newArchive({ root: disk.at })
  await expect(newArchive({ root: second })).rejects.toMatchObject({ code: 'STATE_IN_USE' })
  await archive.close()
})

test('the lock of a killed process is released at once', async () => {
  const root = newFolder()
  const child = spawn(process.execPath, [
    '--conditions=@filesync/source', fileURLToPath(new URL('./support/crash-child.ts', import.meta.url)), root, 'hold',
  ], { stdio: ['ignore', 'pipe', 'inherit'] })
  onTestFinished(() => { child.kill('SIGKILL') })
  await new Promise<void>(resolve => { child.stdout.once('data', () => { resolve() }) })
  await expect(newArchive({ root })).rejects.toMatchObject({ code: 'STATE_IN_USE' })
  const gone = new Promise<void>(resolve => { child.once('close', () => { resolve() }) })
  child.kill('SIGKILL')
  await gone
  await (await newArchive({ root })).close()
})

test('a system without the flock command is reported', async () => {
  const before = process.env['PATH']
  process.env['PATH'] = newFolder()
  onTestFinished(() => { process.env['PATH'] = before })
  const opening = newArchive()
  if (process.platform !== 'linux') {
    await (await opening).close()
    return
  }
  await expect(opening).rejects.toMatchObject({ code: 'ARCHIVE_UNAVAILABLE', message: expect.stringContaining('util-linux') as unknown })
})
