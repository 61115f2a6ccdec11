import { createHash } from 'node:crypto'
import { lstatSync, readdirSync, readFileSync, rmSync, utimesSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { addPhotos, append, changeOnePercent, insertFront, renameDirectory, workADay } from '../src/changes.ts'
import type { Change } from '../src/changes.ts'
import { compareTrees } from '../src/compare-trees.ts'
import { makeAlbum, makeLargeFile, makeMillion, makePhotos, makeSmallFiles, makeSourceTree } from '../src/data-set.ts'
import { SeededBytes } from '../src/seeded-bytes.ts'
import { median } from '../src/statistics.ts'
import { makeScratch } from './support/scratch.ts'

const recipe = { seed: 7, scale: 0.0005, signal: new AbortController().signal }
const makers = [
  ['small files', makeSmallFiles, changeOnePercent], ['a million', makeMillion, changeOnePercent], ['an album', makeAlbum, renameDirectory],
  ['a large file', makeLargeFile, append], ['a large file, moved', makeLargeFile, insertFront],
  ['photos', makePhotos, addPhotos], ['a source tree', makeSourceTree, workADay],
] as const

let root: string
beforeEach(() => { root = makeScratch() })
afterEach(() => { rmSync(root, { recursive: true }) })

test.each(makers)('%s are the same for one seed, before and after three changes, and differ for another', async (_name, make, change) => {
  const [once, again] = [join(root, 'a', 'tree'), join(root, 'b', 'tree')]
  const [first, second] = [await make(once, recipe), await make(again, recipe)]
  expect(second.files).toEqual(first.files)
  expect(digestOf(again)).toBe(digestOf(once))
  const before = digestOf(once)
  for (let round = 0; round < 3; round++) {
    expect(change(second, recipe, round)).toEqual(change(first, recipe, round))
    expect(digestOf(again)).toBe(digestOf(once))
  }
  expect(digestOf(once)).not.toBe(before)
  const other = await make(join(root, 'c', 'tree'), { ...recipe, seed: 8 })
  expect(digestOf(other.root)).not.toBe(before)
})

test('a data set lists its files and counts their bytes', async () => {
  const { files, bytes } = await makeSmallFiles(join(root, 'tree'), recipe)
  expect(files).toHaveLength(50)
  expect(files.reduce((sum, path) => sum + lstatSync(join(root, 'tree', path)).size, 0)).toBe(bytes)
})

test('all files in a data set are settled', async () => {
  const set = await makeSourceTree(join(root, 'tree'), { ...recipe, scale: 0.006 })
  for (let round = 0; round < 3; round++) workADay(set, recipe, round)
  const youngest = readdirSync(set.root, { recursive: true, withFileTypes: true }).filter(entry => entry.isFile())
    .reduce((latest, entry) => Math.max(latest, lstatSync(join(entry.parentPath, entry.name)).mtimeMs), 0)
  expect(youngest).toBeLessThan(Date.parse('2023-01-01'))
})

test('sizes are log-normal', () => {
  const random = new SeededBytes(1, 'sizes')
  const sizes = Array.from({ length: 20_000 }, () => random.logNormal(4096, 1.406))
  expect(median(sizes)).toBeGreaterThan(3900)
  expect(median(sizes)).toBeLessThan(4300)
  const mean = sizes.reduce((sum, size) => sum + size, 0) / sizes.length
  expect(mean).toBeGreaterThan(10_000)
  expect(mean).toBeLessThan(12_000)
})

test('bytes do not depend on how many are taken at once, and differ by label', () => {
  const [one, other] = [new SeededBytes(1, 'a'), new SeededBytes(1, 'a')]
  expect(Buffer.concat([one.take(10), one.take(20)])).toEqual(other.take(30))
  expect(new SeededBytes(1, 'b').take(30)).not.toEqual(new SeededBytes(1, 'a').take(30))
})

test('a comparison finds each kind of difference', async () => {
  const set = await makeSmallFiles(join(root, 'a', 'tree'), recipe)
  await makeSmallFiles(join(root, 'b', 'tree'), recipe)
  const trees = { source: set.root, destination: join(root, 'b', 'tree'), seed: 1, signal: recipe.signal }
  expect(await compareTrees(trees)).toEqual({ files: 50, filesRead: 50 })
  const spoil = async (change: Change, message: RegExp): Promise<void> => {
    rmSync(join(root, 'b'), { recursive: true })
    const copy = await makeSmallFiles(join(root, 'b', 'tree'), recipe)
    change(copy, recipe, 0)
    await expect(compareTrees(trees)).rejects.toThrow(message)
  }
  await spoil(copy => {
    const path = join(copy.root, copy.files[5] ?? '')
    const { atime, mtime } = lstatSync(dirname(path))
    rmSync(path)
    utimesSync(dirname(path), atime, mtime)
    return NOTHING
  }, /1 entries are missing .* 0 are there/u)
  await spoil((copy, ...rest) => append({ ...copy, files: [], root: withLarge(copy.root) }, ...rest), /1 are there that should not be/u)
  await spoil(changeOnePercent, /time of|bytes instead|other content/u)
})

test('a comparison reads touched files even if sizes and times are the same', async () => {
  const source = await makeLargeFile(join(root, 'a', 'tree'), recipe)
  const destination = await makeLargeFile(join(root, 'b', 'tree'), { ...recipe, seed: 9 })
  const { atime, mtime } = lstatSync(join(source.root, 'large.bin'))
  utimesSync(join(destination.root, 'large.bin'), atime, mtime)
  const comparison = { source: source.root, destination: destination.root, touched: ['large.bin'], seed: 1, signal: recipe.signal }
  await expect(compareTrees(comparison)).rejects.toThrow(/other content/u)
})

const NOTHING = { touched: [], bytes: 0 }

function withLarge (directory: string): string {
  writeFileSync(join(directory, 'large.bin'), '')
  return directory
}

/** A digest of everything that a copy must preserve. */
function digestOf (directory: string): string {
  const hash = createHash('sha256')
  const paths = readdirSync(directory, { recursive: true, encoding: 'utf8' }).sort()
  for (const path of paths) {
    const stat = lstatSync(join(directory, path))
    hash.update(`${path} ${stat.mode} ${stat.isFile() ? stat.mtimeMs : ''}\n`)
    if (stat.isFile()) hash.update(readFileSync(join(directory, path)))
  }
  return hash.digest('hex')
}
