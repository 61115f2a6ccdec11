import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import { expect, test } from 'vitest'
import type { Digest, DirectoryEntry, Name, RelativePath } from '../src/index.ts'
import { hashBytes } from '../src/node/index.ts'
import { WaitingListings } from '../src/listing/waiting-listings.ts'
import type { WaitingListing } from '../src/listing/waiting-listings.ts'
import { seededRandom } from '../src/testing/index.ts'

setFlagsFromString('--expose-gc')
const collectGarbage = runInNewContext('gc') as () => void
const SEED = Number(process.env.SEED ?? Date.now() % 100_000)

function directory (name: string, digest: Digest): DirectoryEntry {
  return { kind: 'directory', name: name as Name, mtimeNs: 1n, mode: 0o755, digest }
}

function digestOf (number: number): Digest {
  return new Uint8Array(hashBytes(new TextEncoder().encode(String(number)))) as Digest
}

test(`what waits is taken from the end, as it was added (seed ${String(SEED)})`, () => {
  const random = seededRandom(SEED)
  const waiting = new WaitingListings()
  const model: WaitingListing[] = []
  for (let step = 0; step < 2000; step++) {
    if (random() < 0.4) {
      const most = 1 + random.below(40)
      expect(waiting.take(most)).toEqual(model.splice(-most))
    } else if (random() < 0.2) {
      const page = { reference: [step, 1] as const, directory: 'pages' as RelativePath, digest: digestOf(step) }
      waiting.add(page)
      model.push(page)
    } else {
      const parent = { number: random.below(5), directory: random.pick(['', 'a', 'a/\u00e9t\u00e9']) as RelativePath }
      for (let index = 0; index < random.below(30); index++) {
        const name = random.pick(['x', '\ufeffnamed', 'n'.repeat(255), '\u{1f600}']) as Name
        const digest = digestOf(step + index)
        waiting.addDirectory(parent, index, directory(name, digest))
        const path = (parent.directory === '' ? name : `${parent.directory}/${name}`) as RelativePath
        model.push({ reference: [parent.number, index], directory: path, digest })
      }
    }
    expect(waiting.count).toBe(model.length)
  }
})

test('very many directories wait in some 60 bytes each', () => {
  const COUNT = 200_000
  const waiting = new WaitingListings()
  const entry = directory('directory 000', digestOf(1))
  const parent = { number: 7, directory: 'some/directory/with/a/long/path' as RelativePath }
  const startBytes = usedBytes()
  for (let index = 0; index < COUNT; index++) waiting.addDirectory(parent, index, entry)
  // A buffer that grew just now is twice as long as it needs to be.
  expect(usedBytes() - startBytes).toBeLessThan(COUNT * 2 * 60)
  expect(waiting.count).toBe(COUNT)
})

function usedBytes (): number {
  collectGarbage()
  const { heapUsed, arrayBuffers } = process.memoryUsage()
  return heapUsed + arrayBuffers
}
