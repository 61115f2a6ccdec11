import { createHasher, hashBytes } from '@filesync/protocol/node'
import { memoryTree } from '@filesync/protocol/testing'
import { expect, test } from 'vitest'
import { MemorySource, MemoryStore } from '../src/testing/index.ts'
import { randomBytes, sync } from './session.ts'

test('every file of a tree arrives with its bytes', async () => {
  const tree = memoryTree({
    empty: '', small: 'hello', deep: { er: { file: 'x'.repeat(1000) } },
    edge: randomBytes(262_144, 1), above: randomBytes(262_145, 2), large: randomBytes(5_000_000, 3),
  }, hashBytes)
  const store = new MemoryStore()
  const source = new MemorySource({ content: tree.content, hashBytes, createHasher })
  const { client, server } = await sync({ tree, source, store })
  expect(client).toMatchObject({ type: 'NEXT_SYNC', result: 'OK' })
  expect(server).toMatchObject({ files: 6, bytes: tree.bytes, problemCount: 0 })
  expect(store.files.size).toBe(6)
  for (const [path, bytes] of store.files) expect(Buffer.compare(bytes, tree.content(path) as Uint8Array)).toBe(0)
  expect(source.openFiles).toBe(0)
})
