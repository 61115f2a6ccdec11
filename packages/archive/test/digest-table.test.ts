import type { RelativePath } from '@filesync/protocol'
import { hashBytes } from '@filesync/protocol/node'
import { expect, test } from 'vitest'
import { DigestTable } from '../src/upkeep/digest-table.ts'

test('finds each directory that has a digest, once and in order, and hardly any other', () => {
  const digests = Array.from({ length: 5000 }, (_, i) => hashBytes(Uint8Array.of(i, i >> 8)))
  const table = new DigestTable(digests.length * 2)
  const owners = new Map(digests.map(digest => [digest, [] as string[]]))
  for (let d = 0; d < 100; d++) {
    table.begin(`d${String(d)}` as RelativePath)
    for (let i = 0; i < 100; i++) {
      const digest = digests[(d * 53 + i * 7) % digests.length] ?? hashBytes(new Uint8Array(0))
      table.add(digest, 0)
      owners.get(digest)?.push(`d${String(d)}`)
    }
  }
  for (const [digest, directories] of owners) expect(table.find(digest)).toEqual([...new Set(directories)])
  expect(table.find(hashBytes(new Uint8Array(3)))).toEqual([])
})

test('does not end up searching forever if more is added than it was made for', () => {
  const table = new DigestTable(1)
  table.begin('d' as RelativePath)
  for (let i = 0; i < 100; i++) table.add(hashBytes(Uint8Array.of(i)), 0)
  expect(table.find(hashBytes(Uint8Array.of(0)))).toEqual(['d'])
  expect(table.find(hashBytes(Uint8Array.of(200)))).toEqual([])
})
