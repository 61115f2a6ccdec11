import { createHash } from 'node:crypto'
import { closeSync, futimesSync, mkdirSync, openSync, readFileSync, rmSync, statSync, writeSync } from 'node:fs'
import { join } from 'node:path'
import type { PushResult } from '@filesync/client'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { mirrorOf, Stage } from '../src/programs.ts'
import type { RunningServer } from '../src/programs.ts'
import { treeDifferences } from '../src/trees.ts'

const MIB = 2 ** 20
const SIZE_BYTES = 24 * MIB
const LIMIT_BYTES = 2 * MIB
const OLD_SECONDS = 1_600_000_000

let stage: Stage
let server: RunningServer
let source: string
let content: Uint8Array
let changes = 0

beforeAll(async () => {
  stage = await Stage.open()
  server = await stage.startServer()
  await stage.pair(server, 'laptop')
  source = stage.path('source')
  mkdirSync(source)
  content = noise(SIZE_BYTES, 'disk image')
  await change([content])
  expect((await push()).bytesSent).toBeGreaterThan(SIZE_BYTES)
}, 60_000)

afterAll(async () => { await stage.dispose() })

/** Bytes that do not compress and do not repeat, the same for the same text. */
function noise (sizeBytes: number, text: string): Uint8Array {
  return createHash('shake256', { outputLength: sizeBytes }).update(text).digest()
}

/** Gives the file other bytes, and a time of change that no version before had. */
async function change (pieces: readonly Uint8Array[]): Promise<void> {
  content = Buffer.concat(pieces)
  writeAt(join(source, 'disk.img'), content, OLD_SECONDS + ++changes)
}

function writeAt (path: string, bytes: Uint8Array, seconds: number): void {
  const fd = openSync(path, 'w')
  try {
    for (let at = 0; at < bytes.length;) at += writeSync(fd, bytes, at)
    futimesSync(fd, seconds, seconds)
  } finally {
    closeSync(fd)
  }
}

async function push (): Promise<PushResult> {
  const { code, result, stderr } = await stage.push('laptop', source)
  expect(result.problems, stderr).toEqual([])
  expect(code).toBe(0)
  expect(await treeDifferences(source, mirrorOf(server, 'laptop', source))).toEqual([])
  return result
}

const wireBytes = ({ bytesSent, bytesReceived }: PushResult): number => bytesSent + bytesReceived

test.each<[string, () => Uint8Array[]]>([
  ['a byte at the front', () => [Uint8Array.of(7), content]],
  ['a mebibyte at the end', () => [content, noise(MIB, 'appended')]],
  ['a block that moved', () => [content.subarray(0, 5 * MIB), content.subarray(15 * MIB), content.subarray(5 * MIB, 15 * MIB)]],
  ['a file cut to half', () => [content.subarray(0, SIZE_BYTES / 2)]],
  ['a byte in the middle', () => [content.subarray(0, 9 * MIB), Uint8Array.of(1, 2, 3), content.subarray(9 * MIB + 3)]],
  ['nothing but another time', () => [content]],
])('%s costs less than two mebibytes', async (_, pieces) => {
  await change(pieces())
  const result = await push()
  expect(result.filesSent).toBe(1)
  expect(wireBytes(result)).toBeLessThan(LIMIT_BYTES)
}, 30_000)

/** Changes what the archive holds without its knowledge, as a failing disk does. */
function damage (name = 'disk.img'): void {
  const stored = join(mirrorOf(server, 'laptop', source), name)
  const { atime, mtime } = statSync(stored)
  const fd = openSync(stored, 'r+')
  writeSync(fd, noise(100_000, 'damage'), 0, 100_000, 3 * MIB)
  futimesSync(fd, atime, mtime)
  closeSync(fd)
}

test('a copy that is damaged before it is signed costs its damage', async () => {
  const fresh = join(source, 'fresh.img')
  writeAt(fresh, content, OLD_SECONDS)
  await push()
  damage('fresh.img')
  // It is signed at its first change; from then on its signature follows what arrives.
  writeAt(fresh, Buffer.concat([Uint8Array.of(2), content]), OLD_SECONDS + 1)
  expect(wireBytes(await push())).toBeLessThan(LIMIT_BYTES)
  rmSync(fresh)
}, 30_000)

test('a copy that is damaged after it was signed is noticed, and the next sync sends the whole file', async () => {
  // The same content again keeps its signature.
  await change([content])
  await push()
  damage()
  await change([Uint8Array.of(3), content])
  const { code, result } = await stage.push('laptop', source)
  expect(code).not.toBe(0)
  expect(result.problems).toMatchObject([{ path: 'source/disk.img', code: 'DIGEST_MISMATCH' }])
  expect(wireBytes(await push())).toBeGreaterThan(content.length)
}, 30_000)

test('a copy that became shorter, or is gone from the archive, does no harm', async () => {
  const stored = join(mirrorOf(server, 'laptop', source), 'disk.img')
  await change([Uint8Array.of(4), content])
  await push()
  writeAt(stored, readFileSync(stored).subarray(0, content.length / 2), OLD_SECONDS)
  await change([Uint8Array.of(5), content])
  expect(wireBytes(await push())).toBeLessThan(content.length / 2 + LIMIT_BYTES)
  rmSync(stored)
  await change([Uint8Array.of(6), content])
  expect(wireBytes(await push())).toBeGreaterThan(content.length)
}, 30_000)
