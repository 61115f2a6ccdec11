import { appendFileSync } from 'node:fs'
import { encodeListing, joinPath, ROOT_PATH } from '@filesync/protocol'
import type { Digest, Name, RelativePath } from '@filesync/protocol'
import { hashBytes } from '@filesync/protocol/node'
import { expect, test } from 'vitest'
import type { Area } from '../src/index.ts'
import { encodeChange, encodeStart } from '../src/history/change-log.ts'
import { versionsOf } from '../src/history/past-state.ts'
import { pointsOf } from '../src/history/path-points.ts'
import { FACT_BYTES } from '../src/store/facts.ts'
import { versionFolder } from '../src/store/version-folder.ts'
import type { FoundEntry, RestoreOutcome, RestoreRequest } from '../src/store/content-store.ts'
import type { DirectoryKey } from '../src/store/archive-index.ts'
import type { StoredDirectory } from '../src/store/fold.ts'
import { memoryArchive, MemoryIndex, MemoryStore } from '../src/testing/index.ts'
import { WallClock } from './support/on-disk.ts'
import { asPath, push } from './support/push.ts'
import { SourceTree } from './support/source-tree.ts'
import { flipBit, storeArea } from './support/stored-area.ts'

const [LONG, SMALL, IN_SMALL] = [5000, 60, 20]
/** What an operation may have at once of a tree of {@link LONG} + {@link SMALL} * {@link IN_SMALL} files. */
const MOST_AT_ONCE = 4096

/** An index that notes the most files that one answer had, and how often whole long directories were joined. */
class CountedIndex extends MemoryIndex {
  wholes = 0

  override directory (key: DirectoryKey): StoredDirectory | undefined {
    const stored = super.directory(key)
    if (key.directory === 'long') this.wholes++
    return stored
  }
}

/** A store that notes the most files of one call. */
class CountedStore extends MemoryStore {
  most = 0
  digested: string[] = []
  /** Called in each step of a long read, when other work of the process may run. */
  between: () => void = () => { /* nobody waits */ }

  override async digests (area: string, directory: RelativePath, names: readonly string[]): Promise<(Digest | undefined)[]> {
    this.between()
    this.#count(names.length)
    for (const name of names) this.digested.push(joinPath(directory, name as Name))
    return await super.digests(area, directory, names)
  }

  override async restore (area: string, request: RestoreRequest): Promise<RestoreOutcome> {
    this.between()
    const inSections = (request.sections ?? []).reduce((sum, { digests }) => sum + digests.length / 32, 0)
    this.#count(inSections + request.files.length)
    return await super.restore(area, request)
  }

  override async find (area: string, directory: RelativePath, names: readonly string[]): Promise<(FoundEntry | undefined)[]> {
    this.#count(names.length)
    return await super.find(area, directory, names)
  }

  #count (files: number): void {
    this.most = Math.max(this.most, files)
  }
}

interface LongSite {
  readonly area: Area
  readonly index: CountedIndex
  readonly store: CountedStore
  readonly source: SourceTree
}

async function longSite (): Promise<LongSite> {
  const clock = new WallClock(Date.now())
  const index = new CountedIndex()
  const store = new CountedStore({ hash: hashBytes, clock, before: () => { /* no errors */ } })
  const area = await memoryArchive({ hash: hashBytes, clock, index, store, keepMs: 86_400_000 }).area('laptop')
  const source = new SourceTree()
  for (let i = 0; i < LONG; i++) source.write(`long/${String(i).padStart(5, '0')}`, `long ${String(i)}`)
  for (let d = 0; d < SMALL; d++) {
    for (let i = 0; i < IN_SMALL; i++) source.write(`d${String(d)}/${String(i)}`, `${String(d)}, ${String(i)}`)
  }
  expect(await push(area, source)).toMatchObject({ problems: [] })
  index.wholes = 0
  store.most = 0
  return { area, index, store, source }
}

test('verify reads a long directory page by page and every file once, and other work runs in between', { timeout: 60_000 }, async () => {
  const { area, index, store, source } = await longSite()
  let turns = 0
  store.between = () => { turns++ }
  const files = [...source.files().keys()].sort()
  expect(await area.verify()).toMatchObject({ files: files.length, problems: [] })
  expect(store.digested.sort()).toEqual(files)
  expect(store.most).toBeLessThanOrEqual(64)
  expect(turns).toBeGreaterThanOrEqual(files.length / 64)
  expect(index.wholes).toBe(0)
  for (const path of ['long/00000', 'long/04999', 'd59/19']) expect(area.stat(asPath(path))?.verifiedAtMs).toBeGreaterThan(0)
})

test('damage in a long directory is reported and asked for again, and the rest of it counts as verified', { timeout: 60_000 }, async () => {
  const { area, store, source } = await longSite()
  const file = store.root.below('laptop')?.at(asPath('long/02500'))
  if (file?.kind !== 'file') throw new Error('There is no such file.')
  file.content[0] = (file.content[0] ?? 0) ^ 1
  const { problems } = await area.verify()
  expect(problems.map(({ path }) => path)).toEqual(['long/02500'])
  expect(area.stat(asPath('long/02499'))?.verifiedAtMs).toBeGreaterThan(0)
  expect((await push(area, source)).asked).toEqual(['long/02500'])
  expect(await area.verify()).toMatchObject({ problems: [] })
})

test('a restore has a limited number of files at once, and restores all', { timeout: 60_000 }, async () => {
  const { area, store, source } = await longSite()
  const { files, failures } = await area.restore({ path: ROOT_PATH, at: { ms: Infinity }, to: '/out' })
  expect([files, failures]).toEqual([source.files().size, []])
  expect(store.most).toBeLessThanOrEqual(MOST_AT_ONCE)
})

test('small files of a past state are read at once, each proven by its digest', async () => {
  const { area, at } = await storeArea(new SourceTree().write('a', 'one').write('d/b', 'two').write('d/c', 'three').write('d/empty', ''))
  flipBit(at('d/b'))
  appendFileSync(at('d/c'), ' and more')
  const tree = await area.openPast({ path: ROOT_PATH, at: { ms: Infinity } })
  const files = [['a', 3], ['d/b', 3], ['d/c', 5], ['d/empty', 0], ['never', 1]] as const
  const read = await tree?.readSmall?.(files.map(([path, sizeBytes]) => ({ path: asPath(path), sizeBytes })))
  expect(read?.map(content => content && new TextDecoder().decode(content))).toEqual(['one', undefined, undefined, '', undefined])
  tree?.reject(asPath('a'))
  expect(await tree?.readSmall?.([{ path: asPath('a'), sizeBytes: 3 }])).toEqual([undefined])
  await tree?.close()
})

test('the versions and the points of a path do not need what changed elsewhere', async () => {
  const change = (directory: string, entries: Uint8Array): Uint8Array => encodeChange({
    kind: 'replaced', directory: directory as RelativePath, step: 0, isUnknown: false, entries, facts: new Uint8Array(FACT_BYTES),
    atMs: Float64Array.of(2000), folders: Uint16Array.of(0),
  }, hashBytes)
  const entry = { kind: 'file', name: 'a' as Name, sizeBytes: 1, mtimeNs: 1n, mode: 0o644, fileId: 0n } as const
  const start = encodeStart({ ms: 1000, ageMs: 0 }, hashBytes)
  // Decoding it would fail.
  const elsewhere = change('elsewhere', Uint8Array.of(0x91, 0xff))
  const bytes = Buffer.concat([start, elsewhere, change('d', encodeListing([entry]))])
  const folder = versionFolder({ count: 1, stampMs: 1000, extra: 0 })
  const found = { name: 'a', kind: 'file', sizeBytes: 1, mtimeNs: 1n, mode: 0o644, target: '', birthtimeMs: 0 } as const
  const source = {
    area: 'laptop', index: new MemoryIndex(), hash: hashBytes,
    store: {
      traits: { foldsNames: false, windowsNames: false },
      versions: () => Promise.resolve([{ folder, path: asPath('d/a'), found }]),
      history: () => Promise.resolve([{ count: 1, bytes }]),
      areaBirthtimeMs: () => Promise.resolve(0), list: () => Promise.resolve([]), find: () => Promise.resolve([]),
    },
  }
  expect((await versionsOf(source, asPath('d/a'))).map(({ until }) => until)).toEqual([{ count: 1, ms: 1999 }])
  const points = [{ count: 1, atMs: 3000, added: 0, replaced: 0, removed: 0, bytes: 0 }]
  // What it has was there before the first point, and left with it.
  expect(await pointsOf(source, asPath('d'), { points, droppedCount: 0 })).toEqual([])
  await expect(pointsOf(source, ROOT_PATH, { points, droppedCount: 0 })).rejects.toThrow()
})
