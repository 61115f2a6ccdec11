import { closeSync, openSync, readdirSync, readFileSync, statSync, utimesSync, writeFileSync, writeSync } from 'node:fs'
import { join } from 'node:path'
import { expect, onTestFinished, test, vi } from 'vitest'
import type { StagedFile } from '@filesync/protocol'
import type { Archive } from '../src/index.ts'
import { countArrived, noteFlushed, PartialMarks } from '../src/node/partial-marks.ts'
import { describeFolder, describeSource, newArchive, newFolder } from './support/on-disk.ts'
import { compareAll, push } from './support/push.ts'
import { SourceTree } from './support/source-tree.ts'

/** Pushes until a number of files are reported as stored, and then closes the archive, as if the process had ended. */
async function pushAndEnd (root: string, source: SourceTree, files: number): Promise<void> {
  const archive = await newArchive({ root })
  let stored = (): void => { /* set below */ }
  const whenStored = new Promise<void>(resolve => { stored = resolve })
  await expect(push(await archive.area('laptop'), source, {
    withhold: path => path === 'late',
    onSync: sync => { sync.onStored = so => { if (so.files >= files) stored() } },
    before: async () => {
      await whenStored
      await archive.close()
    },
  })).rejects.toMatchObject({ code: 'ABORTED' })
}

/** Leaves a file as a power cut does if only its size and time reached the disk. */
function lose (path: string): void {
  const { size, mtimeNs } = statSync(path, { bigint: true })
  writeFileSync(path, new Uint8Array(Number(size)))
  utimesSync(path, Number(mtimeNs) / 1e9, Number(mtimeNs) / 1e9)
}

test('a file that was placed in an unfinished batch and lost its content is requested again', async () => {
  const root = newFolder()
  const source = new SourceTree().write('placed', 'what arrived').write('late', 'x')
  await pushAndEnd(root, source, 1)
  expect(readFileSync(join(root, 'laptop', 'placed'), 'utf8')).toBe('what arrived')
  lose(join(root, 'laptop', 'placed'))
  const area = await (await newArchive({ root })).area('laptop')
  expect((await push(area, source)).asked).toEqual(['late', 'placed'])
  expect(describeFolder(join(root, 'laptop'))).toEqual(describeSource(source))
  expect((await area.verify()).problems).toEqual([])
})

test('a file that lost its content is requested again, even if the client went back to the content before', async () => {
  const root = newFolder()
  const before = new SourceTree().write('placed', 'at first')
  const first = await newArchive({ root })
  await push(await first.area('laptop'), before)
  await first.close()
  await pushAndEnd(root, new SourceTree().write('other', 'takes a time').write('placed', 'and then').write('late', 'x'), 2)
  lose(join(root, 'laptop', 'placed'))
  const area = await (await newArchive({ root })).area('laptop')
  expect((await push(area, before)).asked).toEqual(['placed'])
  expect(describeFolder(join(root, 'laptop'))).toEqual(describeSource(before))
})

const MIB = 1 << 20
const PIECE_BYTES = 100_000
const LARGE = new Uint8Array(5 * MIB).map((_, i) => 1 + (i * 13 + (i >> 9)) % 255)
const SOURCE = new SourceTree().write('large', LARGE)

/** The paths of the partial and of its marks file. */
function partialIn (root: string): { readonly partial: string, readonly marks: string } {
  const folder = join(root, '.filesync/partial/laptop')
  const [partial = '', marks = ''] = readdirSync(folder).sort()
  return { partial: join(folder, partial), marks: join(folder, marks) }
}

/** Sends the first bytes of a large file; resolves when all of them are written. */
async function beginLarge (archive: Archive, root: string, sizeBytes: number): Promise<StagedFile> {
  const sync = await (await archive.area('laptop')).beginSync()
  compareAll(sync, SOURCE.snapshot())
  sync.plan({ complete: true })
  const staged = await sync.beginFile(0, 0)
  for (let at = 0; at < sizeBytes; at += PIECE_BYTES) await staged.write(LARGE.slice(at, Math.min(at + PIECE_BYTES, sizeBytes)))
  await vi.waitUntil(() => statSync(partialIn(root).partial).size === sizeBytes, { timeout: 10_000 })
  return staged
}

function overwrite (path: string, bytes: Uint8Array, position: number): void {
  const fd = openSync(path, 'r+')
  writeSync(fd, bytes, 0, bytes.length, position)
  closeSync(fd)
}

/** Expects the next sync to resume at an offset, and to finish without a problem. */
async function expectResumedAt (root: string, offset: number): Promise<void> {
  const second = await push(await (await newArchive({ root })).area('laptop'), SOURCE)
  expect(second.tasks).toEqual([[0, 0, 'RESUME', offset]])
  expect(second.problems).toEqual([])
  expect(describeFolder(join(root, 'laptop'))).toEqual(describeSource(SOURCE))
  expect(readdirSync(join(root, '.filesync/partial/laptop'))).toEqual([])
}

test('what a partial lost in a power cut is sent again, and the file is complete in the same sync', async () => {
  const root = newFolder()
  const archive = await newArchive({ root })
  await beginLarge(archive, root, 3.5 * MIB)
  await archive.close()
  overwrite(partialIn(root).partial, new Uint8Array(4096), 2 * MIB + 8192)
  await expectResumedAt(root, 2 * MIB)
})

test('nothing counts of a partial if only its length reached the disk', async () => {
  const root = newFolder()
  const archive = await newArchive({ root })
  await beginLarge(archive, root, 1.5 * MIB)
  await archive.close()
  overwrite(partialIn(root).partial, new Uint8Array(1.5 * MIB), 0)
  const second = await push(await (await newArchive({ root })).area('laptop'), SOURCE)
  expect(second).toMatchObject({ problems: [], tasks: [[0, 0]] })
  expect(describeFolder(join(root, 'laptop'))).toEqual(describeSource(SOURCE))
})

test('all complete spans of a partial count after its process was killed', async () => {
  const root = newFolder()
  const archive = await newArchive({ root })
  await beginLarge(archive, root, 3.5 * MIB)
  await archive.close()
  await expectResumedAt(root, 3 * MIB)
})

test('a large file that arrives alone is flushed every few seconds', async () => {
  const root = newFolder()
  const archive = await newArchive({ root })
  const staged = await beginLarge(archive, root, 2 * MIB)
  const flushedBytes = (): number => new Float64Array(new Uint8Array(readFileSync(partialIn(root).marks).subarray(0, 8)).buffer)[0] ?? 0
  expect(flushedBytes()).toBe(0)
  // Later at each look: the last pieces of before may be acknowledged only now, and are not to use up the one flush.
  let nowMs = performance.now()
  const later = vi.spyOn(performance, 'now').mockImplementation(() => nowMs += 60_000)
  onTestFinished(() => { later.mockRestore() })
  await staged.write(LARGE.slice(2 * MIB, 2 * MIB + PIECE_BYTES))
  await vi.waitUntil(() => flushedBytes() >= 2 * MIB, { timeout: 10_000 })
})

test('the marks of a large file are removed by the next sync after the one that stored it', async () => {
  const root = newFolder()
  const area = await (await newArchive({ root })).area('laptop')
  await push(area, SOURCE, { end: 'abandon' })
  expect(readdirSync(join(root, '.filesync/partial/laptop'))).toHaveLength(1)
  expect((await push(area, SOURCE)).tasks).toEqual([])
  expect(readdirSync(join(root, '.filesync/partial/laptop'))).toEqual([])
})

test('the flushed part of a partial counts without a check, and the rest as far as it is what arrived', () => {
  const folder = `${newFolder()}/`
  const [partial, marks] = [[folder, 'a'], [folder, 'a.marks']] as const
  const noting = new PartialMarks(marks)
  for (let at = 0; at < 3.5 * MIB; at += PIECE_BYTES) noting.add(LARGE.slice(at, Math.min(at + PIECE_BYTES, 3.5 * MIB)))
  const count = (content: Uint8Array): number => {
    writeFileSync(folder + 'a', content)
    return countArrived(partial, marks)
  }
  const whole = LARGE.slice(0, 3.5 * MIB)
  expect(count(whole)).toBe(3 * MIB)
  noting.end()
  expect(count(whole)).toBe(3.5 * MIB)
  expect(count(whole.slice(0, 1.2 * MIB))).toBe(MIB)
  expect(count(whole.slice().fill(0, 1.5 * MIB))).toBe(MIB)
  noteFlushed(marks, 1.25 * MIB)
  expect(count(whole.slice().fill(0, 1.5 * MIB))).toBe(1.25 * MIB)
  expect(count(whole.slice(0, 0.5 * MIB))).toBe(0.5 * MIB)
  noting.startAt(MIB)
  expect(count(whole.slice().fill(0, 1.5 * MIB))).toBe(MIB)
  noting.close()
  overwrite(folder + 'a.marks', new Uint8Array(64).fill(255), 0)
  expect(count(whole)).toBe(0)
})
