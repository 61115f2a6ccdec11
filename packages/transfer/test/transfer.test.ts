import { FileSyncError } from '@filesync/protocol'
import type { Problem, RelativePath, Tree } from '@filesync/protocol'
import { createHasher, hashBytes } from '@filesync/protocol/node'
import { memoryTree, randomBytes } from '@filesync/protocol/testing'
import type { TreeLiteral } from '@filesync/protocol/testing'
import { expect, test } from 'vitest'
import type { FileFault, ReceivedFiles, TransferProgress } from '../src/index.ts'
import { MemorySource, MemoryStore } from '../src/testing/index.ts'
import { signatureOf, sync } from './support/session.ts'

const TREE: TreeLiteral = {
  empty: '', small: 'hello', deep: { er: { file: 'x'.repeat(1000) } },
  edge: randomBytes(262_144, 1), above: randomBytes(262_145, 2), large: randomBytes(5_000_000, 3),
}

type ReadableTree = Tree & { content (path: RelativePath): Uint8Array | undefined }

function sourceOf (tree: ReadableTree, faults: Record<string, FileFault> = {}): MemorySource {
  return new MemorySource({ content: path => faults[path] ?? tree.content(path), hashBytes, createHasher })
}

function expectSame (store: MemoryStore, tree: ReadableTree, count: number): void {
  expect(store.files.size).toBe(count)
  for (const [path, bytes] of store.files) expect(Buffer.compare(bytes, tree.content(path) as Uint8Array), path).toBe(0)
}

test('every file of a tree arrives with its bytes', async () => {
  const tree = memoryTree(TREE, hashBytes)
  const store = new MemoryStore()
  const source = sourceOf(tree)
  const { client, server } = await sync({ tree, source, store })
  expect(client).toMatchObject({ type: 'NEXT_SYNC', result: 'OK' })
  expect(server).toMatchObject({ files: 6, bytes: tree.bytes, problemCount: 0 })
  expectSame(store, tree, 6)
  expect(source.openFiles).toBe(0)
})

test('a sync without changes is one empty page and NEXT_SYNC', async () => {
  const { client, server, serverConnection } = await sync({
    tree: memoryTree(TREE, hashBytes), source: sourceOf(memoryTree({}, hashBytes)), store: new MemoryStore(), how: () => undefined,
  })
  expect(client).toMatchObject({ type: 'NEXT_SYNC' })
  expect(server).toMatchObject({ files: 0, bytes: 0 })
  expect(serverConnection.bytesReceived).toBe(0)
})

test('more files than fit in a page are asked for page by page', async () => {
  const names = Array.from({ length: 50_000 }, (_, i) => [`f${String(i)}`, i % 10 === 0 ? `content ${String(i)}` : ''])
  const tree = memoryTree(Object.fromEntries(names) as TreeLiteral, hashBytes)
  const store = new MemoryStore()
  const { client } = await sync({ tree, source: sourceOf(tree), store })
  expect(client).toMatchObject({ result: 'OK', stored: { files: 50_000 } })
  expectSame(store, tree, 50_000)
})

test('the rest of a file is sent from its offset, and the digest covers the whole file', async () => {
  const tree = memoryTree(TREE, hashBytes)
  const store = new MemoryStore()
  const large = tree.content('large' as RelativePath) as Uint8Array
  store.partial.set('large' as RelativePath, large.slice(0, 4_900_000))
  const { server, serverConnection } = await sync({
    tree, source: sourceOf(tree), store,
    how: (file, { partial }) => file.path === 'large' ? [...file.at, 'RESUME', partial.get(file.path)?.length ?? 0] : undefined,
  })
  expect(server).toMatchObject({ files: 1, bytes: 5_000_000, problemCount: 0 })
  expect(serverConnection.bytesReceived).toBeLessThan(101_000)
  expectSame(store, tree, 1)
})

test('a resumed file with another beginning is a problem, and is stored whole by the next sync', async () => {
  const tree = memoryTree(TREE, hashBytes)
  const store = new MemoryStore()
  store.partial.set('large' as RelativePath, randomBytes(4_000_000, 99))
  const first = await sync({ tree, source: sourceOf(tree), store })
  expect((first.server as ReceivedFiles).problems).toMatchObject([{ path: 'large', code: 'DIGEST_MISMATCH' }])
  expect(store.files.has('large' as RelativePath)).toBe(false)
  await sync({ tree, source: sourceOf(tree), store })
  expectSame(store, tree, 6)
})

test('a delta costs what changed, wherever it changed', async () => {
  const old = randomBytes(8_000_000, 7)
  const changed = Buffer.concat([
    Buffer.of(42), old.subarray(0, 3_000_000), randomBytes(10_000, 8), old.subarray(3_500_000), old.subarray(0, 100_000),
  ])
  const tree = memoryTree({ file: new Uint8Array(changed) }, hashBytes)
  const store = new MemoryStore()
  store.files.set('file' as RelativePath, old)
  const { server, serverConnection } = await sync({
    tree, source: sourceOf(tree), store,
    how: ({ at, path }, { files }) => [...at, 'DELTA', signatureOf(files.get(path) as Uint8Array).length],
  })
  expect(server).toMatchObject({ files: 1, bytes: changed.length, problemCount: 0 })
  expectSame(store, tree, 1)
  expect(serverConnection.bytesReceived).toBeLessThan(1_000_000)
})

test('a digest task sends only the digest', async () => {
  const tree = memoryTree({ large: randomBytes(3_000_000, 5) }, hashBytes)
  const store = new MemoryStore()
  const { server, serverConnection } = await sync({ tree, source: sourceOf(tree), store, how: ({ at }) => [...at, 'DIGEST'] })
  // The memory area has nothing to compare with, so it compares with the digest of no bytes.
  expect((server as ReceivedFiles).problems).toMatchObject([{ path: 'large', code: 'DIGEST_MISMATCH' }])
  expect(serverConnection.bytesReceived).toBeLessThan(300)
})

test('a file that cannot be sent is reported as a problem, and the others arrive', async () => {
  const tree = memoryTree(TREE, hashBytes)
  const store = new MemoryStore()
  const source = new MemorySource({
    content: path => path === 'small' ? undefined : path === 'above' ? { code: 'UNREADABLE', detail: 'EACCES' } : tree.content(path),
    check: path => path === 'large' || path === 'edge' ? { code: 'CHANGED_DURING_READ' } : undefined,
    hashBytes, createHasher,
  })
  const { client, server } = await sync({ tree, source, store })
  expect(client).toMatchObject({ result: 'PROBLEMS', problemCount: 4 })
  const problems = [...(server as ReceivedFiles).problems].sort((a: Problem, b: Problem) => a.path < b.path ? -1 : 1)
  expect(problems).toEqual([
    { path: 'above', code: 'UNREADABLE', message: 'it cannot be read: EACCES' },
    { path: 'edge', code: 'CHANGED_DURING_READ', message: 'it changed while it was being read' },
    { path: 'large', code: 'CHANGED_DURING_READ', message: 'it changed while it was being read' },
    { path: 'small', code: 'VANISHED', message: 'it disappeared while the sync was running' },
  ])
  expectSame(store, tree, 2)
  expect(source.openFiles).toBe(0)
})

test('the last progress report has everything that was asked for', async () => {
  const tree = memoryTree(TREE, hashBytes)
  const reports: TransferProgress[] = []
  await sync({ tree, source: sourceOf(tree), store: new MemoryStore(), client: { onProgress: report => reports.push(report) } })
  expect(reports.at(-1)).toMatchObject({ files: 6, bytes: tree.bytes, filesWanted: 6, bytesWanted: tree.bytes, isTotalKnown: true })
})

test('both sides stop when they are aborted, and leave nothing open', async () => {
  for (const side of ['client', 'server'] as const) {
    const tree = memoryTree(TREE, hashBytes)
    const source = sourceOf(tree)
    const stopping = new AbortController()
    const why = new FileSyncError('SERVER_STOPPING', 'The server stops.')
    const { client, server } = await sync({
      tree, source, store: new MemoryStore(),
      client: side === 'client' ? { signal: stopping.signal, onProgress: () => { stopping.abort(why) } } : {},
      server: side === 'server' ? { signal: stopping.signal, onProgress: () => { stopping.abort(why) } } : {},
    })
    expect(client).toMatchObject({ code: 'SERVER_STOPPING' })
    expect(server).toMatchObject({ code: 'SERVER_STOPPING' })
    expect(source.openFiles).toBe(0)
  }
})

test('a failing source ends the session on both sides', async () => {
  const tree = memoryTree(TREE, hashBytes)
  const source = sourceOf(tree)
  await source.close()
  const { client, server } = await sync({ tree, source, store: new MemoryStore() })
  expect(client).toMatchObject({ code: 'ABORTED' })
  expect(server).toMatchObject({ code: 'PEER_GONE' })
})

test('a failing staging area ends the session on both sides', async () => {
  const tree = memoryTree(TREE, hashBytes)
  const full = new FileSyncError('ARCHIVE_FULL', 'The archive has no room.')
  const fail = async (): Promise<never> => { throw full }
  const failing = { stagePack: fail, compareDigests: fail, beginFile: fail }
  const { client, server } = await sync({ tree, source: sourceOf(tree), store: new MemoryStore(), server: { staging: failing } })
  expect(client).toMatchObject({ code: 'ARCHIVE_FULL' })
  expect(server).toMatchObject({ code: 'ARCHIVE_FULL' })
})

/** Zeros with some data: at the start, after a short run of zeros, in the middle, and before the end. */
function sparseBytes (): Uint8Array {
  const bytes = new Uint8Array(8_000_000)
  for (const at of [0, 40_000, 3_000_003, 6_000_000]) bytes.set(randomBytes(5_000, at + 1), at)
  return bytes
}

test('the holes of a file cost almost nothing on the wire, and are zeros at the other end', async () => {
  const tree = memoryTree({ ...TREE, sparse: sparseBytes(), zeros: new Uint8Array(3_000_001) }, hashBytes)
  const store = new MemoryStore()
  const { client, server, serverConnection } = await sync({
    tree, source: sourceOf(tree), store, client: { holes: true }, server: { holes: true },
  })
  expect(client).toMatchObject({ result: 'OK' })
  expect(server).toMatchObject({ files: 8, bytes: tree.bytes, problemCount: 0 })
  expectSame(store, tree, 8)
  const others = memoryTree(TREE, hashBytes).bytes
  expect(serverConnection.bytesReceived - others).toBeLessThan(100_000)
})

test('holes are sent as zeros unless both ends support them', async () => {
  const tree = memoryTree({ sparse: sparseBytes() }, hashBytes)
  const store = new MemoryStore()
  const { client, serverConnection } = await sync({ tree, source: sourceOf(tree), store, client: { holes: false } })
  expect(client).toMatchObject({ result: 'OK' })
  expect(serverConnection.bytesReceived).toBeGreaterThan(8_000_000)
  const unagreed = await sync({ tree, source: sourceOf(tree), store: new MemoryStore(), client: { holes: true } })
  expect(unagreed.server).toMatchObject({ code: 'MESSAGE_UNEXPECTED' })
})

test('a SPARSE task sends the file from its offset, or reports that it takes too much space', async () => {
  const tree = memoryTree({ sparse: sparseBytes(), solid: randomBytes(300_000, 9) }, hashBytes)
  const store = new MemoryStore()
  const bytes = tree.content('sparse' as RelativePath) as Uint8Array
  store.partial.set('sparse' as RelativePath, bytes.slice(0, 5_000_000))
  const { server, serverConnection } = await sync({
    tree, source: sourceOf(tree), store, client: { holes: true }, server: { holes: true },
    how: ({ path, at }) => [...at, 'SPARSE', path === 'sparse' ? 5_000_000 : 0, 100_000],
  })
  const message = expect.stringContaining('and 100 kB are left') as string
  expect(server).toMatchObject({ files: 1, problems: [{ path: 'solid', code: 'NO_ROOM', message }] })
  expect(Buffer.compare(store.files.get('sparse' as RelativePath) as Uint8Array, bytes)).toBe(0)
  expect(serverConnection.bytesReceived).toBeLessThan(50_000)
})
