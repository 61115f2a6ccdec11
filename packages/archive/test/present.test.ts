import { readSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import type { RelativePath } from '@filesync/protocol'
import { expect, test } from 'vitest'
import type { Area, MakeSignature, Sync } from '../src/index.ts'
import { compareAll, push } from './support/push.ts'
import { SourceTree } from './support/source-tree.ts'
import { storeArea } from './support/stored-area.ts'
import type { StoredArea } from './support/stored-area.ts'

const PATH = 'disk.img' as RelativePath
const content = (first: number): Uint8Array => new Uint8Array(600_000).fill(first)

interface Made {
  readonly calls: number[]
  readonly make: MakeSignature
}

/** Takes the first byte and the size of a file for its signature. */
function signer (): Made {
  const calls: number[] = []
  return {
    calls,
    make: async ({ fd, sizeBytes }) => {
      const first = new Uint8Array(1)
      readSync(fd, first, 0, 1, 0)
      calls.push(sizeBytes)
      return Uint8Array.of(first[0] ?? 0, 1, 2)
    },
  }
}

async function stored (): Promise<StoredArea> {
  return await storeArea(new SourceTree().write(PATH, content(1)).write('other', 'x'))
}

/** The signature that a sync gets of the only file that it requests, before it is abandoned. */
async function signatureAt (area: Area, source: SourceTree, { make }: Made): Promise<Uint8Array | 'NOT THERE' | undefined> {
  const sync = await area.beginSync()
  try {
    compareAll(sync, source.snapshot())
    sync.plan({ complete: true })
    const present = sync.present(0)
    return present === undefined ? 'NOT THERE' : await present.signature(make)
  } finally {
    await sync.abandon()
  }
}

test('the copy of a changed file is signed once, and again after it was replaced', async () => {
  const { area, source } = await stored()
  const made = signer()
  source.write(PATH, content(2))
  expect(await signatureAt(area, source, made)).toEqual(Uint8Array.of(1, 1, 2))
  expect(await signatureAt(area, source, made)).toEqual(Uint8Array.of(1, 1, 2))
  expect(made.calls).toEqual([600_000])
  await push(area, source)
  source.write(PATH, content(3))
  expect(await signatureAt(area, source, made)).toEqual(Uint8Array.of(2, 1, 2))
  expect(made.calls).toEqual([600_000, 600_000])
})

test('a file that arrives with its signature is not read to sign it', async () => {
  const { area, source } = await stored()
  const made = signer()
  source.write(PATH, content(2))
  await push(area, source, { describe: () => Uint8Array.of(7, 7) })
  source.write(PATH, content(3))
  expect(await signatureAt(area, source, made)).toEqual(Uint8Array.of(7, 7))
  const failed = await push(area, source, { describe: () => Uint8Array.of(8, 8), falsify: () => content(9) })
  expect(failed.problems).toHaveLength(1)
  expect(await signatureAt(area, source, made)).toEqual(Uint8Array.of(7, 7))
  await push(area, source)
  source.write(PATH, content(4))
  expect(await signatureAt(area, source, made)).toEqual(Uint8Array.of(3, 1, 2))
})

test('large files that arrived whole are signed ahead, each once', async () => {
  const { area, source } = await stored()
  const made = signer()
  expect(await area.signLarge(made.make, 600_001)).toBe(0)
  source.write(PATH, content(2))
  await push(area, source)
  expect(await area.signLarge(made.make, 600_000)).toBe(1)
  expect(await area.signLarge(made.make, 600_000)).toBe(0)
  expect(made.calls).toEqual([600_000])
  source.write(PATH, content(3))
  expect(await signatureAt(area, source, made)).toEqual(Uint8Array.of(2, 1, 2))
  expect(made.calls).toEqual([600_000])
  await push(area, source, { describe: () => Uint8Array.of(7, 7) })
  expect(await area.signLarge(made.make, 600_000)).toBe(0)
})

test('a sync is not delayed by signing ahead', async () => {
  const { area, source } = await stored()
  const made = signer()
  source.write(PATH, content(2))
  await push(area, source)
  const sync = await area.beginSync()
  expect(await area.signLarge(made.make, 600_000)).toBe(0)
  await sync.abandon()
  expect(await area.signLarge(made.make, 600_000)).toBe(1)
})

test('a copy that others changed is signed again', async () => {
  const { root, area, source } = await stored()
  const made = signer()
  source.write(PATH, content(2))
  await push(area, source, { describe: () => Uint8Array.of(7, 7) })
  writeFileSync(join(root, 'laptop', PATH), content(5).subarray(0, 300_000))
  source.write(PATH, content(3))
  expect(await signatureAt(area, source, made)).toEqual(Uint8Array.of(5, 1, 2))
  expect(made.calls).toEqual([300_000])
})

test('a new file, and one whose copy is missing from the disk, have no signature', async () => {
  const { root, area, source } = await stored()
  const made = signer()
  rmSync(join(root, 'laptop', PATH))
  source.write(PATH, content(2))
  expect(await signatureAt(area, source, made)).toBeUndefined()
  source.remove(PATH).write('fresh', content(2))
  expect(await signatureAt(area, source, made)).toBe('NOT THERE')
  expect(made.calls).toEqual([])
})

test('a failed delta is not retried against the same copy', async () => {
  const { area, source } = await stored()
  const made = signer()
  source.write(PATH, content(2))
  let sync: Sync | undefined
  let signing: Promise<unknown> | undefined
  const failed = await push(area, source, {
    onSync: begun => { sync = begun },
    falsify: () => {
      signing = sync?.present(0)?.signature(made.make)
      return content(9)
    },
    before: async () => { await signing },
  })
  expect(made.calls).toEqual([600_000])
  expect(failed.problems).toMatchObject([{ path: PATH, code: 'DIGEST_MISMATCH' }])
  expect(await signatureAt(area, source, made)).toBe('NOT THERE')
  expect((await push(area, source)).problems).toEqual([])
  source.write(PATH, content(3))
  expect(await signatureAt(area, source, made)).toEqual(Uint8Array.of(2, 1, 2))
})
