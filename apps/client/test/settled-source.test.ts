import { mkdir, mkdtemp, rm, stat, utimes, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { ROOT_PATH } from '@filesync/protocol'
import type { Name, RelativePath } from '@filesync/protocol'
import { openFileSource } from '@filesync/transfer/node'
import type { FileSource, WantedFile } from '@filesync/transfer'
import { settledSource } from '../src/push/settled-source.ts'

let folder: string
let source: FileSource
let stale: string[]
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'filesync-settled-'))
  await mkdir(join(folder, 'dir'))
  for (const name of ['settled', 'written', 'dir/written']) await writeFile(join(folder, name), name)
  stale = []
  source = settledSource({
    source: openFileSource({ root: folder }), isUnsettled: path => path === 'written', growing: undefined,
    onStale: directory => { stale.push(directory) },
  })
})
afterEach(async () => {
  await source.close()
  await rm(folder, { recursive: true })
})

async function wanted (task: number, directory: RelativePath, name: string): Promise<WantedFile> {
  const { size, mtimeNs, mode } = await stat(join(folder, directory, name), { bigint: true })
  const entry = { kind: 'file', name: name as Name, sizeBytes: Number(size), mtimeNs, mode: Number(mode) & 0o7777, fileId: 0n } as const
  return { task, directory, entry }
}

test('reads only the settled files of a pack, and reports the others', async () => {
  const files = [
    await wanted(1, ROOT_PATH, 'settled'), await wanted(2, ROOT_PATH, 'written'), await wanted(3, 'dir' as RelativePath, 'written'),
  ]
  const read = await source.readPack(files, false)
  expect([read.files, read.bytes]).toEqual([2, 'settled'.length + 'dir/written'.length])
  expect(read.faults).toEqual([{ task: 2, code: 'UNSETTLED' }])
})

test('reads nothing if no file is settled', async () => {
  const read = await source.readPack([await wanted(2, ROOT_PATH, 'written')], false)
  expect([read.frame, read.files, read.bytes]).toEqual([undefined, 0, 0])
  expect(read.faults).toEqual([{ task: 2, code: 'UNSETTLED' }])
})

test('answers for an unsettled large file with the problem each time', async () => {
  const open = async (name: string) => source.openStream({
    file: await wanted(1, ROOT_PATH, name), content: 'DATA', offset: 0, pieceBytes: 1 << 20,
  })
  const held = await open('written')
  expect([await held.next(false), await held.next(false)]).toEqual(Array(2).fill({ kind: 'FAULT', fault: { code: 'UNSETTLED' } }))
  held.close()
  const settled = await open('settled')
  expect((await settled.next(false)).kind).toBe('FRAME')
  settled.close()
})

test('reports directories in which files have changed, but not those of unsettled files', async () => {
  const inDirectory = await wanted(3, 'dir' as RelativePath, 'written')
  const files = [await wanted(1, ROOT_PATH, 'settled'), await wanted(2, ROOT_PATH, 'written'), inDirectory]
  await source.readPack(files, false)
  expect(stale).toEqual([])
  await rm(join(folder, 'settled'))
  await utimes(join(folder, 'dir/written'), 1, 1)
  await source.readPack(files, false)
  const stream = source.openStream({ file: inDirectory, content: 'DATA', offset: 0, pieceBytes: 1 << 20 })
  expect(await stream.next(false)).toEqual({ kind: 'FAULT', fault: { code: 'CHANGED_DURING_READ' } })
  expect(stale).toEqual(['', 'dir', 'dir'])
  stream.close()
})
