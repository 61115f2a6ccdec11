import { randomBytes } from 'node:crypto'
import { readFileSync, statSync, truncateSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { encodeListing } from '@filesync/protocol'
import type { RelativePath } from '@filesync/protocol'
import { openLmdbIndex } from '../src/node/index.ts'
import { newFolder } from './on-disk.ts'

const stored = { listing: encodeListing([]), facts: new Uint8Array(0) }
const putOf = (name: string): Parameters<ReturnType<typeof openLmdbIndex>['write']>[0][number] => ({ put: { area: 'laptop', directory: name as RelativePath }, stored })

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

test.each(damages)('an index of which the file is %s is refused with what to do, and stays as it is', async (_, damage) => {
  const { folder, file, sizeBytes } = await writtenIndex()
  damage(file, sizeBytes)
  const damaged = readFileSync(file)
  expect(() => openLmdbIndex(folder)).toThrow(expect.objectContaining({ code: 'ARCHIVE_UNAVAILABLE', message: expect.stringContaining('.filesync/index') as unknown }))
  expect(readFileSync(file).equals(damaged)).toBe(true)
})

test('an index that was made and not yet written is opened', async () => {
  const folder = newFolder()
  writeFileSync(join(folder, 'data.mdb'), '')
  const index = openLmdbIndex(folder)
  await index.write([putOf('first')])
  expect([...index.directories('laptop')]).toHaveLength(1)
  await index.close()
})
