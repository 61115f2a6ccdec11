import { lutimesSync, utimesSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { ROOT_PATH } from '@filesync/protocol'
import { hashBytes } from '@filesync/protocol/node'
import type { Area } from '../src/index.ts'
import { LoopDisk, mayMountImages } from './support/disks.ts'
import { World } from './support/in-memory.ts'
import { describeFolder, describeSource, newArchive, newFolder } from './support/on-disk.ts'
import { asPath, push } from './support/push.ts'
import { SourceTree } from './support/source-tree.ts'

const SECOND_NS = 1_000_000_000n
const ALL = { directories: 1000 }
/** 1677, 1890, 2040 and 2262: outside of what 32 bits of seconds hold. */
const FAR_SECONDS = [-9_223_372_036n, -2_524_608_000n, 2_208_988_800n, 9_223_372_036n]

function farSource (): SourceTree {
  const source = new SourceTree().write('near', 'near')
  for (const seconds of FAR_SECONDS) {
    const name = `d${String(seconds)}`
    source.write(`${name}/file`, `content of ${name}`).link(`${name}/link`, 'file')
    for (const path of [name, `${name}/file`, `${name}/link`]) {
      (source.at(path) as { mtimeNs: bigint }).mtimeNs = seconds * SECOND_NS + 500_000_000n
    }
  }
  return source
}

async function expectSafe (area: Area, source: SourceTree): Promise<void> {
  const files = [...source.files()].map(([path, content]) => ({ path: asPath(path), kind: 'file' as const, digest: hashBytes(content) }))
  for (const fresh of [false, true]) {
    expect((await area.checkSafe(files, { fresh })).map(({ verdict }) => verdict)).toEqual(files.map(() => 'safe'))
  }
  expect(await area.checkMirror(ALL)).toEqual({ changed: [], removed: [], added: [] })
  expect(await area.checkMirror({ directories: 1000, entries: 1000 })).toEqual({ changed: [], removed: [], added: [] })
  expect((await area.verify()).problems).toEqual([])
  expect((await push(area, source)).listings).toBe(0)
}

/** Changes modes and names of files that stay: the sync checks whether the copy is the one that it stored. */
async function expectKept (area: Area, source: SourceTree): Promise<void> {
  for (const path of source.files().keys()) (source.at(path) as { mode: number }).mode = 0o600
  source.move('d2208988800', 'moved')
  expect(await push(area, source)).toMatchObject({ asked: [], problems: [] })
  await expectSafe(area, source)
}

describe('times that the file system of the archive cannot hold', () => {
  const kept = ['nearest', '32 bits'] as const
  test.each(kept)('make no file unsafe and cause no resend on a store in memory that keeps %s', async outside => {
    const times = { earliestNs: -(2n ** 31n) * SECOND_NS, latestNs: (2n ** 31n - 1n) * SECOND_NS, outside }
    const world = new World({ foldsNames: false, windowsNames: false, times })
    const area = await world.area()
    const source = farSource()
    await push(area, source)
    await expectSafe(area, source)
    await expectKept(area, source)
  })

  const formats: readonly (readonly [what: string, format: readonly string[], sizeMib: number])[] = [
    ['ext4 with inodes of 128 bytes', ['mkfs.ext4', '-q', '-m0', '-F', '-I', '128'], 64],
    ['ext4', ['mkfs.ext4', '-q', '-m0', '-F'], 64],
    ['XFS without bigtime', ['mkfs.xfs', '-q', '-f', '-m', 'bigtime=0'], 320],
  ]

  // Loop mounts need root on a real system; most containers do not allow them.
  test.skipIf(!mayMountImages).each(formats)('make no file unsafe, cause no resend, and are restored, on %s', async (what, format, mib) => {
    let disk: LoopDisk
    try {
      disk = new LoopDisk(format, mib)
    } catch (error) {
      // XFS has tools of its own, which are not everywhere.
      if (what.startsWith('XFS')) return
      throw error
    }
    disk.mount()
    const root = join(disk.at, 'archive')
    const area = await (await newArchive({ root })).area('laptop')
    const source = farSource()
    await push(area, source)
    await expectSafe(area, source)
    await expectKept(area, source)

    // To a file system that holds more, and once more to the same directory.
    const to = newFolder()
    for (let i = 0; i < 2; i++) {
      expect(await area.restore({ path: ROOT_PATH, at: { ms: Infinity }, to })).toMatchObject({ files: 9, failures: [] })
    }
    // A double leaves microseconds of such times, and a link of the mirror has the time that was held.
    const toSecond = (line: string): string => line.replace(/(\d{6,})(?= |$)/u, number => number.slice(0, -5))
    const coarse = (lines: readonly string[]): string[] => lines.map(toSecond)
    expect(coarse(describeFolder(to))).toEqual(coarse(describeSource(source)))
    const back = join(disk.at, 'back')
    for (let i = 0; i < 2; i++) {
      expect(await area.restore({ path: ROOT_PATH, at: { ms: Infinity }, to: back })).toMatchObject({ files: 9, failures: [] })
    }

    // What others do is still seen.
    utimesSync(join(root, 'laptop/moved/file'), 1_600_000_000, 1_600_000_000)
    lutimesSync(join(root, 'laptop/near'), 1_600_000_000, 1_600_000_000)
    expect((await area.checkMirror(ALL)).changed.sort()).toEqual(['moved/file', 'near'])
  })
})
