import { encodeListing, ROOT_PATH } from '@filesync/protocol'
import type { Entry, Name, RelativePath } from '@filesync/protocol'
import { expect, it } from 'vitest'
import { ComparedDirectories } from '../src/compare/compared-directories.ts'
import type { ComparedInit } from '../src/compare/compared-directories.ts'
import type { Section } from '../src/store/section.ts'
import { StagingFolders } from '../src/commit/staging-folders.ts'

const LINK: Entry = { kind: 'symlink', name: 'a' as Name, mtimeNs: 5n, target: 'x' }

function compared (directory: string, files: number, { isNew = true, isNested = false } = {}): ComparedInit {
  const entries = Array.from({ length: files }, (_, i): Entry => (
    { kind: 'file', name: `f${String(i).padStart(5, '0')}` as Name, sizeBytes: 3, mode: 0o644, mtimeNs: 5n, fileId: 1n }
  ))
  return { number: 0, directory: directory as RelativePath, isNew, listing: encodeListing([...isNested ? [LINK] : [], ...entries]) }
}

function foldersOf (directories: readonly ComparedInit[], others: ReadonlySet<number> = new Set()): StagingFolders {
  const all = new ComparedDirectories()
  for (const directory of directories) all.add(directory)
  return new StagingFolders(all, others)
}

function section (folder: number, files: number): Section {
  return { directory: 'any' as RelativePath, entries: new Uint8Array(), staged: new Uint32Array(files), facts: new Uint8Array(), folder }
}

it('assigns a folder to new directories with several files', () => {
  const folders = foldersOf([
    compared('new', 3),
    compared('known', 3, { isNew: false }),
    compared(ROOT_PATH, 3),
    compared('nested', 3, { isNested: true }),
    compared('single', 1),
    compared('huge', 5000),
    compared('moved', 3),
  ], new Set([6]))
  expect([0, 1, 2, 3, 4, 5, 6].map(number => folders.has(number))).toEqual([true, false, false, true, false, false, false])
})

it('never treats a folder as whole if its directory has other entries', () => {
  const folders = foldersOf([compared('nested', 2, { isNested: true })])
  folders.endFiles(0, 2, 2)
  expect(folders.wholeIn([section(0, 2)])).toEqual([])
})

it('treats a folder as whole if everything arrived and is in the batch', () => {
  const folders = foldersOf([compared('a', 3)])
  folders.endFiles(0, 2, 2)
  expect(folders.isAwaited(section(0, 2))).toBe(true)
  expect(folders.wholeIn([section(0, 2)])).toEqual([])
  folders.endFiles(0, 1, 1)
  expect(folders.isAwaited(section(0, 2))).toBe(false)
  expect(folders.wholeIn([section(0, 2)])).toEqual([])
  expect(folders.wholeIn([section(0, 2), section(0, 1)])).toEqual([0])
})

it('counts a large file, which is staged outside the folder, as arrived', () => {
  const folders = foldersOf([compared('a', 3)])
  folders.endFiles(0, 2, 2)
  folders.endFiles(0, 1, 0)
  expect(folders.wholeIn([section(0, 2)])).toEqual([0])
})

it('never treats a folder as whole if it may contain a broken file', () => {
  const folders = foldersOf([compared('a', 2)])
  folders.markIncomplete(0)
  folders.endFiles(0, 2, 2)
  expect(folders.isAwaited(section(0, 2))).toBe(false)
  expect(folders.wholeIn([section(0, 2)])).toEqual([])
})
