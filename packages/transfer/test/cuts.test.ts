import { createHasher, hashBytes } from '@filesync/protocol/node'
import { memoryStreamPair, memoryTree, randomBytes, seededRandom } from '@filesync/protocol/testing'
import { expect, test } from 'vitest'
import { MemorySource, MemoryStore } from '../src/testing/index.ts'
import { signatureOf, sync } from './support/session.ts'
import type { WantedEntry } from './support/session.ts'
import type { RelativePath, Task } from '@filesync/protocol'

const LARGE = 400_000
const OLD = randomBytes(LARGE, 21)
const CHANGED = new Uint8Array(Buffer.concat([randomBytes(5_000, 22), OLD.subarray(0, 300_000), randomBytes(50_000, 23)]))
const TREE = memoryTree({
  empty: '', note: 'a note', deep: { photo: randomBytes(20_000, 24), letter: 'dear all' },
  large: randomBytes(LARGE, 25), changed: CHANGED,
}, hashBytes)

function askFor (file: WantedEntry, store: MemoryStore): Task | undefined {
  const present = store.files.get(file.path)
  const offset = store.partial.get(file.path)?.length ?? 0
  if (present !== undefined && (file.path !== 'changed' || Buffer.compare(present, CHANGED) === 0)) return undefined
  if (offset > 0) return [...file.at, 'RESUME', offset]
  return present === undefined ? file.at : [...file.at, 'DELTA', signatureOf(present).length]
}

/** Breaks the connection after a number of bytes, checks what remains, and runs a second sync. */
async function cut (cutAfterBytes: readonly [number | undefined, number | undefined], chunkBytes: number): Promise<void> {
  const store = new MemoryStore()
  store.files.set('changed' as RelativePath, OLD)
  const source = new MemorySource({ content: path => TREE.content(path), hashBytes, createHasher })
  const where = `cut after ${cutAfterBytes.join('/')} bytes in chunks of ${String(chunkBytes)}`
  const first = await sync({ tree: TREE, source, store, how: askFor, streams: memoryStreamPair({ cutAfterBytes, chunkBytes }) })
  expect(source.openFiles, where).toBe(0)
  if (first.client instanceof Error) expect(first.client, where).toMatchObject({ code: 'PEER_GONE' })
  for (const [path, bytes] of store.files) {
    const isOld = path === 'changed' && Buffer.compare(bytes, OLD) === 0
    if (!isOld) expect(Buffer.compare(bytes, TREE.content(path) as Uint8Array), `${where}: ${path}`).toBe(0)
  }
  for (const [path, bytes] of store.partial) {
    expect(Buffer.compare(bytes, (TREE.content(path) as Uint8Array).subarray(0, bytes.length)), `${where}: part of ${path}`).toBe(0)
  }
  const second = await sync({ tree: TREE, source, store, how: askFor })
  expect(second.server, where).toMatchObject({ problemCount: 0 })
  expect(store.files.size, where).toBe(6)
  for (const [path, bytes] of store.files) expect(Buffer.compare(bytes, TREE.content(path) as Uint8Array), `${where}: ${path}`).toBe(0)
}

test('a connection that breaks at any byte leaves only whole files, and the next sync completes', async () => {
  const seed = Number(process.env['FUZZ_SEED'] ?? Date.now() % 2 ** 31)
  const random = seededRandom(seed).below
  console.info(`FUZZ_SEED=${String(seed)}`)
  const cases = Number(process.env['FUZZ_CASES'] ?? 60)
  for (let i = 0; i < cases; i++) {
    const chunkBytes = [1 << 20, 65_536, 997][random(3)] as number
    await cut([random(560_000), undefined], chunkBytes)
    if (i % 4 === 0) await cut([undefined, random(1_200)], chunkBytes)
  }
}, 60_000)

test('a connection that breaks at each of the first bytes, in either direction, leaves only whole files', async () => {
  for (let at = 0; at < 48; at++) {
    await cut([at, undefined], 1)
    await cut([undefined, at], 1)
  }
}, 60_000)
