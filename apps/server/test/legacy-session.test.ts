import { readdir, readFile, stat } from 'node:fs/promises'
import { join } from 'node:path'
import type { RelativePath } from '@filesync/protocol'
import { createHasher, hashBytes } from '@filesync/protocol/node'
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { storeFiles } from '../src/legacy/store-files.ts'
import { NEW, OLD } from './support/legacy-client.ts'
import type { Files } from './support/legacy-client.ts'
import { LegacyServer } from './support/legacy-server.ts'

let server: LegacyServer
beforeAll(async () => { server = await LegacyServer.open() })
beforeEach(() => { server.nextClient() })
afterAll(async () => { await server.close() })

describe('a legacy client', () => {
  test.each([undefined, 1, 7])('is mirrored, also if its stream arrives in pieces of %s bytes', async chunkBytes => {
    const files: Files = {
      'a.txt': { content: 'alpha' },
      'd/b.txt': { content: 'beta\n', time: NEW },
      'd/e/empty': { content: '' },
      'ü 日本': { content: 'x' },
    }
    const first = await server.sync(files, chunkBytes === undefined ? {} : { chunkBytes })
    expect(first.asked).toEqual(Object.keys(files))
    expect(first.report).toMatchObject({ area: `legacy/client_${server.id}`, result: 'OK', stored: { files: 4 }, isMore: false })
    expect(await server.names()).toEqual(['a.txt', 'd', 'd/b.txt', 'd/e', 'd/e/empty', 'ü 日本'])
    expect(await server.stored('d/b.txt')).toBe('beta\n')
    const { mtimeMs } = await stat(join(server.archiveRoot, 'legacy', `client_${server.id}`, 'd', 'b.txt'))
    expect(mtimeMs).toBeCloseTo(Date.parse(`${NEW}Z`), 0)
    const second = await server.sync(files)
    expect(second).toMatchObject({ asked: [], report: { stored: { files: 0, deleted: 0 } } })
  })

  test('is asked for files that are newer than their copies, and for older ones', async () => {
    await server.sync({ a: { content: 'one' }, b: { content: 'two', time: NEW }, c: { content: 'three' } })
    const { asked } = await server.sync({ a: { content: 'uno', time: NEW }, b: { content: 'due', time: OLD }, c: { content: 'three' } })
    expect(asked).toEqual(['a', 'b'])
    expect([await server.stored('a'), await server.stored('b'), await server.stored('c')]).toEqual(['uno', 'due', 'three'])
  })

  test('can replace a file whose time is in the far future', async () => {
    await server.sync({ a: { content: 'poison', time: '9999-12-31T23:59:59' } })
    expect((await server.sync({ a: { content: 'poison', time: '9999-12-31T23:59:59' } })).asked).toEqual([])
    expect((await server.sync({ a: { content: 'cure', time: NEW } })).asked).toEqual(['a'])
    expect(await server.stored('a')).toBe('cure')
  })

  test('has its removed files moved from the mirror to versions', async () => {
    await server.sync({ 'keep': { content: '1' }, 'gone/x': { content: '2' } })
    const { report } = await server.sync({ keep: { content: '1' } })
    expect(report).toMatchObject({ result: 'OK', stored: { deleted: 1 } })
    expect(await server.names()).toEqual(['keep'])
    const kept = await readdir(join(server.archiveRoot, '.filesync', 'versions'), { recursive: true })
    expect(kept.some(path => path.includes(server.id) && path.endsWith('gone/x'))).toBe(true)
  })

  test('with 50,000 files, some of them stored, is served within seconds', { timeout: 60_000 }, async () => {
    const list = (count: number): Files => Object.fromEntries(
      Array.from({ length: count }, (_, i) => [`d${i % 2}/file ${i}`, { content: `${i}` }]),
    )
    const area = await server.archive.area(`legacy/client_${server.id}`)
    const few = Object.entries(list(4_000)).map(([path, { content }]) => ({
      path: path as RelativePath,
      content: new TextEncoder().encode(content as string),
      sizeBytes: content.length,
      mtimeNs: 1_700_000_000_000_001_000n,
    }))
    const files = new Map(few.map(file => [file.path, file]))
    await storeFiles({ area, files, arriving: few, complete: true, hash: hashBytes, createHasher })
    const { asked, report } = await server.sync(list(50_000))
    expect(asked.slice(0, 2)).toEqual(['d0/file 4000', 'd1/file 4001'])
    expect(report).toMatchObject({ result: 'OK', isMore: true, stored: { files: asked.length, deleted: 0 } })
  })

  test('with 300 long file names converges over several syncs', async () => {
    const folder = 'folder with a long name '.repeat(3)
    const pathOf = (i: number): string => `${folder}${i % 5}/file ${i} ${'x'.repeat(40)}`
    const files: Files = Object.fromEntries(Array.from({ length: 300 }, (_, i) => [pathOf(i), { content: `content ${i}` }]))
    let rounds = 0
    for (let isMore = true; isMore; rounds++) {
      const { asked, report } = await server.sync(files)
      expect(asked.length).toBe(report.stored.files)
      expect(report.stored.deleted).toBe(0)
      isMore = report.isMore
    }
    expect(rounds).toBe(5)
    expect((await server.names()).filter(name => name.includes('/')).length).toBe(300)
    for (const [path, { content }] of Object.entries(files)) expect(await server.stored(path)).toBe(content)
  })

  test('can send files that are larger than a pack', async () => {
    const large = new Uint8Array(3_000_000).map((_, i) => i * 31 + (i >> 9))
    const { report } = await server.sync({ 'before': { content: '1' }, 'large.bin': { content: large }, 'z/after': { content: '2' } })
    expect(report).toMatchObject({ result: 'OK', stored: { files: 3, bytes: 3_000_002 } })
    const stored = await readFile(join(server.archiveRoot, 'legacy', `client_${server.id}`, 'large.bin'))
    expect(new Uint8Array(stored).every((byte, i) => byte === large[i])).toBe(true)
    expect(await server.names()).toEqual(['before', 'large.bin', 'z', 'z/after'])
  })

  test('without an id gets an area named after its address', async () => {
    expect((await server.sync({ a: { content: '1' } }, { id: null })).report.area).toBe('legacy/client_192_168_1_7')
    expect(await server.stored('a', 'client_192_168_1_7')).toBe('1')
  })

  test('is halted if most of its files are gone, and its new file is stored', async () => {
    const many: Files = Object.fromEntries(Array.from({ length: 130 }, (_, i) => [`f${i}`, { content: `${i}` }]))
    await server.sync(many)
    const { report } = await server.sync({ new: { content: 'n' } })
    expect(report).toMatchObject({ result: 'HALTED', stored: { files: 1, deleted: 0 } })
    expect((await server.names()).length).toBe(131)
    expect((await server.archive.area(`legacy/client_${server.id}`)).halted).toMatchObject({ vanishing: 130 })
    await (await server.archive.area(`legacy/client_${server.id}`)).release()
    expect((await server.sync({ new: { content: 'n' } })).report).toMatchObject({ result: 'OK', stored: { deleted: 130 } })
    expect(await server.names()).toEqual(['new'])
  })
})
