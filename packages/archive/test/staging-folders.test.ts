import { ROOT_PATH } from '@filesync/protocol'
import type { RelativePath } from '@filesync/protocol'
import { expect, it } from 'vitest'
import { ComparedDirectory } from '../src/compare/compared-directory.ts'
import type { ComparedInit } from '../src/compare/compared-directory.ts'
import type { Section } from '../src/store/section.ts'
import { StagingFolders } from '../src/commit/staging-folders.ts'

function compared (directory: string, files: number, more: Partial<ComparedInit> = {}): ComparedDirectory {
  return new ComparedDirectory({
    number: 0, directory: directory as RelativePath, isNew: true, listing: { bytes: new Uint8Array(), start: 0, end: 0 },
    wanted: Array.from({ length: files }, (_, i) => i), ...more,
  })
}

function section (folder: number, files: number): Section {
  return { directory: 'any' as RelativePath, entries: new Uint8Array(), staged: new Uint32Array(files), facts: new Uint8Array(), folder }
}

it('assigns a folder to new directories with several files', () => {
  const moved = compared('moved', 3)
  const folders = new StagingFolders([
    compared('new', 3),
    compared('known', 3, { isNew: false }),
    compared(ROOT_PATH, 3),
    compared('nested', 3, { structure: [0] }),
    compared('single', 1),
    compared('huge', 5000),
    moved,
  ], new Set([moved]))
  expect([0, 1, 2, 3, 4, 5, 6].map(number => folders.has(number))).toEqual([true, false, false, true, false, false, false])
})

it('never treats a folder as whole if its directory has other entries', () => {
  const folders = new StagingFolders([compared('nested', 2, { structure: [0] })], new Set())
  folders.endFiles(0, 2, 2)
  expect(folders.wholeIn([section(0, 2)])).toEqual([])
})

it('treats a folder as whole if everything arrived and is in the batch', () => {
  const folders = new StagingFolders([compared('a', 3)], new Set())
  folders.endFiles(0, 2, 2)
  expect(folders.isAwaited(section(0, 2))).toBe(true)
  expect(folders.wholeIn([section(0, 2)])).toEqual([])
  folders.endFiles(0, 1, 1)
  expect(folders.isAwaited(section(0, 2))).toBe(false)
  expect(folders.wholeIn([section(0, 2)])).toEqual([])
  expect(folders.wholeIn([section(0, 2), section(0, 1)])).toEqual([0])
})

it('counts a large file, which is staged outside the folder, as arrived', () => {
  const folders = new StagingFolders([compared('a', 3)], new Set())
  folders.endFiles(0, 2, 2)
  folders.endFiles(0, 1, 0)
  expect(folders.wholeIn([section(0, 2)])).toEqual([0])
})

it('never treats a folder as whole if it may contain a broken file', () => {
  const folders = new StagingFolders([compared('a', 2)], new Set())
  folders.markIncomplete(0)
  folders.endFiles(0, 2, 2)
  expect(folders.isAwaited(section(0, 2))).toBe(false)
  expect(folders.wholeIn([section(0, 2)])).toEqual([])
})
