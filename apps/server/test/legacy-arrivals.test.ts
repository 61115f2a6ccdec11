import { memoryArchive, MemoryStore } from '@filesync/archive/testing'
import { PROBLEMS_KEPT } from '@filesync/protocol'
import type { RelativePath } from '@filesync/protocol'
import { createHasher, hashBytes } from '@filesync/protocol/node'
import { ManualClock } from '@filesync/protocol/testing'
import { expect, test } from 'vitest'
import { LegacyArrivals } from '../src/legacy/arrivals.ts'

async function * contentOf (text: string): AsyncGenerator<Uint8Array> {
  yield new TextEncoder().encode(text)
}

test('a problem that every commit runs into is counted once, also beyond those that are listed', async () => {
  const clock = new ManualClock()
  const store = new MemoryStore({ hash: hashBytes, clock, traits: { foldsNames: true, windowsNames: false } })
  const area = await memoryArchive({ hash: hashBytes, clock, store }).area('laptop')
  const arrivals = new LegacyArrivals({ area, files: new Map(), hash: hashBytes, createHasher })
  for (let number = 0; number < PROBLEMS_KEPT + 200; number++) {
    for (const path of [`A${number}`, `a${number}`]) {
      await arrivals.receive(path as RelativePath, { sizeBytes: 1, mtimeNs: 1n }, contentOf('x'))
    }
  }
  await arrivals.commit()
  await arrivals.receive('more' as RelativePath, { sizeBytes: 1, mtimeNs: 1n }, contentOf('x'))
  await arrivals.finish()
  const counts = [arrivals.problems.length, arrivals.problemCount, arrivals.stored.files]
  expect(counts).toEqual([PROBLEMS_KEPT, PROBLEMS_KEPT + 200, PROBLEMS_KEPT + 201])
})
