import type { RelativePath } from '@filesync/protocol'
import { createHasher, hashBytes } from '@filesync/protocol/node'
import { describe, test } from 'vitest'
import { MemoryStaging, MemoryStore, stagingConformance } from '../src/testing/index.ts'
import type { StagingSubject } from '../src/testing/index.ts'

function memorySubject (): StagingSubject {
  const store = new MemoryStore()
  const pathOf = (task: number): RelativePath => `file-${String(task)}` as RelativePath
  let area: MemoryStaging | undefined
  return {
    hashBytes,
    begin: async files => {
      files.forEach(({ present }, task) => { if (present !== undefined) store.files.set(pathOf(task), present) })
      area = new MemoryStaging({ store, pathOf, hashBytes, createHasher })
      return area
    },
    stored: async task => {
      area?.commit()
      return store.files.get(pathOf(task))
    },
  }
}

describe('the staging area in memory', () => {
  test.each(stagingConformance)('$name', async conformance => { await conformance.run(memorySubject()) })
})
