import { mkdirSync, mkdtempSync, rmSync, symlinkSync, utimesSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest'
import { FEATURES, hello, LIMITS, openConnection, safePageDigest } from '@filesync/protocol'
import type {
  Connection, FileVerdict, PageVerdict, QuestionedPage, RelativePath, SafePagesQuestion, SafeQuestion,
} from '@filesync/protocol'
import { createHasher, hashBytes, systemClock } from '@filesync/protocol/node'
import { memoryStreamPair } from '@filesync/protocol/testing'
import { MemorySource } from '@filesync/transfer/testing'
import { greetForSafeCheck } from '../src/connect/greet.ts'
import { checkSafe } from '../src/safe/check-safe.ts'
import type { SafeResult } from '../src/safe/check-safe.ts'
import { localCopies } from '../src/safe/local-copies.ts'
import type { LocalTree } from '../src/safe/local-copies.ts'
import type { LocalCopy } from '../src/safe/local-copies.ts'

const NOW_MS = 1_700_000_000_000
const SETTLE_MS = 2000

describe('the local copies to check', () => {
  let root: string
  beforeEach(() => { root = mkdtempSync(join(tmpdir(), 'filesync-safe-')) })
  afterEach(() => { rmSync(root, { recursive: true }) })

  function write (path: string, ageMs = 60_000): void {
    mkdirSync(join(root, path, '..'), { recursive: true })
    writeFileSync(join(root, path), path)
    utimesSync(join(root, path), (NOW_MS - ageMs) / 1000, (NOW_MS - ageMs) / 1000)
  }

  const tree = (): LocalTree => ({ roots: new Map([['docs', root]]), settleMs: SETTLE_MS, nowMs: () => NOW_MS })
  const look = (path: string): string[] => [...localCopies(tree(), path === '' ? 'docs' : `docs/${path}`)]
    .map(copy => `${copy.path.replace(/^docs\//u, '')} ${copy.kind === 'unchecked' ? copy.state : copy.kind}`)

  test('are all files in a directory, ignored ones included, and links are not followed', () => {
    write('d/a')
    write('d/.git/config')
    write('d/x.tmp')
    mkdirSync(join(root, 'd', 'nothing'))
    symlinkSync('/etc', join(root, 'd', 'out'))
    expect(look('d')).toEqual(['d/.git/config file', 'd/a file', 'd/out symlink', 'd/x.tmp file'])
    expect(look('')).toEqual(look('d'))
    expect(look('d/nothing')).toEqual(['d/nothing empty'])
    expect(look('d/a')).toEqual(['d/a file'])
  })

  test('clamp a time out of range as a push does', () => {
    write('from-2400', -13_000_000_000_000)
    const [copy] = localCopies({ roots: new Map([['docs', root]]), settleMs: 0, nowMs: () => NOW_MS }, 'docs/from-2400')
    expect(copy?.kind === 'file' && copy.entry.mtimeNs <= 2n ** 63n - 1n).toBe(true)
  })

  test('report files that are missing, unsettled, or cannot be stored', () => {
    write('fresh', 1000)
    write('quiet', 2000)
    write('bell\u0007')
    expect(look('fresh')).toEqual(['fresh unsettled'])
    expect(look('quiet')).toEqual(['quiet file'])
    expect(look('gone')).toEqual(['gone missing'])
    expect(look('quiet/below')).toEqual(['quiet/below missing'])
    expect(look('')).toContain('bell\u0007 uncarried')
  })
})

const copyOf = (path: string, sizeBytes = path.length): LocalCopy => ({
  kind: 'file',
  path: path as RelativePath,
  directory: '' as RelativePath,
  entry: { kind: 'file', name: path as never, sizeBytes, mtimeNs: 0n, mode: 0o644, fileId: 0n },
})

/** Checks copies against a server that gives these verdicts. */
async function checkAgainst (
  copies: readonly LocalCopy[], verdicts: (request: SafeQuestion) => FileVerdict[],
  ofPages: (request: SafePagesQuestion) => PageVerdict[] = ({ pages }) => pages.map(() => ({ runs: [] })),
): Promise<{ results: SafeResult[], requests: SafeQuestion[], pages: QuestionedPage[], streams: number }> {
  const [left, right] = memoryStreamPair()
  const [connection, server] = [openConnection({ stream: left, clock: systemClock }), openConnection({ stream: right, clock: systemClock })]
  const requests: SafeQuestion[] = []
  const pages: QuestionedPage[] = []
  const serving = (async () => {
    for (;;) {
      const request = await server.receive(['SAFE_QUESTION', 'SAFE_PAGES_QUESTION'])
      if (request.type === 'SAFE_PAGES_QUESTION') {
        pages.push(...request.pages)
        await server.send({ type: 'SAFE_PAGES_ANSWER', pages: ofPages(request) })
        continue
      }
      requests.push(request)
      await server.send({ type: 'SAFE_ANSWER', files: verdicts(request) })
    }
  })().catch(() => { /* the client has closed */ })
  const source = new MemorySource({
    content: path => path === 'lost' ? undefined : new TextEncoder().encode(path), hashBytes, createHasher,
  })
  const streams = vi.spyOn(source, 'openStream')
  const results: SafeResult[] = []
  try {
    for await (const result of checkSafe(copies, { connection, source, hash: hashBytes, fresh: false })) results.push(result)
  } finally {
    await connection.close()
    await serving
  }
  return { results, requests, pages, streams: streams.mock.calls.length }
}

describe('a safe check', () => {
  test('reports for each copy, in order, the verdict of the server or why it was not asked', async () => {
    const verdicts: FileVerdict[] = [
      { verdict: 'SAFE', storedAtMs: 1000, verifiedAtMs: 2000, read: 'DISK' },
      { verdict: 'DIFFERENT' },
      { verdict: 'SAFE', storedAtMs: Number.MAX_SAFE_INTEGER },
    ]
    const { results, requests } = await checkAgainst([
      copyOf('a'),
      { kind: 'unchecked', path: 'odd', state: 'uncarried', reason: 'No.' },
      copyOf('lost'),
      { kind: 'symlink', path: 'l' as RelativePath, target: 'a' },
      copyOf('b'),
    ], () => verdicts)
    expect(results.map(({ path, safe, state }) => `${path} ${String(safe)} ${state}`)).toEqual([
      'a true safe', 'odd false uncarried', 'lost false changing', 'l false different', 'b true safe',
    ])
    expect(results[0]).toMatchObject({ storedAt: '1970-01-01T00:00:01.000Z', verifiedAt: '1970-01-01T00:00:02.000Z', read: 'disk' })
    expect(results[4]).not.toHaveProperty('storedAt')
    expect(requests[0]?.files).toMatchObject([
      { path: 'a', kind: 'FILE', digest: new Uint8Array(hashBytes(Buffer.from('a'))) },
      { path: 'l', kind: 'SYMLINK', digest: new Uint8Array(hashBytes(Buffer.from('a'))) }, { path: 'b' },
    ])
  })

  test('does not treat an unknown verdict of a newer server as safe', async () => {
    const verdicts = [{ verdict: 'SAFE' }, { verdict: 'MOSTLY' }] as FileVerdict[]
    const { results } = await checkAgainst([copyOf('a'), copyOf('b')], () => verdicts)
    expect(results).toMatchObject([
      { path: 'a', safe: true },
      { path: 'b', safe: false, state: 'other', reason: expect.stringContaining('update the client') as unknown },
    ])
  })

  test('is split into messages of as many files as allowed', async () => {
    const { results, requests } = await checkAgainst(
      Array.from({ length: LIMITS.filesPerQuestion + 1 }, (_, i) => copyOf(String(i))),
      ({ files }) => files.map(() => ({ verdict: 'SAFE' }))
    )
    expect(requests.map(({ files }) => files.length)).toEqual([LIMITS.filesPerQuestion, 1])
    expect(results).toHaveLength(LIMITS.filesPerQuestion + 1)
  })

  test('asks about pages first, and about single files only where a page is not safe as a whole', async () => {
    const names = Array.from({ length: LIMITS.pageEntries + 200 }, (_, i) => `f${String(i).padStart(5, '0')}`)
    const copies: LocalCopy[] = names.map(name => copyOf(name))
    copies.splice(5, 0, { kind: 'symlink', path: 'f00004-link' as RelativePath, target: 'f00004' })
    const [odd] = names.slice(700)
    const { results, requests, pages, streams } = await checkAgainst(
      copies,
      ({ files }) => files.map(({ path }) => path === odd ? { verdict: 'ALTERED' } : { verdict: 'SAFE', storedAtMs: 5000 }),
      question => question.pages.map(({ first, last, files }) => (odd !== undefined && first <= odd && odd <= last
        ? { runs: [] }
        : { runs: files > 1 ? [[1, 0, 0], [files - 1, 1000, 2000]] : [[1, 1000, 2000]] })),
    )
    expect(results.map(({ path }) => path)).toEqual(copies.map(({ path }) => path))
    expect(results.filter(({ safe }) => !safe).map(({ path, state }) => [path, state])).toEqual([[odd, 'altered']])
    expect(pages[0]).toMatchObject({ path: '', first: 'f00000', last: names[1022], files: LIMITS.pageEntries })
    const entries = copies.slice(0, LIMITS.pageEntries).map(copy => copy.kind === 'file'
      ? { kind: copy.kind, name: copy.path, sizeBytes: copy.entry.sizeBytes, digest: hashBytes(Buffer.from(copy.path)) }
      : { kind: 'symlink' as const, name: copy.path, sizeBytes: 0, digest: hashBytes(Buffer.from('f00004')) })
    expect(pages[0]?.digest).toEqual(new Uint8Array(safePageDigest(entries, hashBytes)))
    // Of a thousand files, only the neighbors of the one that differs.
    expect(requests.flatMap(({ files }) => files.map(({ path }) => path))).toContain(odd)
    expect(requests.reduce((sum, { files }) => sum + files.length, 0)).toBeLessThanOrEqual(16)
    expect(results[1]).toMatchObject({ storedAt: '1970-01-01T00:00:01.000Z', verifiedAt: '1970-01-01T00:00:02.000Z' })
    expect(results[0]).not.toHaveProperty('storedAt')
    // Small files are read many at a time.
    expect(streams).toBe(0)
  })

  test('no page reaches over something that cannot be compared', async () => {
    const { pages, results } = await checkAgainst([
      copyOf('a'), copyOf('b'), { kind: 'unchecked', path: 'c', state: 'unsettled', reason: 'No.' }, copyOf('d'), copyOf('lost'),
      copyOf('z'),
    ], () => [], question => question.pages.map(({ files }) => ({ runs: [[files, 0, 0]] })))
    expect(pages.map(({ first, last, files }) => `${first}-${last} ${String(files)}`)).toEqual(['a-b 2', 'd-d 1', 'z-z 1'])
    expect(results.map(({ safe }) => safe)).toEqual([true, true, false, true, false, true])
  })

  test.each<[PageVerdict[]]>([
    [[]], [[{ runs: [[1, 0, 0]] }]], [[{ runs: [[3, 0, 0]] }]], [[{ runs: [[2, 0, 0]] }, { runs: [[2, 0, 0]] }]],
  ])('fails if the server answers for fewer or more files or pages: %j', async answers => {
    await expect(checkAgainst([copyOf('a'), copyOf('b')], () => [], () => answers)).rejects.toMatchObject({
      code: expect.stringMatching(/^(MESSAGE_INVALID|PEER_GONE)$/u) as string,
    })
  })

  test.each<[FileVerdict[]]>([
    [[]], [[{ verdict: 'SAFE' }, { verdict: 'SAFE' }]],
  ])('fails if the server answers for fewer or more files: %j', async verdicts => {
    await expect(checkAgainst([copyOf('a')], () => verdicts)).rejects.toMatchObject({
      code: expect.stringMatching(/^(MESSAGE_INVALID|PEER_GONE)$/u) as string,
    })
  })

  test('says that an older server cannot answer, before it is queued', async () => {
    const [left, right] = memoryStreamPair()
    const [client, server] = [openConnection({ stream: left, clock: systemClock }), openConnection({ stream: right, clock: systemClock })]
    const greeting: Promise<Connection | undefined> = greetForSafeCheck(client, 'test', systemClock).then(() => client)
    const { features } = await server.receive(['HELLO'])
    expect(features).toEqual([FEATURES.BLAKE3, FEATURES.SAFE])
    await server.send(hello('old', [FEATURES.RESUME, FEATURES.ZSTD]))
    await expect(greeting).rejects.toThrow('runs an earlier version')
    await Promise.all([client.close(), server.close()])
  })
})
