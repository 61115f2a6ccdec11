import { statSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { encodeListing } from '@filesync/protocol'
import type { FileEntry, Name, RelativePath } from '@filesync/protocol'
import { archiveIndexConformance, MemoryIndex } from '../src/testing/index.ts'
import { FACT_BYTES } from '../src/store/facts.ts'
import { openLmdbIndex } from '../src/node/index.ts'
import { newFolder } from './support/on-disk.ts'

for (const [name, open] of [['memory', () => new MemoryIndex()], ['lmdb', () => openLmdbIndex(newFolder())]] as const) {
  for (const conformance of archiveIndexConformance) {
    test(`${name}: ${conformance.name}`, async () => {
      const index = open()
      await conformance.run(index)
      await index.close()
    })
  }
}

test('takes under 200 bytes a file for a million files, and opens in under a second', { timeout: 60_000 }, async () => {
  const folder = newFolder()
  const index = openLmdbIndex(folder)
  const [directories, files] = [8000, 125]
  for (let d = 0; d < directories; d += 500) {
    await index.write(Array.from({ length: 500 }, (_, i) => {
      const entries = Array.from({ length: files }, (_, f): FileEntry => (
        {
          kind: 'file',
          name: `some-file-name-${String(1000 + f)}.dat` as Name,
          sizeBytes: 100_000 + f,
          mtimeNs: 1_700_000_000_123_456_789n + BigInt(f),
          mode: 0o644,
          fileId: 2n ** 33n + BigInt(f),
        }
      ))
      const directory = `directory/${String(Math.floor((d + i) / 100))}/${String(d + i)}` as RelativePath
      return {
        put: { area: 'laptop', directory },
        stored: { listing: encodeListing(entries), facts: new Uint8Array(files * FACT_BYTES).fill(d + i) },
      }
    }))
  }
  await index.close()
  expect(statSync(join(folder, 'data.mdb')).size / (directories * files)).toBeLessThan(200)
  const startMs = performance.now()
  const again = openLmdbIndex(folder)
  let total = 0
  for (const { files } of again.directories('laptop')) total += files
  expect(total).toBe(directories * files)
  expect(performance.now() - startMs).toBeLessThan(1000)
  await again.close()
})

test('drops a directory with more entries below it than a function can take as arguments', { timeout: 60_000 }, async () => {
  const index = openLmdbIndex(newFolder())
  const stored = { listing: encodeListing([]), facts: new Uint8Array(0) }
  const crowd = Array.from({ length: 200_000 }, (_, i) => ({
    put: { area: 'laptop', directory: `gone/${String(i)}` as RelativePath },
    stored,
  }))
  await index.write([...crowd, { put: { area: 'laptop', directory: 'kept' as RelativePath }, stored }])
  await index.write([{ drop: { area: 'laptop', directory: 'gone' as RelativePath }, recursive: true }])
  expect([...index.directories('laptop')].map(({ directory }) => directory)).toEqual(['kept'])
  await index.close()
})
