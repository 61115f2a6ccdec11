import type { Name, RelativePath } from '@filesync/protocol'
import { expect, test } from 'vitest'
import type { WantedFile } from '../src/index.ts'
import { fromColumns, toColumns } from '../src/node/wanted-columns.ts'

test('wanted files pass between threads unchanged, except for the mode', () => {
  const files = ['', 'photos', '', 'photos/2024'].map((directory, i): WantedFile => ({
    task: 7_000_000 + i,
    directory: directory as RelativePath,
    entry: {
      kind: 'file', name: `name ${String(i)}` as Name, sizeBytes: 2 ** 40 + i, mtimeNs: BigInt(i) - 1n, mode: 0o644,
      fileId: 2n ** 64n - 1n - BigInt(i),
    },
  }))
  const received = fromColumns(structuredClone(toColumns(files)))
  expect(received).toEqual(files.map(file => ({ ...file, entry: { ...file.entry, mode: 0 } })))
  expect(toColumns(files).directories).toEqual(['', 'photos', 'photos/2024'])
  expect(fromColumns(toColumns([]))).toEqual([])
})
