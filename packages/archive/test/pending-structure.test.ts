import { encodeListing } from '@filesync/protocol'
import type { Name, RelativePath } from '@filesync/protocol'
import { describe, expect, it } from 'vitest'
import { ComparedDirectories } from '../src/compare/compared-directories.ts'
import { PendingStructure } from '../src/commit/pending-structure.ts'
import { ROLES } from '../src/compare/roles.ts'
import type { Section } from '../src/store/section.ts'

const LINK = encodeListing([{ kind: 'symlink', name: 'link' as Name, mtimeNs: 1n, target: 'x' }])
const ALL = 1000

/** Directories with a link in each, except for those that end with `!`. */
function structureOf (paths: readonly string[]): PendingStructure {
  const directories = new ComparedDirectories()
  for (const [number, path] of paths.entries()) {
    directories.add({
      number,
      directory: path.replace('!', '') as RelativePath,
      isNew: true,
      listing: LINK,
      roles: Uint8Array.of(path.endsWith('!') ? 0 : ROLES.structure),
    })
  }
  return new PendingStructure(directories)
}

const sectionIn = (directory: string): Section => (
  { directory: directory as RelativePath, entries: Uint8Array.of(0x90), staged: new Uint32Array(0), facts: new Uint8Array(0) }
)
const directoriesOf = (sections: readonly Section[]): string[] => sections.map(({ directory }) => directory)

describe('PendingStructure', () => {
  it('returns the sections that make the directories of a batch, from the top, each once', () => {
    const structure = structureOf(['', 'b', 'b/c', 'a'])
    expect(directoriesOf(structure.takeFor([sectionIn('b/c/d'), sectionIn('b')], ALL))).toEqual(['', 'b', 'b/c'])
    expect(directoriesOf(structure.takeFor([sectionIn('b/c/d'), sectionIn('b/x')], ALL))).toEqual([])
    expect(directoriesOf(structure.take(ALL))).toEqual(['a'])
    expect(structure.take(ALL)).toEqual([])
  })

  it('returns nothing for files of the root and of existing directories', () => {
    const structure = structureOf(['', 'a'])
    expect(structure.takeFor([sectionIn('')], ALL)).toEqual([])
    expect(structure.takeFor([sectionIn('old/one')], ALL)).toEqual([])
    expect(directoriesOf(structure.take(ALL))).toEqual(['', 'a'])
  })

  it('returns no more than requested, and the rest the next time', () => {
    const structure = structureOf(['', 'a', 'a/b!', 'a/b/c', 'd!'])
    expect(directoriesOf(structure.takeFor([sectionIn('a/b/c/d')], 2))).toEqual(['', 'a'])
    expect(structure.isLeft).toBe(true)
    expect(directoriesOf(structure.takeFor([sectionIn('a/b/c/d')], 2))).toEqual(['a/b/c'])
    expect(structure.isLeft).toBe(false)
    expect(structure.take(2)).toEqual([])
  })
})
