import { randomBytes } from 'node:crypto'
import { spawnSync } from 'node:child_process'
import { link, lstat, mkdir, open, rename, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { openPairedStage, SERVER_PROGRAM } from '../src/programs.ts'
import type { RunningServer, Stage } from '../src/programs.ts'
import { treeDifferences } from '../src/trees.ts'

const SIZE_BYTES = 20 << 20
const NAMES = ['image', 'copies/one', 'copies/two', 'copies/deep/three', 'other/four']

let stage: Stage
let server: RunningServer
let source: string
let mirror: string
beforeEach(async () => { ({ stage, server, source, mirror } = await openPairedStage()) })
afterEach(async () => { await stage.dispose() })

/** Pushes, and returns what that cost on the network. */
async function push (): Promise<number> {
  const { code, result } = await stage.push('client', source, ['--settle', '0s'])
  expect({ code, result: result.result }).toEqual({ code: 0, result: 'ok' })
  expect(await treeDifferences(source, mirror)).toEqual([])
  return result.bytesSent
}

/** Bytes on the disk, each file once. */
function usedBytes (directory: string): number {
  return Number(/^\d+/u.exec(spawnSync('du', ['-s', '--block-size=1', directory], { encoding: 'utf8' }).stdout)?.[0])
}

async function inodes (directory: string, names: readonly string[] = NAMES): Promise<Set<number>> {
  return new Set(await Promise.all(names.map(async name => (await lstat(join(directory, name))).ino)))
}

const LONG = { timeout: 120_000 }

test('five names of a file cost its size once on the network and on the disk, and are restored as one file', LONG, async () => {
  for (const directory of ['copies/deep', 'other']) await mkdir(join(source, directory), { recursive: true })
  await writeFile(join(source, 'image'), randomBytes(SIZE_BYTES))
  for (const name of NAMES.slice(1)) await link(join(source, 'image'), join(source, name))
  const first = await push()
  expect(first).toBeGreaterThan(SIZE_BYTES)
  expect(first).toBeLessThan(SIZE_BYTES * 1.05)
  expect(usedBytes(server.archive)).toBeLessThan(SIZE_BYTES * 1.1)
  expect((await inodes(mirror)).size).toBe(1)

  await link(join(source, 'image'), join(source, 'other', 'five'))
  await rename(join(source, 'copies', 'one'), join(source, 'copies', 'first'))
  expect(await push()).toBeLessThan(100_000)
  const names = ['image', 'copies/first', 'copies/two', 'copies/deep/three', 'other/four', 'other/five']
  expect((await inodes(mirror, names)).size).toBe(1)
  expect(usedBytes(server.archive)).toBeLessThan(SIZE_BYTES * 1.1)

  const image = await open(join(source, 'image'), 'r+')
  await image.write(randomBytes(SIZE_BYTES), 0, SIZE_BYTES, 0)
  await image.close()
  expect(await push()).toBeLessThan(SIZE_BYTES * 1.05)
  expect((await inodes(mirror, names)).size).toBe(1)
  // The mirror, and one file for all versions.
  expect(usedBytes(server.archive)).toBeLessThan(SIZE_BYTES * 2.1)

  const to = stage.path('restored')
  expect((await stage.run(SERVER_PROGRAM, ['restore', 'client', '--at', '0s', '--to', to, '--state-dir', server.stateDir])).code).toBe(0)
  expect(await treeDifferences(source, join(to, 'source'))).toEqual([])
  expect((await inodes(join(to, 'source'), names)).size).toBe(1)
})
