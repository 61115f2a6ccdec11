import { createCipheriv } from 'node:crypto'
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { gzipSync } from 'node:zlib'
import { describe, expect, test } from 'vitest'
import { ROOT_PATH } from '@filesync/protocol'
import { hashBytes } from '@filesync/protocol/node'
import type { Area, Sync } from '../src/index.ts'
import { memoryArchive, MemoryIndex, MemoryStore } from '../src/testing/index.ts'
import { describeFolder, describeSource, newArchive, newFolder, WallClock } from './support/on-disk.ts'
import { compareAll, push } from './support/push.ts'
import { SourceTree } from './support/source-tree.ts'

const FILES = 250
const HALTED = { code: 'HALTED' }

function text (i: number): Uint8Array {
  const sentence = 'It was a dark and stormy night, and nobody had made a copy. '
  return new TextEncoder().encode(`Chapter ${String(i)}\n${sentence.repeat(10 + i % 90)}`)
}

/** What nothing compresses; another for each key. */
function noise (sizeBytes: number, key: number): Uint8Array {
  const cipher = createCipheriv('aes-256-ctr', Buffer.alloc(32, key), Buffer.alloc(16, key >> 8))
  return new Uint8Array(cipher.update(new Uint8Array(sizeBytes)))
}

function encrypted (content: Uint8Array, key: number): Uint8Array {
  return noise(content.length, key).map((byte, i) => byte ^ (content[i] ?? 0))
}

function tree (content: (i: number) => Uint8Array, files = FILES): SourceTree {
  const source = new SourceTree()
  for (let i = 0; i < files; i++) source.write(nameOf(i), content(i))
  return source
}

function nameOf (i: number): string {
  return `d${String(i % 5)}/f${String(i)}`
}

/** Replaces some files of a tree. */
function change (source: SourceTree, files: number, content: (old: Uint8Array, i: number) => Uint8Array): void {
  const old = source.files()
  for (let i = 0; i < files; i++) source.write(nameOf(i), content(old.get(nameOf(i)) ?? new Uint8Array(0), i))
}

async function memoryArea (): Promise<{ area: Area, store: MemoryStore, clock: WallClock, reopen: () => Promise<Area> }> {
  const clock = new WallClock(Date.now())
  const [store, index] = [new MemoryStore({ hash: hashBytes, clock }), new MemoryIndex()]
  const reopen = async (): Promise<Area> => await memoryArchive({ hash: hashBytes, clock, store, index }).area('laptop')
  return { area: await reopen(), store, clock, reopen }
}

/** Pushes a tree, changes it, and pushes it again. */
async function pushTwice (before: SourceTree, changeIt: (source: SourceTree) => void): Promise<Awaited<ReturnType<typeof push>>> {
  const { area } = await memoryArea()
  await push(area, before)
  changeIt(before)
  return await push(area, before)
}

describe('files that are encrypted in place', () => {
  test('halt a sync before any of them replaces anything, and are stored after a release', async () => {
    const root = newFolder()
    const clock = new WallClock(Date.now())
    const area = await (await newArchive({ root, clock })).area('laptop')
    const source = tree(text)
    await push(area, source)
    clock.jump(60_000)
    const before = describeFolder(join(root, 'laptop'))
    change(source, 200, encrypted)
    await expect(push(area, source, { packBytes: 10_000 })).rejects.toMatchObject(HALTED)
    expect(describeFolder(join(root, 'laptop'))).toEqual(before)
    expect(area.halted).toMatchObject({ vanishing: 0, of: 250 })
    expect(area.halted?.spoiled).toBeGreaterThan(125)
    expect(readdirSync(join(root, '.filesync/staging'))).toEqual([])

    await area.release()
    expect(await push(area, source)).toMatchObject({ files: 200, problems: [] })
    expect(area.halted).toBeUndefined()
    expect(describeFolder(join(root, 'laptop'))).toEqual(describeSource(source))
    // Every old content can be brought back.
    const to = newFolder()
    await area.restore({ path: ROOT_PATH, at: { ms: clock.nowMs() - 1000 }, to })
    for (let i = 0; i < FILES; i++) expect(readFileSync(join(to, nameOf(i)))).toEqual(Buffer.from(text(i)))
  })

  test('count together with files that vanish', async () => {
    const { area } = await memoryArea()
    const source = tree(text)
    await push(area, source)
    change(source, 80, encrypted)
    for (let i = 80; i < 160; i++) source.remove(nameOf(i))
    await expect(push(area, source)).rejects.toMatchObject(HALTED)
    expect(area.halted).toMatchObject({ vanishing: 80, of: 250 })
  })

  test('do not stop other changes, and are no longer requested once there are too many', async () => {
    const { area, store } = await memoryArea()
    const source = tree(text, 1000)
    await push(area, source)
    change(source, 900, encrypted)
    source.write('a-new-one', 'x')
    const sync: { now?: Sync } = {}
    await expect(push(area, source, { onSync: begun => { sync.now = begun } })).rejects.toMatchObject(HALTED)
    expect(store.root.at('laptop/a-new-one')?.kind).toBe('file')
    expect((await area.versions(ROOT_PATH)).filter(({ kind }) => kind === 'file')).toEqual([])

    source.write('a-new-one', 'y')
    const second = await area.beginSync()
    compareAll(second, source.snapshot())
    const plan = second.plan({ complete: true })
    expect(plan.taskCount).toBe(901)
    await second.abandon()
  })

  test('halt the next sync of the same tree before anything is sent, and no sync once they are restored', async () => {
    const { area, reopen } = await memoryArea()
    const source = tree(text)
    const good = tree(text)
    await push(area, good)
    change(source, 200, encrypted)
    await expect(push(area, source)).rejects.toMatchObject(HALTED)
    const again = await (await reopen()).beginSync()
    compareAll(again, source.snapshot())
    expect(() => again.plan({ complete: true })).toThrow(expect.objectContaining(HALTED))
    await again.abandon()
    // From a backup of the client's own, with times of today.
    change(source, 200, (_, i) => text(i))
    expect(await push(await reopen(), source)).toMatchObject({ files: 200 })
    expect((await reopen()).halted).toBeUndefined()
  })

  test('are stored by the next sync if they are released while the halted one is still running', async () => {
    const { area } = await memoryArea()
    const source = tree(text)
    await push(area, source)
    change(source, 200, encrypted)
    await expect(push(area, source, { before: async () => { await area.release() } })).rejects.toMatchObject(HALTED)
    expect(area.halted).toBeUndefined()
    expect(await push(area, source)).toMatchObject({ files: 200, problems: [] })
    change(source, 200, (_, i) => text(i))
    await push(area, source)
    change(source, 200, encrypted)
    await expect(push(area, source)).rejects.toMatchObject(HALTED)
  })

  test('keep every version while the brake holds, however old', async () => {
    const { area, clock } = await memoryArea()
    const source = tree(text)
    await push(area, source)
    source.remove(nameOf(249))
    clock.jump(1000)
    await push(area, source)
    change(source, 200, encrypted)
    await expect(push(area, source)).rejects.toMatchObject(HALTED)
    clock.advance(365 * 86_400_000)
    expect(await area.prune()).toBe(0)
    await area.release()
    expect(await area.prune()).toBe(1)
  })

  test('are held back when a sync is abandoned, and requested again', async () => {
    const { area, store } = await memoryArea()
    const source = tree(text)
    await push(area, source)
    change(source, 200, (old, i) => i < 100 ? encrypted(old, i) : text(i + 1))
    await push(area, source, { end: 'abandon' })
    expect(store.staging.size).toBe(0)
    expect((await push(area, source)).asked.length).toBe(100)
  })

  test('are stored if they are few: up to a hundred, or half', async () => {
    expect(await pushTwice(tree(text, 150), source => { change(source, 100, encrypted) })).toMatchObject({ files: 100, problems: [] })
    expect(await pushTwice(tree(text, 400), source => { change(source, 200, encrypted) })).toMatchObject({ files: 200, problems: [] })
  })

  test('halt a sync of large files too', async () => {
    const large = (i: number): Uint8Array => new Uint8Array(Buffer.alloc(270_000, text(i)))
    const { area, store } = await memoryArea()
    const source = tree(large, 110)
    await push(area, source)
    change(source, 110, encrypted)
    await expect(push(area, source)).rejects.toMatchObject(HALTED)
    expect(store.root.at(`laptop/${nameOf(0)}`)).toMatchObject({ content: large(0) })
  })
})

describe('the brake does not hold when most files', () => {
  const picture = (i: number): Uint8Array => Buffer.concat([Buffer.alloc(3000, `camera ${String(i)}   `), noise(20_000, i)])

  test.each<[string, SourceTree, (old: Uint8Array, i: number) => Uint8Array]>([
    ['are pictures that are rewritten', tree(picture), (_, i) => picture(i + 1)],
    ['are pictures that lose their headers', tree(picture), old => old.slice(3000)],
    ['are compressed again', tree(i => gzipSync(text(i * 77))), (_, i) => gzipSync(text(i * 77 + 1))],
    ['are texts that are edited', tree(text), old => old.map(byte => byte === 0x61 ? 0x41 : byte)],
    ['were empty', tree(() => new Uint8Array(0)), (_, i) => noise(5000, i)],
  ])('%s', async (_, before, changed) => {
    const outcome = await pushTwice(before, source => { change(source, FILES, changed) })
    expect(outcome).toMatchObject({ files: FILES, problems: [] })
  })

  test('are new and noise', async () => {
    const outcome = await pushTwice(tree(text, 10), source => {
      for (let i = 0; i < FILES; i++) source.write(`photos/${String(i)}`, noise(5000, i))
    })
    expect(outcome).toMatchObject({ files: FILES, problems: [] })
  })

  test('are moved', async () => {
    const outcome = await pushTwice(tree(text), source => { for (let i = 0; i < FILES; i++) source.move(nameOf(i), `moved/${String(i)}`) })
    expect(outcome).toMatchObject({ renamed: FILES, problems: [] })
  })
})

test('keeps a release that is made during a sync that the brake halts', async () => {
  const { area } = await memoryArea()
  const source = tree(text)
  await push(area, source)
  for (let i = 0; i < 200; i++) source.remove(nameOf(i))
  await expect(push(area, source, { onSync: () => { void area.release() } })).rejects.toMatchObject(HALTED)
  expect(area.halted).toBeUndefined()
  expect(await push(area, source)).toMatchObject({ deleted: 200, problems: [] })
})

test('reads content only if the brake could depend on it', async () => {
  const calls: string[] = []
  const clock = new WallClock(Date.now())
  const store = new MemoryStore({ hash: hashBytes, clock, before: call => { calls.push(call) } })
  const area = await memoryArchive({ hash: hashBytes, clock, store }).area('laptop')
  const source = tree(text, 400)
  await push(area, source)
  change(source, 200, encrypted)
  await push(area, source)
  expect(calls).not.toContain('findSpoiled')
  change(source, 201, (_, i) => text(i))
  await push(area, source)
  expect(calls).toContain('findSpoiled')
})

test('files with several names that are encrypted replace none of them until the brake is released', async () => {
  const root = newFolder()
  const area = await (await newArchive({ root })).area('laptop')
  const source = tree(text)
  for (let i = 0; i < FILES; i++) source.mkdir(`names${String(i)}`).name(`names${String(i)}/f`, nameOf(i))
  await push(area, source)
  const before = describeFolder(join(root, 'laptop'))
  for (let i = 0; i < FILES; i++) {
    const file = source.at(nameOf(i))
    if (file.kind === 'file') Object.assign(file, { content: encrypted(file.content, i), mtimeNs: file.mtimeNs + 1_000_000_000n })
  }
  await expect(push(area, source)).rejects.toMatchObject(HALTED)
  expect(describeFolder(join(root, 'laptop'))).toEqual(before)
  await area.release()
  expect(await push(area, source)).toMatchObject({ files: 2 * FILES, problems: [] })
  expect(describeFolder(join(root, 'laptop'))).toEqual(describeSource(source))
  expect((await push(area, source)).listings).toBe(0)
})
