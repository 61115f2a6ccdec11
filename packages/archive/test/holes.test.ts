import { closeSync, mkdirSync, openSync, readdirSync, readFileSync, statSync, truncateSync, writeFileSync, writeSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { ROOT_PATH } from '@filesync/protocol'
import { hashBytes } from '@filesync/protocol/node'
import { seededRandom } from '@filesync/protocol/testing'
import type { Area, Sync, SyncOutcome } from '../src/index.ts'
import { copyTo } from '../src/node/whole-file.ts'
import { newArchive, newFolder } from './support/on-disk.ts'
import { compareAll, push } from './support/push.ts'
import { mayMount, smallDisk } from './support/small-disk.ts'
import { SourceTree } from './support/source-tree.ts'

const MIB = 1 << 20
const PIECE_BYTES = 64 << 10
const SIZE_BYTES = 16 * MIB

function nonZeroBytes (length: number, seed: number): Uint8Array {
  const { below } = seededRandom(seed)
  return Uint8Array.from({ length }, () => 1 + below(255))
}

/** 16 MiB with 8 KiB that are not zeros. */
function sparse (seed: number): Uint8Array {
  const bytes = new Uint8Array(SIZE_BYTES)
  bytes.set(nonZeroBytes(4096, seed), 0)
  bytes.set(nonZeroBytes(4096, seed + 1), 10 * MIB)
  return bytes
}

const allocated = (path: string): number => statSync(path).blocks * 512

interface Arriving {
  readonly sync: Sync
  /** Sends from an offset to another, as a client does that knows its holes. */
  readonly send: (from: number, to: number) => Promise<Awaited<ReturnType<Sync['beginFile']>>>
  readonly tasks: readonly unknown[]
}

async function arriving (area: Area, source: SourceTree, bytes: Uint8Array): Promise<Arriving> {
  const sync = await area.beginSync()
  compareAll(sync, source.snapshot())
  const tasks = [...sync.plan({ complete: true, holes: true }).tasks]
  return {
    sync, tasks,
    async send (from, to) {
      const staged = await sync.beginFile(0, from)
      for (let at = from; at < to; at += PIECE_BYTES) {
        const piece = bytes.slice(at, Math.min(to, at + PIECE_BYTES))
        if (piece.every(byte => byte === 0)) await staged.hole(piece.length)
        else await staged.write(piece)
      }
      return staged
    },
  }
}

async function store (area: Area, source: SourceTree, bytes: Uint8Array): Promise<SyncOutcome> {
  const { sync, send } = await arriving(area, source, bytes)
  await (await send(0, bytes.length)).finish(hashBytes(bytes))
  return await sync.finish()
}

test('holes take no room in the mirror, in versions and in restored files, and read as zeros', async () => {
  const root = newFolder()
  const area = await (await newArchive({ root })).area('laptop')
  const [old, next] = [sparse(1), sparse(3)]
  const source = new SourceTree().write('disk.img', old)
  expect(await store(area, source, old)).toMatchObject({ files: 1, problems: [] })
  expect(await store(area, source.write('disk.img', next), next)).toMatchObject({ files: 1, problems: [] })
  const versions = join(root, '.filesync/versions/laptop')
  const [version] = readdirSync(versions).map(stamp => join(versions, stamp, 'disk.img'))
  const to = join(newFolder(), 'restored')
  expect(await area.restore({ path: ROOT_PATH, at: { ms: Infinity }, to })).toMatchObject({ files: 1, failures: [] })
  for (const [path, content] of [[join(root, 'laptop/disk.img'), next], [version ?? '', old], [join(to, 'disk.img'), next]] as const) {
    expect(Buffer.compare(readFileSync(path), content), path).toBe(0)
    expect(allocated(path), path).toBeLessThan(256 << 10)
  }
  expect((await area.verify()).problems).toEqual([])
})

test('zeros that are sent as data or copied from the present copy become holes too', async () => {
  const root = newFolder()
  const area = await (await newArchive({ root })).area('laptop')
  const bytes = sparse(5)
  const source = new SourceTree().write('disk.img', bytes)
  await push(area, source)
  expect(allocated(join(root, 'laptop/disk.img'))).toBeLessThan(MIB)
  source.write('disk.img', bytes.slice(0, 15 * MIB))
  const sync = await area.beginSync()
  compareAll(sync, source.snapshot())
  expect([...sync.plan({ complete: true }).tasks]).toHaveLength(1)
  const staged = await sync.beginFile(0, 0)
  await staged.copy(0, 15 * MIB)
  await staged.finish(hashBytes(bytes.subarray(0, 15 * MIB)))
  expect(await sync.finish()).toMatchObject({ files: 1, problems: [] })
  expect(Buffer.compare(readFileSync(join(root, 'laptop/disk.img')), bytes.subarray(0, 15 * MIB))).toBe(0)
  expect(allocated(join(root, 'laptop/disk.img'))).toBeLessThan(MIB)
})

test('a file that is interrupted within a hole resumes there', async () => {
  const root = newFolder()
  const area = await (await newArchive({ root })).area('laptop')
  const bytes = sparse(7)
  const source = new SourceTree().write('disk.img', bytes)
  const first = await arriving(area, source, bytes)
  await (await first.send(0, 5 * MIB)).abandon()
  await first.sync.abandon()
  const second = await arriving(area, source, bytes)
  expect(second.tasks).toEqual([[0, 0, 'RESUME', 5 * MIB]])
  await (await second.send(5 * MIB, bytes.length)).finish(hashBytes(bytes))
  expect(await second.sync.finish()).toMatchObject({ files: 1, problems: [] })
  expect(Buffer.compare(readFileSync(join(root, 'laptop/disk.img')), bytes)).toBe(0)
})

test.runIf(mayMount)('a file that fits only because of its holes is stored, and one that turns out larger is a problem', async () => {
  const root = smallDisk(8)
  const area = await (await newArchive({ root })).area('laptop')
  const bytes = sparse(9)
  const source = new SourceTree().write('a disk.img', bytes)
  const { sync, send, tasks } = await arriving(area, source, bytes)
  expect(tasks[0]).toEqual([0, 0, 'SPARSE', 0, expect.any(Number)])
  await (await send(0, bytes.length)).finish(hashBytes(bytes))
  expect(await sync.finish()).toMatchObject({ files: 1, problems: [] })

  const solid = nonZeroBytes(SIZE_BYTES, 11)
  const lying = await arriving(area, source.write('a disk.img', solid), solid)
  expect(lying.tasks).toHaveLength(1)
  const outcome = await (await lying.send(0, solid.length)).finish(hashBytes(solid))
  expect(outcome).toMatchObject({ bytes: 0, problem: { path: 'a disk.img', code: 'NO_ROOM' } })
  await lying.sync.finish()
  expect(Buffer.compare(readFileSync(join(root, 'laptop/a disk.img')), bytes)).toBe(0)
  // A client that cannot leave holes out is not asked at all.
  const plain = await area.beginSync()
  compareAll(plain, source.snapshot())
  expect(plain.plan({ complete: true })).toMatchObject({ taskCount: 0, unfit: 1 })
  await plain.abandon()
})

test('a copy keeps holes and every byte beside them', () => {
  const folder = newFolder()
  mkdirSync(folder, { recursive: true })
  const [from, to] = [join(folder, 'from'), join(folder, 'to')]
  writeFileSync(from, nonZeroBytes(5000, 13))
  const fd = openSync(from, 'r+')
  writeSync(fd, nonZeroBytes(10_001, 17), 0, 10_001, 3 * MIB + 5)
  truncateSync(from, 9 * MIB + 1)
  const copy = openSync(to, 'w')
  copyTo(fd, copy)
  closeSync(fd)
  closeSync(copy)
  expect(Buffer.compare(readFileSync(to), readFileSync(from))).toBe(0)
  expect(allocated(to)).toBeLessThanOrEqual(allocated(from))
})
