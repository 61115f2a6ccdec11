import { appendFileSync, existsSync, mkdtempSync, rmSync, statfsSync, symlinkSync, utimesSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, expect, onTestFinished, test } from 'vitest'
import { safePageDigest } from '@filesync/protocol'
import type { Name } from '@filesync/protocol'
import { hashBytes } from '@filesync/protocol/node'
import type { OtherCopy, OtherPage, SafeCheckResult } from '../src/index.ts'
import { newArchive } from './support/on-disk.ts'
import { asPath, push } from './support/push.ts'
import { SourceTree } from './support/source-tree.ts'
import { flipBit, storeArea } from './support/stored-area.ts'
import type { StoredArea } from './support/stored-area.ts'

const file = (path: string, content: string | Uint8Array): OtherCopy => ({
  path: asPath(path),
  kind: 'file',
  digest: hashBytes(Buffer.from(content)),
})
const link = (path: string, target: string): OtherCopy => ({ path: asPath(path), kind: 'symlink', digest: hashBytes(Buffer.from(target)) })
const verdicts = (results: readonly SafeCheckResult[]): string[] => results.map(({ verdict }) => verdict)

async function stored (): Promise<StoredArea> {
  return await storeArea(new SourceTree()
    .write('top', 'one').write('d/a', 'two').write('d/b', 'three').write('d/empty', '').link('d/l', 'a').link('out', '/etc'))
}

const CHANGES: readonly [string, ((stored: StoredArea) => void) | undefined][] = [
  ['nothing changed', undefined],
  ['one file has other content', ({ at }) => { appendFileSync(at('d/a'), ' and more') }],
  ['one file has another time', ({ at }) => { utimesSync(at('d/b'), 1_700_000_061, 1_700_000_061) }],
  ['one file is gone', ({ at }) => { rmSync(at('d/empty')) }],
  ['a link is gone', ({ at }) => { rmSync(at('d/l')) }],
  ['a link leads elsewhere', ({ at }) => { rmSync(at('d/l')); symlinkSync('b', at('d/l')) }],
]

describe('a safe check', () => {
  test('answers file by file, in the order of the question', async () => {
    const { area } = await stored()
    const answers = await area.checkSafe([
      file('d/b', 'three'), file('top', 'two'), link('d/l', 'a'), file('d/empty', ''), file('d/c', ''), file('no/where', 'x'),
      file('d/a', 'two'),
    ])
    expect(verdicts(answers)).toEqual(['safe', 'different', 'safe', 'safe', 'absent', 'absent', 'safe'])
    expect(answers[0]?.storedAtMs).toBe(area.stat(asPath('d/b'))?.storedAtMs)
    expect(answers[0]).not.toHaveProperty('verifiedAtMs')
  })

  test('is negative for another kind of entry, and for another target of a link', async () => {
    const { area } = await stored()
    expect(verdicts(await area.checkSafe([
      file('d', 'x'), link('top', 'one'), file('d/l', 'a'), link('d/l', 'b'), link('out', '/etc'),
      link('out', '/usr'),
    ]))).toEqual(['different', 'different', 'different', 'different', 'safe', 'different'])
  })

  test('detects what others changed or removed in the archive before anything else noticed', async () => {
    const { area, source, at } = await stored()
    appendFileSync(at('d/a'), ' and more')
    rmSync(at('top'))
    utimesSync(at('d/b'), 1_700_000_061, 1_700_000_061)
    writeFileSync(at('d/empty'), '')
    rmSync(at('d/l'))
    expect(verdicts(await area.checkSafe([
      file('d/a', 'two'), file('top', 'one'), file('d/b', 'three'), file('d/empty', ''), link('d/l', 'a'),
    ]))).toEqual(Array(5).fill('altered'))
    expect((await push(area, source)).asked.sort()).toEqual(['d/a', 'd/b', 'd/empty', 'top'])
  })

  test.each(CHANGES)('calls a page safe exactly if each of its files is, if %s', async (_, change) => {
    const site = await stored()
    change?.(site)
    const copies = [file('d/a', 'two'), file('d/b', 'three'), file('d/empty', ''), link('d/l', 'a')]
    const pageOf = (some: readonly OtherCopy[]): OtherPage => {
      const entries = some.map(({ path, kind, digest }) => (
        { kind, name: path.slice(2), sizeBytes: path === 'd/a' ? 3 : path === 'd/b' ? 5 : 0, digest }
      ))
      const [first = '', last = ''] = [entries[0]?.name, entries.at(-1)?.name]
      return {
        directory: asPath('d'), first: first as Name, last: last as Name, files: some.length, digest: safePageDigest(entries, hashBytes),
      }
    }
    const parts = [copies, copies.slice(0, 1), copies.slice(1, 2), copies.slice(2, 3), copies.slice(3)]
    for (const fresh of [false, true]) {
      const pages = await site.area.checkSafePages(parts.map(pageOf), { fresh })
      for (const [i, part] of parts.entries()) {
        const each = await site.area.checkSafe(part, { fresh })
        const isSafe = each.every(({ verdict }) => verdict === 'safe')
        expect(pages[i]?.map(({ verdict, storedAtMs }) => [verdict, storedAtMs]))
          .toEqual(isSafe ? each.map(({ verdict, storedAtMs }) => [verdict, storedAtMs]) : undefined)
      }
      expect(pages[0] === undefined).toBe(change !== undefined)
    }
  })

  test('calls no page safe that has a file with known damage, and a fresh one finds damage that was not known', async () => {
    const { area, at } = await stored()
    flipBit(at('d/b'))
    const entries = [{ name: 'a', content: 'two' }, { name: 'b', content: 'three' }].map(({ name, content }) => (
      { kind: 'file' as const, name, sizeBytes: content.length, digest: hashBytes(Buffer.from(content)) }
    ))
    const page: OtherPage = {
      directory: asPath('d'), first: 'a' as Name, last: 'b' as Name, files: 2, digest: safePageDigest(entries, hashBytes),
    }
    expect((await area.checkSafePages([page]))[0]).toHaveLength(2)
    expect(await area.checkSafePages([page], { fresh: true })).toEqual([undefined])
    // It is known from now on.
    expect(await area.checkSafePages([page])).toEqual([undefined])
    expect(area.damage().first.map(({ path }) => path)).toEqual(['d/b'])
  })

  test('finds a flipped bit if the copies are read again, and requests the file again', async () => {
    const { area, source, at } = await stored()
    flipBit(at('d/b'))
    const question = [file('d/a', 'two'), file('d/b', 'three'), link('d/l', 'a')]
    expect(verdicts(await area.checkSafe(question))).toEqual(['safe', 'safe', 'safe'])
    const fresh = await area.checkSafe(question, { fresh: true })
    expect(verdicts(fresh)).toEqual(['safe', 'damaged', 'safe'])
    expect(fresh[0]?.verifiedAtMs).toBeGreaterThan(0)
    expect(['disk', 'cache']).toContain(fresh[0]?.from)
    const later = await area.checkSafe(question)
    expect(verdicts(later)).toEqual(['safe', 'damaged', 'safe'])
    expect(later[0]?.verifiedAtMs).toBe(area.stat(asPath('d/a'))?.verifiedAtMs)
    expect(later[0]?.verifiedAtMs).toBeGreaterThan(0)
    expect((await push(area, source)).asked).toEqual(['d/b'])
    expect(verdicts(await area.checkSafe(question, { fresh: true }))).toEqual(['safe', 'safe', 'safe'])
  })

  test('does not wait for a sync, and what it found damaged meanwhile is sent again afterwards', async () => {
    const { area, source, at } = await stored()
    flipBit(at('top'))
    const sync = await area.beginSync()
    expect(verdicts(await area.checkSafe([file('top', 'one'), file('d/a', 'two')], { fresh: true }))).toEqual(['damaged', 'safe'])
    await sync.abandon()
    await area.checkMirror({ directories: 1 })
    expect(area.stat(asPath('top'))).toBeUndefined()
    expect((await push(area, source)).asked).toEqual(['top'])
  })

  test('stops when its signal is aborted', async () => {
    const { area } = await stored()
    await expect(area.checkSafe([file('top', 'one')], { signal: AbortSignal.abort(new Error('gone')) })).rejects.toThrow('gone')
  })

  // On a real disk if possible: a file system in memory cannot bypass the cache.
  test.skipIf(!existsSync('/proc/self/fd'))('reads from the disk if the file system allows it, whatever the size of the file', async () => {
    const root = mkdtempSync(join(process.env['FILESYNC_TEST_DISK'] ?? tmpdir(), 'filesync-archive-'))
    onTestFinished(() => { rmSync(root, { recursive: true, force: true }) })
    const area = await (await newArchive({ root })).area('laptop')
    const large = new Uint8Array(8 * 1024 * 1024 + 4097).map((_, i) => i * 31 + (i >> 9))
    const exact = large.slice(0, 8 * 1024 * 1024)
    await push(area, new SourceTree().write('large', large).write('exact', exact).write('small', 'x').write('none', ''))
    const answers = await area.checkSafe([
      file('large', large), file('exact', exact), file('small', 'x'), file('none', ''),
    ], { fresh: true })
    expect(verdicts(answers)).toEqual(Array(4).fill('safe'))
    expect(new Set(answers.map(({ from }) => from)).size).toBe(1)
    const EXT4 = 0xef53
    if (statfsSync(root).type === EXT4) expect(answers[0]?.from).toBe('disk')
  })
})
