import { lstatSync, readdirSync, readFileSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { CASES } from '../src/cases.ts'
import { Children } from '../src/children.ts'
import { LARGE_TREE_CASES } from '../src/large-trees/cases.ts'
import { LargeTree } from '../src/large-trees/large-tree.ts'
import {
  contentOf, directoryCount, NORMAL, ONE_DIRECTORY, ONE_FILE_EACH, pathOf, SMALL_DIRECTORIES,
} from '../src/large-trees/tree-shape.ts'
import type { TreeShape } from '../src/large-trees/tree-shape.ts'
import { judge } from '../src/row.ts'
import type { Row } from '../src/row.ts'
import { runCases } from '../src/run-cases.ts'
import { makeScratch } from './support/scratch.ts'

const SHAPES = [
  ['normal', NORMAL], ['one directory', ONE_DIRECTORY], ['small', SMALL_DIRECTORIES], ['one file each', ONE_FILE_EACH],
] as const
const FILES = 500

let scratch: string
beforeEach(() => { scratch = makeScratch() })
afterEach(() => { rmSync(scratch, { recursive: true, force: true }) })

test.each(SHAPES)('a large tree has its files and directories, all of ten different bytes and settled (%s)', async (_name, shape) => {
  const tree = await make(shape, 2300)
  const entries = readdirSync(tree.root, { recursive: true, withFileTypes: true })
  const files = entries.filter(entry => entry.isFile()).map(({ parentPath, name }) => join(parentPath, name))
  expect(files).toHaveLength(2300)
  expect(entries.filter(entry => entry.isDirectory())).toHaveLength(tree.directories)
  const contents = files.map(path => readFileSync(path, 'latin1'))
  expect(new Set(contents).size).toBe(2300)
  expect(contents.every(({ length }) => length === 10)).toBe(true)
  expect(files.every(path => lstatSync(path).mtimeMs < Date.parse('2023-01-01'))).toBe(true)
})

test('paths are in the order of their numbers, and no two contents are equal', () => {
  for (const [, shape] of SHAPES) {
    const paths = Array.from({ length: 25_000 }, (_, file) => pathOf(shape, file))
    expect(paths).toEqual(paths.toSorted())
    const parents = new Set(paths.flatMap(path => path.split('/').slice(0, -1).map((_, depth, all) => all.slice(0, depth + 1).join('/'))))
    expect(parents.size).toBe(directoryCount(shape, 25_000))
  }
  expect(pathOf(ONE_DIRECTORY, 25_000)).toBe('f0025000')
  expect(pathOf(NORMAL, 250_123)).toBe('p0000002/d0000250/f0250123')
  expect(contentOf(9_999_999, 1295)).toHaveLength(10)
  expect(new Set([[1, 2], [2, 1], [12, 3], [1, 23]].map(([file = 0, edition = 0]) => contentOf(file, edition))).size).toBe(4)
})

test('each change of a large tree changes what it says, and nothing else', async () => {
  const tree = await make(ONE_DIRECTORY, 1000)
  let before = stateOf(tree)
  const difference = (): { added: string[], removed: string[], changed: string[] } => {
    const [was, is] = [before, stateOf(tree)]
    before = is
    return {
      added: [...is.keys()].filter(path => !was.has(path)),
      removed: [...was.keys()].filter(path => !is.has(path)),
      changed: [...is.keys()].filter(path => was.has(path) && was.get(path) !== is.get(path)),
    }
  }
  const sizes = new Set<number>()
  for (let change = 0; change < 6; change++) {
    const path = tree.changeOne()
    expect(difference()).toEqual({ added: [], removed: [], changed: [path] })
    sizes.add(lstatSync(join(tree.root, path)).size)
  }
  expect(sizes).toEqual(new Set([10, 11]))

  tree.addOne()
  const { added, ...others } = difference()
  expect(others).toEqual({ removed: [], changed: [] })
  const names = readdirSync(tree.root).sort()
  expect(added.map(name => names.indexOf(name))).toEqual([501])

  tree.removeOne()
  const { removed, ...rest } = difference()
  expect(removed).toHaveLength(1)
  expect(rest).toEqual({ added: [], changed: [] })
  expect(tree.files).toBe(1000)

  const editions = Array.from({ length: 110 }, () => {
    const paths = tree.changeOnePercent()
    expect(difference()).toEqual({ added: [], removed: [], changed: paths })
    return paths
  })
  expect(editions.map(({ length }) => length)).toEqual(editions.map(() => 10))
  // A change would make the removed file again.
  expect(editions.flat()).not.toContain(removed[0])
})

test('all cases of large trees are among the cases', () => {
  expect(CASES).toEqual(expect.arrayContaining([...LARGE_TREE_CASES]))
})

// The others differ in the shape of the tree alone.
test('a small change-cost measures single changes', async () => {
  const rows = await run('change-cost:directories')
  expect(rows.map(({ work }) => work.split(',')[0])).toEqual(['first change after the start', 'one file changed'])
  expect(rows.at(-1)?.bars.map(({ measure, limit }) => [measure, limit])).toEqual([
    ['clientCpuMs', 20], ['wireBytes', 100_000], ['serverWrittenBytes', 1_000_000],
  ])
  expectRuns(rows)
  for (const one of rows.flatMap(({ ours }) => ours)) {
    // It has to settle for 200 ms.
    expect(one.durationMs).toBeGreaterThanOrEqual(200)
    expect(one.toldBytes).toBeGreaterThan(10)
    expect(one.wireBytes).toBeGreaterThan(one.toldBytes ?? Infinity)
    expect(one.serverWrittenBytes).toBeGreaterThan(10)
    expect(one.clientWrittenBytes).toBeGreaterThan(0)
  }
})

test('a small huge-directory has a row for each step, beside small directories', async () => {
  const rows = await run('huge-directory')
  const steps = ['first push', 'no change', 'one file added', 'one file removed', '1 % changed']
  expect(rows.map(({ work }) => work.split(',')[0])).toEqual(steps.flatMap(step => [step, step]))
  expect(measuresOf(rows, 'first push')).toEqual(['peakBytes', 'cpuGrowth'])
  for (const step of steps.slice(2, 4)) expect(measuresOf(rows, step)).toEqual(['peakBytes', 'wireBytes', 'serverWrittenBytes'])
  expectRuns(rows)
})

test('a small many-directories has a row for each step', async () => {
  const rows = await run('many-directories')
  expect(rows.map(({ work }) => work.split(',')[0])).toEqual(['first push', 'no change', 'as many empty directories added'])
  for (const row of rows) expect(judge(row).map(({ measure }) => measure)).toEqual(['peakBytes', 'cpuGrowth'])
  expectRuns(rows)
})

test('a small long-reads reads everything in each way', async () => {
  const rows = await run('long-reads')
  expect(rows.map(({ work }) => work.split(',')[0])).toEqual([
    'first push', 'plan', '1 % changed', 'verify', 'history of a path', 'history of the folder', 'restore by the server',
    'restore by the client', 'safe',
  ])
  expect(measuresOf(rows, '1 % changed')).toEqual(['peakBytes', 'indexGrowth'])
  expect(measuresOf(rows, 'restore by the client')).toEqual(['peakBytes', 'serverCpuOfPush'])
  expect(measuresOf(rows, 'safe')).toEqual(['peakBytes', 'clientCpuOfPush'])
  expectRuns(rows)
})

async function make (shape: TreeShape, files: number): Promise<LargeTree> {
  const { signal } = new AbortController()
  const log = (): void => { /* nobody reads it */ }
  const bench = { scale: 1, pairs: 1, files, seed: 7, throughSsh: false, children: new Children(), home: scratch, signal, log }
  return await LargeTree.make(bench, shape, files)
}

function stateOf ({ root }: LargeTree): Map<string, string> {
  return new Map(readdirSync(root).map(name => [name, readFileSync(join(root, name), 'latin1')]))
}

/** Runs one case with few files, once. Throws if it fails, or leaves anything in its directory. */
async function run (name: string): Promise<Row[]> {
  const logged: string[] = []
  const { rows, failures } = await runCases({
    cases: CASES.filter(one => one.name === name), scale: 1, pairs: 1, files: FILES, seed: 3, scratch, keep: false, throughSsh: false,
    signal: new AbortController().signal, log: text => { logged.push(text) },
  })
  expect(failures, logged.join('\n')).toEqual([])
  expect(readdirSync(scratch)).toEqual([])
  return rows
}

function measuresOf (rows: readonly Row[], step: string): string[] {
  return rows.flatMap(row => row.work.startsWith(`${step},`) ? judge(row).map(({ measure }) => measure) : [])
}

function expectRuns (rows: readonly Row[]): void {
  for (const one of rows.flatMap(({ ours }) => ours)) {
    expect(one.durationMs).toBeGreaterThan(0)
    expect(one.clientCpuMs).toBeGreaterThan(0)
    expect(one.clientAnonymousBytes).toBeGreaterThan(1_000_000)
    expect(one.clientPeakBytes).toBeGreaterThan(one.clientAnonymousBytes ?? Infinity)
    expect(one.serverAnonymousBytes).toBeGreaterThan(1_000_000)
    expect(one.serverPeakBytes).toBeGreaterThan(one.serverAnonymousBytes ?? Infinity)
  }
}
