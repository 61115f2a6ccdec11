import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, test } from 'vitest'
import { hashBytes } from '@filesync/protocol/node'
import { ManualClock } from '@filesync/protocol/testing'
import { openLocalStore } from '../src/node/index.ts'
import { contentStoreConformance, MemoryStore } from '../src/testing/index.ts'
import { newFolder } from './support/on-disk.ts'

describe('the store in a folder', () => {
  test.each(contentStoreConformance)('$name', async conformance => {
    const restoreTo = newFolder()
    const store = await openLocalStore({ root: newFolder(), traits: { foldsNames: false, windowsNames: false }, threads: 1 })
    try {
      const restoredText = (path: string): string | undefined => (
        existsSync(join(restoreTo, path)) ? readFileSync(join(restoreTo, path), 'utf8') : undefined
      )
      await conformance.run({ store, hash: hashBytes, restoreTo, restoredText })
    } finally {
      await store.close()
    }
  })
})

describe('the store in memory', () => {
  test.each(contentStoreConformance)('$name', async conformance => {
    const store = new MemoryStore({ hash: hashBytes, clock: new ManualClock() })
    const restoredText = (path: string): string | undefined => {
      const node = store.restored.get('/elsewhere')?.at(path)
      return node?.kind === 'file' ? new TextDecoder().decode(node.content) : undefined
    }
    await conformance.run({ store, hash: hashBytes, restoreTo: '/elsewhere', restoredText })
  })
})
