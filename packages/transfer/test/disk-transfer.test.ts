import { appendFileSync, lstatSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { encodeListing, joinPath, ROOT_PATH } from '@filesync/protocol'
import type { Entry, Name, RelativePath, Tree } from '@filesync/protocol'
import { hashBytes, systemClock } from '@filesync/protocol/node'
import { randomBytes, seededRandom } from '@filesync/protocol/testing'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { openFileSource, zstdDecompress } from '../src/node/index.ts'
import { MemoryStore } from '../src/testing/index.ts'
import { fileIdOf } from './support/file-id-of.ts'
import { sync } from './support/session.ts'

let root: string

beforeEach(() => { root = mkdtempSync(join(tmpdir(), 'filesync-transfer-')) })
afterEach(() => { rmSync(root, { recursive: true }) })

/** The tree that is on disk now. */
function scan (): Tree {
  const listings = new Map<string, Uint8Array>()
  const totals = { files: 0, directories: 0, bytes: 0 }
  const visit = (directory: RelativePath): Uint8Array => {
    const entries = readdirSync(join(root, directory)).sort().map((text): Entry => {
      const name = text as Name
      const { size, mtimeNs, fileId, isDirectory } = statOf(joinPath(directory, name))
      if (isDirectory) {
        totals.directories++
        return { kind: 'directory', name, mtimeNs, mode: 0o755, digest: hashBytes(visit(joinPath(directory, name))) }
      }
      totals.files++
      totals.bytes += size
      return { kind: 'file', name, sizeBytes: size, mtimeNs, mode: 0o644, fileId }
    })
    const listing = encodeListing(entries)
    listings.set(directory, listing)
    return listing
  }
  const rootDigest = hashBytes(visit(ROOT_PATH))
  return { rootDigest, ...totals, listing: directory => listings.get(directory) }
}

function statOf (path: string): { size: number, mtimeNs: bigint, fileId: bigint, isDirectory: boolean } {
  const stats = lstatSync(join(root, path), { bigint: true })
  return { size: Number(stats.size), mtimeNs: stats.mtimeNs, fileId: fileIdOf(stats), isDirectory: stats.isDirectory() }
}

function expectAsOnDisk (store: MemoryStore, count: number): void {
  expect(store.files.size).toBe(count)
  for (const [path, bytes] of store.files) expect(Buffer.compare(bytes, readFileSync(join(root, path))), path).toBe(0)
}

test('a directory on disk arrives, with and without compression', async () => {
  const random = seededRandom(81).below
  for (let i = 0; i < 300; i++) {
    const directory = join(root, `d${String(i % 7)}`, `e${String(i % 3)}`)
    mkdirSync(directory, { recursive: true })
    const bytes = i % 2 === 0 ? randomBytes(random(20_000), i + 1) : Buffer.alloc(random(20_000), 'text ')
    writeFileSync(join(directory, `file${String(i)}`), bytes)
  }
  writeFileSync(join(root, 'large'), randomBytes(3_000_001, 82))
  writeFileSync(join(root, 'log'), 'line of a log\n'.repeat(200_000))
  const source = openFileSource({ root, workers: 2 })
  for (const compression of ['never', 'always'] as const) {
    const store = new MemoryStore()
    const { client } = await sync({
      tree: scan(), source, store, clock: systemClock, client: { compression }, server: { decompress: zstdDecompress },
    })
    expect(client).toMatchObject({ result: 'OK', stored: { files: 302 } })
    expectAsOnDisk(store, 302)
  }
  await source.close()
}, 30_000)

test('a file that grows during its transfer is not stored mixed, and the next sync stores all of it', async () => {
  writeFileSync(join(root, 'growing'), randomBytes(20_000_000, 83))
  writeFileSync(join(root, 'quiet'), 'quiet')
  const source = openFileSource({ root, workers: 1 })
  const store = new MemoryStore()
  let grown = 0
  const grow = (): void => { if (grown++ === 0) appendFileSync(join(root, 'growing'), 'one more line') }
  const first = await sync({ tree: scan(), source, store, clock: systemClock, server: { onProgress: grow } })
  expect(first.client).toMatchObject({ result: 'PROBLEMS', problems: [{ path: 'growing', code: 'CHANGED_DURING_READ' }] })
  expectAsOnDisk(store, 1)
  store.partial.clear()
  const second = await sync({ tree: scan(), source, store, clock: systemClock })
  expect(second.client).toMatchObject({ result: 'OK' })
  expectAsOnDisk(store, 2)
  await source.close()
}, 30_000)
