import { linkSync, lstatSync, mkdirSync, readFileSync, readdirSync, renameSync, symlinkSync, writeFileSync } from 'node:fs'
import { spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'
import type { Sync } from '../src/index.ts'
import { expect, test } from 'vitest'
import { Beneath, HOLDS_HANDLES } from '../src/node/beneath.ts'
import { close, createAt } from '../src/node/disk.ts'
import { describeFolder, describeSource, newArchive, newFolder, versionsIn } from './support/on-disk.ts'
import { compareAll, makePack, push } from './support/push.ts'
import { SourceTree } from './support/source-tree.ts'

function run (tool: string, args: string[]): void {
  if (spawnSync(tool, args).status !== 0) throw new Error(`${tool} failed`)
}

/** A folder outside the archive that must not change. */
function canary (): { folder: string, before: string[] } {
  const folder = newFolder()
  mkdirSync(join(folder, 'inner'))
  writeFileSync(join(folder, 'inner/victim'), 'untouched')
  return { folder, before: describeFolder(folder) }
}

test('moves a symbolic link in the place of a directory to versions without following it', async () => {
  const root = newFolder()
  const { folder, before } = canary()
  const area = await (await newArchive({ root })).area('laptop')
  const source = new SourceTree().write('sub/file', 'one').write('other', 'x')
  await push(area, source)
  renameSync(join(root, 'laptop/sub'), join(root, 'laptop/aside'))
  symlinkSync(folder, join(root, 'laptop/sub'))
  source.write('sub/file', 'two').write('sub/inner/victim', 'overwritten').write('other', 'y')
  expect((await push(area, source)).problems).toEqual([])
  expect(describeFolder(folder)).toEqual(before)
  expect(readFileSync(join(root, 'laptop/sub/inner/victim'), 'utf8')).toBe('overwritten')
  expect(versionsIn(root, 'laptop')).toContain('sub')
})

/** Begins a sync, and replaces the directory `sub` by a link once the file `first` is stored. */
async function exchangeUnder (first: 'other' | 'sub/inner/first', outside: string): Promise<{ root: string, sync: Sync }> {
  const root = newFolder()
  const area = await (await newArchive({ root })).area('laptop')
  const source = new SourceTree().write(first, '1').write('sub/file', 'one').write('sub/inner/victim', 'mine')
  await push(area, source)
  source.write(first, '2').write('sub/file', 'two').remove('sub/inner/victim').write('sub/inner/new', 'n')
  const sync = await area.beginSync()
  compareAll(sync, source.snapshot())
  const plan = sync.plan({ complete: true })
  const stored = new Promise<void>(resolve => { sync.onStored = () => { resolve() } })
  const contents = new Map([[first, '2'], ['sub/file', 'two'], ['sub/inner/new', 'n']])
  const files = [...plan.tasks].map((_, task) => {
    const { path } = plan.describe(task)
    return { path, task, content: new TextEncoder().encode(contents.get(path)) }
  })
  await sync.stagePack(makePack(files.filter(({ path }) => path === first)))
  await stored
  renameSync(join(root, 'laptop/sub'), join(root, 'laptop/aside'))
  symlinkSync(outside, join(root, 'laptop/sub'))
  await sync.stagePack(makePack(files.filter(({ path }) => path !== first)))
  return { root, sync }
}

test('reports a file whose directory became a link during the sync, and writes and deletes nothing through it', async () => {
  const { folder, before } = canary()
  const { sync } = await exchangeUnder('sub/inner/first', folder)
  const { problems } = await sync.finish()
  expect(problems.map(({ path, code }) => `${code} ${path}`)).toEqual(expect.arrayContaining([
    'STORE_FAILED sub/file', 'STORE_FAILED sub/inner/new',
  ]))
  expect(describeFolder(folder)).toEqual(before)
})

test('moves a link that took the place of a directory during the sync to versions without following it', async () => {
  const { folder, before } = canary()
  const { root, sync } = await exchangeUnder('other', folder)
  expect((await sync.finish()).problems).toEqual([])
  expect(describeFolder(folder)).toEqual(before)
  expect(describeFolder(join(root, 'laptop/sub'))).toEqual(expect.arrayContaining([
    expect.stringMatching(/file/u), expect.stringMatching(/inner\/new/u),
  ]))
  expect(lstatSync(join(root, 'laptop/sub')).isDirectory()).toBe(true)
})

test('replaces a symbolic or hard link in the place of a file, and leaves its target unchanged', async () => {
  const root = newFolder()
  const { folder, before } = canary()
  const area = await (await newArchive({ root })).area('laptop')
  symlinkSync(join(folder, 'inner/victim'), join(root, 'laptop/a'))
  linkSync(join(folder, 'inner/victim'), join(root, 'laptop/b'))
  mkdirSync(join(root, 'laptop/c'))
  run('mkfifo', [join(root, 'laptop/d')])
  const source = new SourceTree().write('a', 'A').write('b', 'B').write('c', 'C').write('d', 'D')
  expect((await push(area, source)).problems).toEqual([])
  expect(describeFolder(join(root, 'laptop'))).toEqual(describeSource(source))
  expect(describeFolder(folder)).toEqual(before)
})

test('stores only the read, write and execute bits of a mode', async () => {
  const root = newFolder()
  const area = await (await newArchive({ root })).area('laptop')
  await push(area, new SourceTree().write('plain', 'x', 0o777).write('locked', 'y', 0o000))
  expect(lstatSync(join(root, 'laptop/plain')).mode & 0o7777).toBe(0o777)
  expect(lstatSync(join(root, 'laptop/locked')).mode & 0o7777).toBe(0o400)
})

test('refuses a root that is a link, is a file or cannot be created', async () => {
  const folder = newFolder()
  mkdirSync(join(folder, 'real'))
  symlinkSync(join(folder, 'real'), join(folder, 'link'))
  writeFileSync(join(folder, 'file'), '')
  await expect(newArchive({ root: join(folder, 'link') })).rejects.toMatchObject({ code: 'ARCHIVE_ESCAPE' })
  await expect(newArchive({ root: join(folder, 'file') })).rejects.toMatchObject({ code: 'ARCHIVE_UNAVAILABLE' })
  await expect(newArchive({ root: join(folder, 'file/below') })).rejects.toMatchObject({ code: 'ARCHIVE_UNAVAILABLE' })
  expect(readdirSync(join(folder, 'real'))).toEqual([])
})

test('looks up single names only, with and without handles', () => {
  for (const holds of [true, false]) {
    const root = newFolder()
    mkdirSync(join(root, 'in'))
    symlinkSync(newFolder(), join(root, 'out'))
    const beneath = new Beneath(root, holds && HOLDS_HANDLES)
    for (const name of ['..', '.', '', 'a/b', 'a\0']) {
      expect(() => createAt(beneath.open('in'), name, 0o600)).toThrow(/Refused to look up a name/)
      if (name !== '') expect(() => beneath.open(`in/${name}/x`)).toThrow()
    }
    expect(() => beneath.open('out')).toThrow(/ENOTDIR|ELOOP/)
    close(createAt(beneath.open('in/deep/er', 'make'), 'file', 0o600))
    renameSync(join(root, 'in/deep'), join(root, 'in/moved'))
    expect(() => beneath.open('in/deep/er')).toThrow(/ENOENT/)
    beneath.close()
  }
})

test.runIf(HOLDS_HANDLES)('writes nothing outside while a directory and a link are exchanged', { timeout: 30_000 }, async () => {
  const root = newFolder()
  const outside = newFolder()
  const area = join(root, 'laptop')
  mkdirSync(join(area, 'sub'), { recursive: true })
  symlinkSync(outside, join(area, 'link'))
  // renameat2(RENAME_EXCHANGE), which Node does not offer.
  const script = [
    'import ctypes,sys',
    'libc=ctypes.CDLL(None)',
    'a,b=[p.encode() for p in sys.argv[1:3]]',
    'print("go",flush=True)',
    'while True: libc.renameat2(-100,a,-100,b,2)',
    '',
  ].join('\n')
  const exchanger = spawn('python3', ['-c', script, join(area, 'sub'), join(area, 'link')], { stdio: ['ignore', 'pipe', 'inherit'] })
  try {
    await new Promise(resolve => { exchanger.stdout.once('data', resolve) })
    const beneath = new Beneath(root)
    const untilMs = performance.now() + 3000
    let [written, refused] = [0, 0]
    while (performance.now() < untilMs) {
      if ((written + refused) % 3 === 0) beneath.closeHandles()
      try {
        close(createAt(beneath.open('laptop/sub'), `f${String(written)}`, 0o600))
        written++
      } catch {
        refused++
      }
    }
    beneath.close()
    expect(written).toBeGreaterThan(100)
    expect(refused).toBeGreaterThan(100)
  } finally {
    const gone = once(exchanger, 'exit')
    exchanger.kill('SIGKILL')
    // Nothing may move while the folder is removed.
    await gone
  }
  expect(readdirSync(outside)).toEqual([])
})
