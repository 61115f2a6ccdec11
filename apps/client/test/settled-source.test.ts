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
  for (const name of ['at-rest', 'written', 'dir/written']) await writeFile(join(folder, name), name)
  stale = []
  source = settledSource({
    source: openFileSource({ root: folder }), isUnsettled: path => path === 'written', growing: undefined, onStale: directory => { stale.push(directory) },
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

test('of several small files only those at rest are read, and the others are named', async () => {
  const files = [await wanted(1, ROOT_PATH, 'at-rest'), await wanted(2, ROOT_PATH, 'written'), await wanted(3, 'dir' as RelativePath, 'written')]
  const read = await source.readPack(files, false)
  expect([read.files, read.bytes]).toEqual([2, 'at-rest'.length + 'dir/written'.length])
  expect(read.faults).toEqual([{ task: 2, code: 'UNSETTLED' }])
})

test('where none is at rest, nothing is read', async () => {
  const read = await source.readPack([await wanted(2, ROOT_PATH, 'written')], false)
  expect([read.frame, read.files, read.bytes]).toEqual([undefined, 0, 0])
  expect(read.faults).toEqual([{ task: 2, code: 'UNSETTLED' }])
})

test('a large file that is being written is answered with the problem, every time it is asked for', async () => {
  const open = async (name: string) => source.openStream({ file: await wanted(1, ROOT_PATH, name), content: 'DATA', offset: 0, pieceBytes: 1 << 20 })
  const held = await open('written')
  expect([await held.next(false), await held.next(false)]).toEqual(Array(2).fill({ kind: 'FAULT', fault: { code: 'UNSETTLED' } }))
  held.close()
  const atRest = await open('at-rest')
  expect((await atRest.next(false)).kind).toBe('FRAME')
  atRest.close()
})

test('directories in which files are not what was listed are noted, and those of files that are held back are not', async () => {
  const inDirectory = await wanted(3, 'dir' as RelativePath, 'written')
  const files = [await wanted(1, ROOT_PATH, 'at-rest'), await wanted(2, ROOT_PATH, 'written'), inDirectory]
  await source.readPack(files, false)
  expect(stale).toEqual([])
  await rm(join(folder, 'at-rest'))
  await utimes(join(folder, 'dir/written'), 1, 1)
  await source.readPack(files, false)
  const stream = source.openStream({ file: inDirectory, content: 'DATA', offset: 0, pieceBytes: 1 << 20 })
  expect(await stream.next(false)).toEqual({ kind: 'FAULT', fault: { code: 'CHANGED_DURING_READ' } })
  expect(stale).toEqual(['', 'dir', 'dir'])
  stream.close()
})
