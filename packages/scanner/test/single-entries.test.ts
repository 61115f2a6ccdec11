import { linkSync, renameSync, rmSync, utimesSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { toHex } from '@filesync/protocol'
import { seededRandom } from '@filesync/protocol/testing'
import { describe, expect, onTestFinished, test } from 'vitest'
import type { Snapshot } from '@filesync/scanner'
import { areExact } from '../src/node/exact-names.ts'
import { open, plainDigest, scratch, write } from './support/fixture.ts'
import { openWithManualWatcher } from './support/manual-watcher.ts'
import { change } from './support/random-change.ts'
import { paths } from './support/tree-text.ts'

const ENTRIES = 1_500
const isLinux = process.platform === 'linux'

/** A directory `big` that is large enough for single entries to be looked at. */
function bigDirectory (): string {
  const root = scratch()
  write(root, Object.fromEntries(Array.from({ length: ENTRIES }, (_, i) => [`big/f${i}`, String(i)])))
  return root
}

interface Watched {
  /** Scans after these events. The number of directories in which only single entries were looked at is in `looked`. */
  readonly scan: (...events: string[]) => Promise<Snapshot>
  readonly looked: () => number
}

async function watched (root: string): Promise<Watched> {
  let looked = 0
  const { scanner, report } = await openWithManualWatcher(root, reading => {
    if (reading.status === 'read' && reading.isOfNames === true) looked++
  })
  const signal = AbortSignal.timeout(30_000)
  await scanner.scan({ signal, waitForSettled: true })
  return {
    looked: () => looked,
    async scan (...events) {
      report(events)
      return await scanner.scan({ signal, waitForSettled: true })
    },
  }
}

describe.runIf(isLinux)('of a large directory, only the entries that events name are looked at', () => {
  test('if a file was changed, made, renamed or removed, or a directory made in it', async () => {
    const root = bigDirectory()
    const { scan, looked } = await watched(root)
    write(root, { 'big/f7': 'longer' })
    expect(toHex((await scan('big/f7')).rootDigest)).toBe(plainDigest(root))
    write(root, { 'big/new': '', 'big/sub/deep/file': 'x' })
    renameSync(join(root, 'big/f8'), join(root, 'big/g8'))
    rmSync(join(root, 'big/f9'))
    const snapshot = await scan('big/new', 'big/sub', 'big/f8', 'big/g8', 'big/f9')
    expect(toHex(snapshot.rootDigest)).toBe(plainDigest(root))
    expect(paths(snapshot)).toEqual(expect.arrayContaining(['big/g8', 'big/new', 'big/sub/deep/file']))
    expect(snapshot.files).toBe(ENTRIES + 1)
    expect(looked()).toBe(2)
  }, 40_000)

  test('and what is ignored is counted', async () => {
    const root = bigDirectory()
    const { scan, looked } = await watched(root)
    write(root, { 'big/~$one.docx': '', 'big/~$two.docx': '' })
    expect((await scan('big/~$one.docx', 'big/~$two.docx')).ignoredCount).toBe(2)
    rmSync(join(root, 'big/~$one.docx'))
    expect((await scan('big/~$one.docx')).ignoredCount).toBe(1)
    expect(looked()).toBe(2)
  }, 40_000)
})

describe('a large directory is read whole', () => {
  test('if a file has another name in it, which no event names', async () => {
    const root = bigDirectory()
    linkSync(join(root, 'big/f1'), join(root, 'big/other'))
    const { scan, looked } = await watched(root)
    write(root, { 'big/f1': 'written by its first name' })
    expect(toHex((await scan('big/f1')).rootDigest)).toBe(plainDigest(root))
    expect(looked()).toBe(0)
  }, 40_000)

  test('if another directory has taken its place, even before an event says so', async () => {
    const root = bigDirectory()
    const { scan, looked } = await watched(root)
    renameSync(join(root, 'big'), join(root, '../was-big'))
    onTestFinished(() => { rmSync(join(root, '../was-big'), { recursive: true }) })
    write(root, Object.fromEntries(Array.from({ length: 5 }, (_, i) => [`big/other${i}`, ''])))
    expect(paths(await scan('big/other0'))).toEqual(['big', ...Array.from({ length: 5 }, (_, i) => `big/other${i}`)])
    expect(looked()).toBe(0)
  }, 40_000)

  test('if its ignore file changed, if one of its files has not settled, or if something in it is a problem', async () => {
    const root = bigDirectory()
    const { scan, looked } = await watched(root)
    write(root, { 'big/.filesyncignore': 'f1*\n' })
    expect(paths(await scan('big/.filesyncignore'))).not.toContain('big/f17')
    write(root, { 'big/line\nbreak': '' })
    expect((await scan('big/line\nbreak')).problemCount).toBe(1)
    write(root, { 'big/f2': 'changed' })
    expect(paths(await scan('big/f2'))).toContain('big/f2')
    rmSync(join(root, 'big/line\nbreak'))
    expect((await scan('big/line\nbreak')).problemCount).toBe(0)
    expect(looked()).toBe(0)
    writeFileSync(join(root, 'big/f3'), 'now')
    const future = new Date(Date.now() + 30_000)
    utimesSync(join(root, 'big/f3'), future, future)
    expect((await scan('big/f3')).files).toBeGreaterThan(0)
  }, 40_000)

  test('if the event is about the directory itself', async () => {
    const root = bigDirectory()
    const { scan, looked } = await watched(root)
    write(root, { 'big/f1': 'no event names this', 'big/f2': 'nor this' })
    expect(toHex((await scan('big')).rootDigest)).toBe(plainDigest(root))
    expect(looked()).toBe(0)
  }, 40_000)
})

describe('names have one spelling each', () => {
  const listed = ['Readme', 'Straße', '123', '日本']
  const exact = (name: string): string | undefined => listed.includes(name) ? name : undefined
  const folded = (name: string): string | undefined => listed.find(one => one.toUpperCase() === name.toUpperCase())

  test('if one of them does not lead to the same entry in other letter case', () => {
    expect(areExact(['Readme', 'gone', '日本'], exact)).toBe(true)
    expect(areExact(['Readme'], folded)).toBe(false)
    expect(areExact(['Straße', '123'], folded)).toBe(false)
  })

  test('if they are in ASCII without letters; but not if nothing proves it', () => {
    expect(areExact(['123', '4-5'], folded)).toBe(true)
    expect(areExact(['gone', '123'], folded)).toBe(false)
    expect(areExact(['日本'], exact)).toBe(false)
  })
})

test.runIf(isLinux)('with a real watch, a large directory with random changes equals a full walk', async () => {
  const seed = Number(process.env['FILESYNC_SEED'] ?? Date.now() % 1e9)
  console.log(`FILESYNC_SEED=${seed}`)
  const pick = seededRandom(seed).below
  const root = bigDirectory()
  const scanner = await open(root, { settleMs: 50 })
  const stop = new AbortController()
  const batches = scanner.watch({ signal: stop.signal })[Symbol.asyncIterator]()
  onTestFinished(() => { stop.abort(new Error('over')) })
  await batches.next()
  const signal = AbortSignal.timeout(50_000)
  await scanner.scan({ signal })
  for (let round = 0; round < 8; round++) {
    for (let i = 0; i < 30; i++) {
      if (pick(2) === 0) change(join(root, 'big'), pick)
      else write(root, { [`big/f${pick(ENTRIES)}`]: 'x'.repeat(pick(500)) })
      if (i % 10 === 0) await new Promise(resolve => { setImmediate(resolve) })
    }
    for (;;) {
      expect((await batches.next()).value).toMatchObject({ reason: 'changes' })
      const snapshot = await scanner.scan({ signal, waitForSettled: true })
      if (toHex(snapshot.rootDigest) === plainDigest(root)) break
    }
  }
  expect(scanner.status.mode).toBe('watching')
}, 60_000)
