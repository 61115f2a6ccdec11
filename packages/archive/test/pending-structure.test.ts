import type { RelativePath } from '@filesync/protocol'
import { describe, expect, it } from 'vitest'
import { PendingStructure } from '../src/pending-structure.ts'
import type { Section } from '../src/section.ts'

const sectionIn = (directory: string): Section => (
  { directory: directory as RelativePath, entries: Uint8Array.of(0x90), staged: new Uint32Array(0), facts: new Uint8Array(0) }
)
const directoriesOf = (sections: readonly Section[]): string[] => sections.map(({ directory }) => directory)

describe('PendingStructure', () => {
  it('gives what makes the directories of a batch, from the top, and each section once', () => {
    const structure = new PendingStructure(['', 'b', 'b/c', 'a'].map(sectionIn))
    expect(directoriesOf(structure.takeFor([sectionIn('b/c/d'), sectionIn('b')]))).toEqual(['', 'b', 'b/c'])
    expect(directoriesOf(structure.takeFor([sectionIn('b/c/d'), sectionIn('b/x')]))).toEqual([])
    expect(directoriesOf(structure.takeAll())).toEqual(['a'])
    expect(structure.takeAll()).toEqual([])
  })

  it('needs nothing for files of the root, and of directories that stand already', () => {
    const structure = new PendingStructure(['', 'a'].map(sectionIn))
    expect(structure.takeFor([sectionIn('')])).toEqual([])
    expect(structure.takeFor([sectionIn('old/one')])).toEqual([])
    expect(directoriesOf(structure.takeAll())).toEqual(['', 'a'])
  })
})
