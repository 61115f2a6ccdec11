import { spawnSync } from 'node:child_process'
import { mkdirSync, mkdtempSync, readdirSync, rmdirSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, onTestFinished, test } from 'vitest'
import { encodeListing, PACK_RECORD_BYTES, ROOT_PATH } from '@filesync/protocol'
import type { Name } from '@filesync/protocol'
import { FACT_BYTES } from '../src/index.ts'
import type { PackRequest } from '../src/index.ts'
import { openLocalStore } from '../src/node/index.ts'
import { storeTrouble } from '../src/node/trouble.ts'
import { describeFolder, describeSource, newArchive, newFolder } from './on-disk.ts'
import { compareAll, makePack, push } from './push.ts'
import { SourceTree } from './source-tree.ts'

function run (tool: string, args: string[]): { status: number | null } {
  return spawnSync(tool, args)
}

function mount (at: string, sizeMib: number): boolean {
  return run('mount', ['-t', 'tmpfs', '-o', `size=${String(sizeMib)}m`, 'tmpfs', at]).status === 0
}

function unmount (at: string): void {
  run('umount', ['-l', at])
}

function mayMountHere (): boolean {
  const at = mkdtempSync(join(tmpdir(), 'filesync-archive-'))
  const isMounted = mount(at, 1)
  if (isMounted) unmount(at)
  rmdirSync(at)
  return isMounted
}

/** A file system of its own. */
function smallDisk (sizeMib: number): string {
  const at = newFolder()
  if (!mount(at, sizeMib)) throw new Error(`A file system cannot be mounted at ${at} any more.`)
  onTestFinished(() => { unmount(at) })
  return at
}

const mayMount = mayMountHere()

test.runIf(mayMount)('ends a sync on a full disk with ARCHIVE_FULL, keeps what is stored, and goes on when there is room', async () => {
  const disk = smallDisk(12)
  const root = join(disk, 'archive')
  mkdirSync(root)
  const area = await (await newArchive({ root })).area('laptop')
  const source = new SourceTree().write('old', 'stays whole')
  await push(area, source)
  for (let i = 0; i < 100; i++) source.write(`f${String(i)}`, new Uint8Array(200_000).fill(i))
  source.write('old', 'is replaced')
  const sync = await area.beginSync()
  compareAll(sync, source.snapshot())
  // What it needs is known before, and told at once.
  expect(() => sync.plan({ complete: true })).toThrow(expect.objectContaining({ code: 'ARCHIVE_FULL' }))
  await sync.abandon()

  // Something else fills the disk meanwhile.
  for (let i = 20; i < 100; i++) source.remove(`f${String(i)}`)
  const second = await area.beginSync()
  compareAll(second, source.snapshot())
  const { tasks } = second.plan({ complete: true })
  run('dd', ['if=/dev/zero', `of=${join(disk, 'filler')}`, 'bs=64k'])
  const work = async (): Promise<void> => {
    for (const [number] of [...tasks].entries()) {
      const name = [...source.files().keys()].sort()[number] ?? ''
      await second.stagePack(makePack([{ task: number, content: source.files().get(name) ?? new Uint8Array(0) }]))
    }
    await second.finish()
  }
  await expect(work()).rejects.toMatchObject({ code: 'ARCHIVE_FULL' })
  await second.abandon()
  expect(describeFolder(join(root, 'laptop')).some(line => line.startsWith('old ') && line.includes(Buffer.from('stays whole').toString('base64')))).toBe(true)

  run('rm', [join(disk, 'filler')])
  expect((await push(area, source)).problems).toEqual([])
  expect(describeFolder(join(root, 'laptop'))).toEqual(describeSource(source))
  expect(readdirSync(join(root, '.filesync/staging'))).toEqual([])
})

test.runIf(mayMount)('says that the archive is unavailable when its disk becomes read-only', async () => {
  const disk = smallDisk(32)
  const store = await openLocalStore({ root: disk, traits: { foldsNames: false, windowsNames: false } })
  await store.openArea('laptop')
  const content = new TextEncoder().encode('x')
  const pack = (): PackRequest => {
    const bytes = makePack([{ task: 0, content }])
    const entries = encodeListing([{ kind: 'file', name: 'a' as Name, sizeBytes: 1, mtimeNs: 0n, mode: 0o644, identity: 1n }])
    const section = { directory: ROOT_PATH, entries, staged: Uint32Array.of(0), facts: new Uint8Array(FACT_BYTES) }
    return { staging: 's', pack: bytes, sections: [{ section, offsets: Uint32Array.of(PACK_RECORD_BYTES), lengths: Uint32Array.of(1) }] }
  }
  expect(run('mount', ['-o', 'remount,ro', disk]).status).toBe(0)
  await expect(store.stagePack(pack())).rejects.toMatchObject({ code: 'ARCHIVE_UNAVAILABLE' })
  await expect(newArchive({ root: disk })).rejects.toMatchObject({ code: 'ARCHIVE_UNAVAILABLE' })
  run('mount', ['-o', 'remount,rw', disk])
  expect(await store.stagePack(pack())).toEqual([])
  await store.close()
})

const ERRORS = [
  ['ENOSPC', 'ARCHIVE_FULL'], ['EDQUOT', 'ARCHIVE_FULL'], ['EIO', 'ARCHIVE_UNAVAILABLE'], ['EMFILE', 'ARCHIVE_UNAVAILABLE'], ['ENFILE', 'ARCHIVE_UNAVAILABLE'], ['EROFS', 'ARCHIVE_UNAVAILABLE'],
] as const

test.each(ERRORS)('%s of the system ends a sync with %s, and says so', (errno, code) => {
  const trouble = storeTrouble(Object.assign(new Error(`${errno}: something`), { code: errno }))
  expect(trouble).toMatchObject({ code })
  expect(trouble?.message).toContain(errno)
})

test.each(['ENOENT', 'EACCES', 'ELOOP', 'ENAMETOOLONG'])('%s is the trouble of one file', errno => {
  expect(storeTrouble(Object.assign(new Error(errno), { code: errno }))).toBeUndefined()
})

test('leaves the reserve alone', async () => {
  const area = await (await newArchive({ reserveBytes: 2 ** 50 })).area('laptop')
  const sync = await area.beginSync()
  compareAll(sync, new SourceTree().write('a', 'x').snapshot())
  expect(() => sync.plan({ complete: true })).toThrow(expect.objectContaining({ code: 'ARCHIVE_FULL' }))
  await sync.abandon()
})
