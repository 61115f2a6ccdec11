import { randomBytes } from 'node:crypto'
import { readFileSync, statSync, truncateSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { encodeListing } from '@filesync/protocol'
import type { RelativePath } from '@filesync/protocol'
import { openLmdbIndex } from '../src/node/index.ts'
import { newFolder } from './support/on-disk.ts'

const stored = { listing: encodeListing([]), facts: new Uint8Array(0) }
const putOf = (name: string): Parameters<ReturnType<typeof openLmdbIndex>['write']>[0][number] => ({
  put: { area: 'laptop', directory: name as RelativePath },
  stored,
})

/** The folder of an index that was written some times, and its file. */
async function writtenIndex (): Promise<{ readonly folder: string, readonly file: string, readonly sizeBytes: number }> {
  const folder = newFolder()
  const index = openLmdbIndex(folder)
  for (let round = 0; round < 5; round++) await index.write(Array.from({ length: 200 }, (_, i) => putOf(`${String(round)}/${String(i)}`)))
  await index.close()
  const file = join(folder, 'data.mdb')
  return { folder, file, sizeBytes: statSync(file).size }
}

const damages: [name: string, damage: (file: string, sizeBytes: number) => void][] = [
  ['other bytes', (file, sizeBytes) => { writeFileSync(file, randomBytes(sizeBytes)) }],
  ['few bytes', file => { truncateSync(file, 100) }],
  ['zeros', (file, sizeBytes) => { writeFileSync(file, new Uint8Array(sizeBytes)) }],
  ['its first half', (file, sizeBytes) => { truncateSync(file, Math.floor(sizeBytes / 2)) }],
]

test.each(damages)('an index whose file is %s is refused with advice, and stays unchanged', async (_, damage) => {
  const { folder, file, sizeBytes } = await writtenIndex()
  damage(file, sizeBytes)
  const damaged = readFileSync(file)
  expect(() => openLmdbIndex(folder)).toThrow(expect.objectContaining({
    code: 'ARCHIVE_UNAVAILABLE',
    message: expect.stringContaining('.filesync/index') as unknown,
  }))
  expect(readFileSync(file).equals(damaged)).toBe(true)
})

test('an index that was created but never written is opened', async () => {
  const folder = newFolder()
  writeFileSync(join(folder, 'data.mdb'), '')
  const index = openLmdbIndex(folder)
  await index.write([putOf('first')])
  expect([...index.directories('laptop')]).toHaveLength(1)
  await index.close()
})

/** Sizes in LMDB's file; the last flushed state is described once more in the middle of the first page. */
const PAGE_BYTES = 4096
const META_BYTES = 160
const hasOrdinaryPages = (file: string): boolean => readFileSync(file).readUInt32LE(48) === PAGE_BYTES
/** On Windows every transaction is flushed before it counts. */
const flushesLater = process.platform !== 'win32'

/** The later of the two meta pages. */
function latestMeta (bytes: Buffer): Buffer {
  const [first, second] = [bytes.subarray(0, META_BYTES), bytes.subarray(PAGE_BYTES, PAGE_BYTES + META_BYTES)]
  return first.readBigUInt64LE(152) > second.readBigUInt64LE(152) ? first : second
}

test.runIf(flushesLater)('the flushed state is read of an index whose disk was pulled out without a restart', async context => {
  const folder = newFolder()
  const file = join(folder, 'data.mdb')
  const index = openLmdbIndex(folder)
  context.skip(!hasOrdinaryPages(file), 'the places in the file are those of a system with pages of 4 KiB')
  await index.write(Array.from({ length: 300 }, (_, i) => putOf(`flushed/${String(i)}`)))
  const flushed = readFileSync(file)
  await index.write([
    { drop: { area: 'laptop', directory: 'flushed' as RelativePath }, recursive: true },
    ...Array.from({ length: 900 }, (_, i) => putOf(`lost/${String(i)}`)),
  ])
  const after = readFileSync(file)
  await index.close()
  // The meta page of the second transaction reached the disk, but nothing that it points to.
  const pulled = Buffer.concat([flushed, Buffer.alloc(after.length - flushed.length)])
  const at = after.indexOf(latestMeta(after))
  latestMeta(after).copy(pulled, at)
  writeFileSync(file, pulled)

  const again = openLmdbIndex(folder)
  expect([...again.directories('laptop')]).toHaveLength(300)
  await again.write([putOf('flushed/later')])
  expect([...again.directories('laptop')].map(({ directory }) => directory)).toContain('flushed/later')
  await again.close()
})

test.runIf(flushesLater)('an index that was never flushed is created again', async context => {
  const { folder, file } = await writtenIndex()
  context.skip(!hasOrdinaryPages(file), 'the places in the file are those of a system with pages of 4 KiB')
  const bytes = readFileSync(file)
  bytes.fill(0, PAGE_BYTES / 2, PAGE_BYTES / 2 + META_BYTES)
  writeFileSync(file, bytes)
  const index = openLmdbIndex(folder)
  expect(index.areas()).toEqual([])
  await index.write([putOf('first')])
  expect([...index.directories('laptop')]).toHaveLength(1)
  await index.close()
})

test('an index with damaged pages fails with advice when it is read', async context => {
  const { folder, file } = await writtenIndex()
  context.skip(!hasOrdinaryPages(file), 'the places in the file are those of a system with pages of 4 KiB')
  const bytes = readFileSync(file)
  // The page that names the tables stays, so that the index opens.
  const tables = Number(latestMeta(bytes).readBigUInt64LE(136))
  bytes.fill(0, 2 * PAGE_BYTES, tables * PAGE_BYTES).fill(0, (tables + 1) * PAGE_BYTES)
  writeFileSync(file, bytes)
  const index = openLmdbIndex(folder)
  const told = expect.objectContaining({
    code: 'ARCHIVE_UNAVAILABLE',
    message: expect.stringContaining('.filesync/index') as unknown,
  }) as Error
  expect(() => [...index.directories('laptop')]).toThrow(told)
  expect(() => index.directory({ area: 'laptop', directory: '1/1' as RelativePath })).toThrow(told)
  await expect(index.write([putOf('later')])).rejects.toThrow(told)
  await index.close()
})
