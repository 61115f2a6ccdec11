import { mkdirSync, symlinkSync } from 'node:fs'
import { join } from 'node:path'
import type { RelativePath } from '@filesync/protocol'
import { expect, onTestFinished, test } from 'vitest'
import { open, scanOnce, scratch, write } from './support/fixture.ts'
import { inMountNamespace, scanCommand } from './support/mount-namespace.ts'
import { paths } from './support/tree-text.ts'

const signal = AbortSignal.timeout(30_000)
const why = 'it holds the state of the program'

test.each<[string, (root: string) => string]>([
  ['a relative path', () => 'home/state'],
  ['an absolute path', root => join(root, 'home/state')],
  ['a path through a symbolic link', root => {
    const link = join(scratch(), 'link')
    symlinkSync(join(root, 'home'), link)
    return join(link, 'state')
  }],
])('an excluded directory is found by %s, and is neither listed nor a problem', async (_, pathIn) => {
  const root = scratch()
  write(root, { 'home/state/key.pem': 'secret', 'home/state/deep/file': '', 'home/file': '', 'state/file': '' })
  const scanner = await open(root, { excluded: [{ path: pathIn(root), why }] })
  const snapshot = await scanner.scan({ signal })
  expect(paths(snapshot)).toEqual(['home', 'home/file', 'state', 'state/file'])
  expect(snapshot).toMatchObject({ complete: true, problemCount: 0, ignoredCount: 0, leftOut: { count: 0 } })
  for (const path of ['home/state', 'home/state/key.pem', 'home/state/missing']) {
    expect(scanner.explain(path as RelativePath)).toEqual({ state: 'excluded', why })
  }
  expect(scanner.explain('state' as RelativePath)).toMatchObject({ state: 'listed' })
})

test('a link in the source that leads to an excluded directory is listed, and the directory is not', async () => {
  const root = scratch()
  write(root, { 'state/key.pem': 'secret', 'file': '' })
  symlinkSync('state', join(root, 'link'))
  expect(paths(await scanOnce(root, { excluded: [{ path: 'link', why }] }))).toEqual(['file', 'link'])
})

test('an excluded directory that does not exist, or is elsewhere, excludes nothing', async () => {
  const root = scratch()
  write(root, { 'file': '', 'sub/file': '' })
  const elsewhere = scratch()
  const snapshot = await scanOnce(root, { excluded: [{ path: 'missing', why }, { path: elsewhere, why }, { path: 'file/below', why }] })
  expect(paths(snapshot)).toEqual(['file', 'sub', 'sub/file'])
})

test('an excluded directory is excluded under every path that a bind mount gives it', context => {
  const root = scratch()
  const elsewhere = scratch()
  write(root, { file: '' })
  write(elsewhere, { 'home/state/key.pem': 'secret', 'home/file': '' })
  mkdirSync(join(root, 'bound'))
  const out = inMountNamespace(`
    mount --bind ${elsewhere}/home ${root}/bound
    ${scanCommand({ root, excluded: join(elsewhere, 'home/state') })}`)
  if (out === undefined) return context.skip('mounting is not permitted here')
  expect(JSON.parse(out)).toMatchObject({ paths: ['bound', 'bound/file', 'file'], problems: [], complete: true })
})

test('a change in an excluded directory does not wake the watch, but one beside it does', async () => {
  const root = scratch()
  write(root, { 'home/state/sources.json': '', 'home/file': '' })
  const scanner = await open(root, { settleMs: 0, excluded: [{ path: 'home/state', why }] })
  const stop = new AbortController()
  const batches = scanner.watch({ signal: stop.signal })[Symbol.asyncIterator]()
  onTestFinished(() => { stop.abort(new Error('done')) })
  expect((await batches.next()).value).toMatchObject({ reason: 'start' })
  await scanner.scan({ signal })
  write(root, { 'home/state/sources.json.new': 'x', 'home/state/more/file': 'x', 'home/fresh': 'x' })
  expect((await batches.next()).value).toEqual({ reason: 'changes', paths: 1 })
  expect(paths(await scanner.scan({ signal }))).toEqual(['home', 'home/file', 'home/fresh'])
})
