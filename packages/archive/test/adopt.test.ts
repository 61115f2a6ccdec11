import {
  appendFileSync, chmodSync, cpSync, mkdirSync, readFileSync, rmSync, statSync, symlinkSync, utimesSync, writeFileSync,
} from 'node:fs'
import { join } from 'node:path'
import { PROBLEMS_KEPT } from '@filesync/protocol'
import type { Name } from '@filesync/protocol'
import { describe, expect, test } from 'vitest'
import type { Archive } from '../src/index.ts'
import { describeFolder, newArchive, newFolder, versionsIn } from './support/on-disk.ts'
import { asPath, push } from './support/push.ts'
import { SourceTree } from './support/source-tree.ts'

const LARGE = new Uint8Array(3_000_000).map((_, i) => i * 17 + (i >> 7))

/** A copy as another program may have left it. */
function makeCopy (files: Readonly<Record<string, string | Uint8Array>>): string {
  const copy = join(newFolder(), 'copy')
  for (const [path, content] of Object.entries(files)) {
    mkdirSync(join(copy, path, '..'), { recursive: true })
    writeFileSync(join(copy, path), content)
    utimesSync(join(copy, path), 1_600_000_000, 1_600_000_000)
  }
  return copy
}

const FILES = { 'd/a': 'one', 'd/e/b': 'two', 'large': LARGE, 'none': '' }

async function newHouse (): Promise<{ root: string, archive: Archive }> {
  const root = newFolder()
  return { root, archive: await newArchive({ root }) }
}

describe('adopting an existing copy', () => {
  test('stores its files unchanged, and leaves the copy where it is', async () => {
    const { root, archive } = await newHouse()
    const copy = makeCopy(FILES)
    symlinkSync('a', join(copy, 'd', 'l'))
    chmodSync(join(copy, 'd', 'a'), 0o600)
    // Node sets times as doubles, so the present time could be rounded to either side.
    for (const directory of ['d/e', 'd']) utimesSync(join(copy, directory), 1_600_000_000, 1_600_000_000)
    const before = describeFolder(copy)
    expect(await archive.adopt('laptop', copy)).toEqual({ files: 4, bytes: 6 + LARGE.length, held: 0, problems: [], problemCount: 0 })
    expect(describeFolder(join(root, 'laptop'))).toEqual(before)
    expect(describeFolder(copy)).toEqual(before)
    const area = await archive.area('laptop')
    expect(area.stat(asPath('d/a'))?.storedAtMs).toBeGreaterThan(0)
    expect((await area.verify()).problems).toEqual([])
    expect(await archive.adopt('laptop', copy)).toEqual({ files: 0, bytes: 0, held: 5, problems: [], problemCount: 0 })
  })

  test('adds only missing files: nothing is replaced or removed', async () => {
    const { root, archive } = await newHouse()
    const area = await archive.area('laptop')
    await push(area, new SourceTree().write('d/a', 'newer').write('mine', 'too'))
    expect(await archive.adopt('laptop', makeCopy(FILES))).toMatchObject({ files: 3, held: 1 })
    expect(readFileSync(join(root, 'laptop', 'd', 'a'), 'utf8')).toBe('newer')
    expect(readFileSync(join(root, 'laptop', 'mine'), 'utf8')).toBe('too')
    expect(readFileSync(join(root, 'laptop', 'd', 'e', 'b'), 'utf8')).toBe('two')
    expect(versionsIn(root, 'laptop')).toEqual([])
  })

  test('continues after an interruption, and stores only whole files', async () => {
    const { root, archive } = await newHouse()
    const copy = makeCopy({
      ...Object.fromEntries(Array.from({ length: 60 }, (_, i) => [`f${String(i)}`, new Uint8Array(100_000).fill(i)])),
      large: LARGE,
    })
    let pieces = 0
    const stop = new AbortController()
    const reading = archive.adopt('laptop', copy, { signal: { get aborted () { return stop.signal.aborted }, throwIfAborted () {
      if (++pieces > 40) throw new Error('stopped')
    } } as AbortSignal })
    await expect(reading).rejects.toThrow('stopped')
    for (const line of describeFolder(join(root, 'laptop'))) expect(describeFolder(copy)).toContain(line)
    const again = await archive.adopt('laptop', copy)
    expect(again.files + again.held).toBe(61)
    expect(again.held).toBeGreaterThan(0)
    expect(describeFolder(join(root, 'laptop'))).toEqual(describeFolder(copy))
  })

  test('reports names and kinds of entry that cannot be stored', async () => {
    const { archive } = await newHouse()
    const copy = makeCopy({ ok: 'x', 'bell\u0007': 'x', '.filesync/index': 'x' })
    const { files, problems } = await archive.adopt('laptop', copy)
    expect(files).toBe(1)
    expect(problems.map(({ code }) => code).sort()).toEqual(['NAME_CONTROL', 'NAME_RESERVED'])
  })

  test('names the first of many problems, and counts all of them', async () => {
    const { archive } = await newHouse()
    const copy = makeCopy({
      ok: 'x',
      ...Object.fromEntries(Array.from({ length: PROBLEMS_KEPT + 20 }, (_, i) => [`bell\u0007${String(i)}`, 'x'])),
    })
    const { files, problems, problemCount } = await archive.adopt('laptop', copy)
    expect([files, problems.length, problemCount]).toEqual([1, PROBLEMS_KEPT, PROBLEMS_KEPT + 20])
  })

  test('hashes a copy in place in the folder of its client, unless the area has files already', async () => {
    const { root, archive } = await newHouse()
    cpSync(makeCopy(FILES), join(root, 'laptop'), { recursive: true, preserveTimestamps: true })
    expect(await archive.adopt('laptop', join(root, 'laptop'))).toMatchObject({ files: 4, held: 0 })
    expect((await archive.area('laptop')).stat(asPath('large'))?.sizeBytes).toBe(LARGE.length)
    await expect(archive.adopt('laptop', join(root, 'laptop'))).rejects.toMatchObject({ code: 'USAGE' })
  })

  test('becomes a folder of an area, and leaves other folders and what the folder has as they are', async () => {
    const { root, archive } = await newHouse()
    const area = await archive.area('laptop')
    await push(area, new SourceTree().write('photos/d/a', 'newer').write('notes/mine', 'too'))
    const copy = makeCopy(FILES)
    chmodSync(copy, 0o700)
    const outcome = await archive.adopt('laptop', copy, { folder: 'photos' as Name })
    expect(outcome).toMatchObject({ files: 3, held: 1, problemCount: 0 })
    expect(readFileSync(join(root, 'laptop', 'photos', 'd', 'a'), 'utf8')).toBe('newer')
    expect(readFileSync(join(root, 'laptop', 'photos', 'd', 'e', 'b'), 'utf8')).toBe('two')
    expect(readFileSync(join(root, 'laptop', 'notes', 'mine'), 'utf8')).toBe('too')
    expect(versionsIn(root, 'laptop')).toEqual([])
    expect((await area.verify()).problems).toEqual([])
    // A folder that is new has the mode of the copy.
    await archive.adopt('laptop', copy, { folder: 'fresh' as Name })
    expect(statSync(join(root, 'laptop', 'fresh')).mode & 0o777).toBe(0o700)
    expect(describeFolder(join(root, 'laptop', 'fresh'))).toEqual(describeFolder(copy))
  })

  test('hashes a folder in place beside folders that are stored, and knows it afterwards', async () => {
    const { root, archive } = await newHouse()
    const area = await archive.area('laptop')
    await push(area, new SourceTree().write('notes/mine', 'mine'))
    cpSync(makeCopy(FILES), join(root, 'laptop', 'photos'), { recursive: true, preserveTimestamps: true })
    const adopt = async (): Promise<unknown> => await archive.adopt('laptop', join(root, 'laptop', 'photos'), { folder: 'photos' as Name })
    expect(await adopt()).toEqual({ files: 4, bytes: 6 + LARGE.length, held: 0, problems: [], problemCount: 0 })
    expect(area.stat(asPath('photos/large'))?.sizeBytes).toBe(LARGE.length)
    expect(area.stat(asPath('notes/mine'))?.sizeBytes).toBe(4)
    expect((await area.verify()).problems).toEqual([])
    expect(await area.size()).toEqual({ files: 5, bytes: 10 + LARGE.length })
    await expect(adopt()).rejects.toMatchObject({ code: 'USAGE' })
    // What the next sync of the whole tree removes is a version: it was known.
    await push(area, new SourceTree().write('notes/mine', 'mine'))
    expect(versionsIn(root, 'laptop').filter(path => path.endsWith('photos/d/a'))).toHaveLength(1)
  })

  test('refuses a folder whose name differs only in spelling from that of another one', async () => {
    const { archive } = await newHouse()
    await push(await archive.area('laptop'), new SourceTree().write('photos/a', 'x'))
    await expect(archive.adopt('laptop', makeCopy({ b: 'y' }), { folder: 'Photos' as Name })).rejects.toMatchObject({
      code: 'USAGE', message: expect.stringContaining('"laptop/photos"') as string,
    })
  })

  test('refuses a file, a link, a missing directory, the archive, and directories in it or around it', async () => {
    const { root, archive } = await newHouse()
    await push(await archive.area('other'), new SourceTree().write('a', 'x'))
    const copy = makeCopy({ a: 'x' })
    symlinkSync(copy, `${copy}-link`)
    for (const directory of [
      join(copy, 'a'), `${copy}-link`, join(copy, 'nowhere'), root, join(root, 'other'), join(root, '.filesync'), join(root, '..'),
    ]) {
      await expect(archive.adopt('laptop', directory), directory).rejects.toMatchObject({ code: 'USAGE' })
    }
    expect(archive.areas()).toEqual(['other'])
  })

  test('does not store a mix of contents if a file changes while it is read', async () => {
    const { root, archive } = await newHouse()
    const copy = makeCopy({ a: 'x', large: LARGE })
    let looks = 0
    const throwIfAborted = (): void => {
      if (++looks !== 2) return
      appendFileSync(join(copy, 'large'), 'more')
      rmSync(join(copy, 'a'))
    }
    const signal = { throwIfAborted } as AbortSignal
    const { files, problems } = await archive.adopt('laptop', copy, { signal })
    expect(files).toBe(0)
    expect(problems.map(({ path, code }) => `${path} ${code}`).sort()).toEqual(['a UNREADABLE', 'large CHANGED_DURING_READ'])
    expect(describeFolder(join(root, 'laptop'))).toEqual([])
  })
})
