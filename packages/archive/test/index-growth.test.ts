import { existsSync, readFileSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { encodeListing } from '@filesync/protocol'
import type { FileEntry, Name, RelativePath } from '@filesync/protocol'
import { hashBytes } from '@filesync/protocol/node'
import { seededRandom } from '@filesync/protocol/testing'
import { expect, test } from 'vitest'
import { openLmdbIndex } from '../src/node/index.ts'
import type { ArchiveIndex } from '../src/store/archive-index.ts'
import { changeDirectory } from '../src/store/change-directory.ts'
import type { DirectoryChange } from '../src/store/change-directory.ts'
import { FACT_BYTES } from '../src/store/facts.ts'
import { inSteps } from '../src/store/index-steps.ts'
import { newFolder } from './support/on-disk.ts'

const AREA = 'laptop'
const IO = '/proc/self/io'
const NO_NAMES: ReadonlySet<string> = new Set()

function file (number: number, version: number): FileEntry {
  return {
    kind: 'file', name: `some-file-name-${String(number).padStart(7, '0')}.dat` as Name, sizeBytes: 100_000 + number,
    mtimeNs: 1_700_000_000_123_456_789n + BigInt(number + 1000 * version), mode: 0o644, fileId: 2n ** 33n + BigInt(number),
  }
}

/** Files of a directory, given by ascending numbers, are placed. */
function placed (directory: RelativePath, numbers: readonly number[], version: number): DirectoryChange {
  const entries = encodeListing(numbers.map(number => file(number, version)))
  const facts = new Uint8Array(numbers.length * FACT_BYTES).fill(version)
  return { directory, sections: [{ directory, entries, staged: Uint32Array.from(numbers.keys()), facts }], removed: NO_NAMES }
}

function * writesOf (index: ArchiveIndex, changes: Iterable<DirectoryChange>): ReturnType<typeof changeDirectory> {
  for (const change of changes) yield * changeDirectory({ area: AREA, index, hash: hashBytes }, change)
  return { whole: undefined, digest: () => hashBytes(new Uint8Array(0)) }
}

/** Writes changes as the end of a sync does. */
async function apply (index: ArchiveIndex, changes: Iterable<DirectoryChange>): Promise<void> {
  for (const writes of inSteps(index, writesOf(index, changes))) await index.write(writes)
}

test('the index file grows by a fifth at most however often 1 % of the files change', { timeout: 120_000 }, async () => {
  const [DIRECTORIES, FILES, SEED] = [800, 125, 7]
  const folder = newFolder()
  const index = openLmdbIndex(folder)
  const { below } = seededRandom(SEED)
  const pathOf = (at: number): RelativePath => `directory/${String(Math.floor(at / 100))}/${String(at)}` as RelativePath
  const all = Array.from({ length: FILES }, (_, i) => i)
  for (let at = 0; at < DIRECTORIES; at += 32) {
    await apply(index, Array.from({ length: Math.min(32, DIRECTORIES - at) }, (_, i) => placed(pathOf(at + i), all, 1)))
  }
  const sizeBytes = (): number => statSync(join(folder, 'data.mdb')).size
  const madeBytes = sizeBytes()
  for (let round = 2; round < 6; round++) {
    // One or two files in each directory, so that every record of the index is written again.
    const changes = Array.from({ length: DIRECTORIES }, (_, at) => placed(pathOf(at), [below(60), 60 + below(60)].slice(at % 2), round))
    await apply(index, changes)
    expect(sizeBytes() / madeBytes, `round ${String(round)}, seed ${String(SEED)}`).toBeLessThan(1.2)
  }
  await index.close()
})

// Only Linux counts what a process writes; the index is the same on every system.
test.skipIf(!existsSync(IO))('a change in a directory of 100,000 files writes two pages and their table to the index', async () => {
  const index = openLmdbIndex(newFolder())
  const directory = 'big' as RelativePath
  await apply(index, [placed(directory, Array.from({ length: 100_000 }, (_, i) => i), 1)])
  const writtenBytes = (): number => Number(/wchar: (\d+)/u.exec(readFileSync(IO, 'latin1'))?.[1])
  for (const number of [0, 50_000, 99_999]) {
    const before = writtenBytes()
    await apply(index, [placed(directory, [number], 2)])
    expect(writtenBytes() - before).toBeLessThan(300_000)
  }
  // What is not given in pages is compared with what is stored.
  const whole = index.directory({ area: AREA, directory })
  const before = writtenBytes()
  if (whole !== undefined) await index.write([{ put: { area: AREA, directory }, stored: whole }])
  expect(writtenBytes() - before).toBeLessThan(100_000)
  await index.close()
})
