import type { RelativePath } from '@filesync/protocol'
import { hashBytes, systemClock } from '@filesync/protocol/node'
import { expect, test } from 'vitest'
import { MemoryIndex, MemoryStore } from '../src/testing/index.ts'
import { UnsignedFiles } from '../src/commit/unsigned-files.ts'

/** Records where files are looked up. */
class AskedIndex extends MemoryIndex {
  readonly asked: string[] = []

  override page (...[key, name]: Parameters<MemoryIndex['page']>): ReturnType<MemoryIndex['page']> {
    this.asked.push(key.directory)
    return super.page(key, name)
  }
}

async function sign (
  files: UnsignedFiles, index: AskedIndex,
  { fromBytes, isDue = () => true }: { readonly fromBytes: number, readonly isDue?: () => boolean },
): Promise<void> {
  const store = new MemoryStore({ hash: hashBytes, clock: systemClock })
  // Nothing is stored, so nothing can be signed.
  expect(await files.sign({ area: 'laptop', index, store }, async () => new Uint8Array(1), { fromBytes, isDue })).toBe(0)
}

test('a thousand smaller files do not crowd out a large one', async () => {
  const files = new UnsignedFiles()
  files.add('early/disk.img' as RelativePath, 5_000_000)
  for (let i = 0; i < 1500; i++) files.add(`photos/${String(i)}` as RelativePath, 1_000_000 + i)
  files.add('late/disk.img' as RelativePath, 5_000_000)
  const index = new AskedIndex()
  await sign(files, index, { fromBytes: 5_000_000 })
  expect(new Set(index.asked)).toEqual(new Set(['early', 'late']))
})

test('files that were left out do not keep out later ones after an interrupted signing made room', async () => {
  const files = new UnsignedFiles()
  for (let i = 0; i < 1500; i++) files.add(`films/${String(i)}` as RelativePath, 5_000_000)
  files.add('films/longest' as RelativePath, 6_000_000)
  let calls = 0
  await sign(files, new AskedIndex(), { fromBytes: 5_000_000, isDue: () => calls++ < 10 })
  files.add('late/disk.img' as RelativePath, 4_000_000)
  const index = new AskedIndex()
  await sign(files, index, { fromBytes: 4_000_000 })
  expect(new Set(index.asked)).toEqual(new Set(['films', 'late']))
})
