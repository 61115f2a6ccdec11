import type { Problem, RelativePath } from '@filesync/protocol'
import { hashBytes } from '@filesync/protocol/node'
import { ManualClock, seededRandom } from '@filesync/protocol/testing'
import { describe, expect, test } from 'vitest'
import type { Scanner, ScanMemory, Snapshot } from '@filesync/scanner'
import { memoryScanner, MemoryTree } from '@filesync/scanner/testing'
import type { MemoryNode, MemoryScannerInit } from '@filesync/scanner/testing'
import { paths, problems } from './support/tree-text.ts'

const NOW_MS = Date.parse('2026-01-01')
const OLD_NS = 1_600_000_000_000_000_000n
const signal = AbortSignal.timeout(20_000)
const path = (text: string): RelativePath => text as RelativePath

class Source {
  readonly clock = new ManualClock(NOW_MS)
  readonly tree = new MemoryTree(() => this.clock.nowMs())
  readonly hasMountTable: boolean

  constructor (hasMountTable: boolean, files: readonly string[] = ['here/file', 'usb-parent/other']) {
    this.hasMountTable = hasMountTable
    this.write(...files)
  }

  write (...files: readonly string[]): void {
    for (const file of files) this.tree.write(path(file), file, OLD_NS)
  }

  mountWith (at: string, ...files: readonly string[]): void {
    this.tree.makeDirectory(path(at))
    this.tree.mount(path(at))
    this.write(...files.map(file => `${at}/${file}`))
  }

  open (init: Partial<MemoryScannerInit> = {}): Scanner {
    return memoryScanner({ tree: this.tree, clock: this.clock, hash: hashBytes, hasMountTable: this.hasMountTable, ...init })
  }
}

async function scan (scanner: Scanner, onProgress: () => void = () => { /* no change meanwhile */ }): Promise<Snapshot> {
  return await scanner.scan({ signal, onProgress })
}

/** As it is after a restart. */
function stored (scanner: Scanner): { memory?: ScanMemory } {
  return scanner.memory === undefined ? {} : { memory: JSON.parse(JSON.stringify(scanner.memory)) as ScanMemory }
}

function awayOf (snapshot: Snapshot, path: string): Problem | undefined {
  return snapshot.problems.find(problem => problem.path === path && problem.code === 'AWAY')
}

describe.each([
  ['that the system lists', true], ['that only shows as another device', false],
])('a mount point %s', (_, hasMountTable) => {
  test('that is unmounted is away and not deleted, and is listed as before when it is back', async () => {
    const source = new Source(hasMountTable)
    source.mountWith('usb', 'a', 'sub/b')
    const scanner = source.open()
    const before = await scan(scanner)
    expect(paths(before)).toEqual(['here', 'here/file', 'usb', 'usb/a', 'usb/sub', 'usb/sub/b', 'usb-parent', 'usb-parent/other'])
    expect(before).toMatchObject({ away: [], problemCount: 0, complete: true })
    const disk = source.tree.unmount(path('usb'))
    source.tree.remove(path('here/file'))
    for (const again of [scanner, source.open(stored(scanner)), scanner]) {
      const snapshot = await scan(again)
      expect(paths(snapshot)).toEqual(['here', 'usb-parent', 'usb-parent/other'])
      expect(snapshot).toMatchObject({ away: ['usb'], problemCount: 1 })
      expect(awayOf(snapshot, 'usb')?.message).toMatch(/nothing is mounted there now. Mount it again, or start with --accept-source/u)
      for (const inside of ['usb', 'usb/a']) expect(again.explain(path(inside))).toMatchObject({ state: 'away', problem: { path: 'usb' } })
    }
    const restarted = source.open(stored(scanner))
    source.tree.mount(path('usb'), disk)
    for (const again of [scanner, restarted]) {
      const snapshot = await scan(again)
      expect(paths(snapshot)).toEqual(['here', 'usb', 'usb/a', 'usb/sub', 'usb/sub/b', 'usb-parent', 'usb-parent/other'])
      expect(snapshot).toMatchObject({ away: [], problems: [], complete: true })
    }
  })

  test('is forgotten if the source is accepted as it is', async () => {
    const source = new Source(hasMountTable)
    source.mountWith('usb', 'a')
    await scan(source.open())
    source.tree.unmount(path('usb'))
    const accepting = source.open()
    expect(await scan(accepting)).toMatchObject({ away: [], problemCount: 0 })
    expect(await scan(source.open(stored(accepting)))).toMatchObject({ away: [], problemCount: 0 })
  })

  test('whose directory or parent is removed is away', async () => {
    for (const removed of ['deep/usb', 'deep']) {
      const source = new Source(hasMountTable)
      source.mountWith('deep/usb', 'a')
      const scanner = source.open()
      await scan(scanner)
      source.tree.unmount(path('deep/usb'))
      source.tree.remove(path(removed))
      const snapshot = await scan(scanner)
      expect(snapshot.away).toEqual(['deep/usb'])
      expect(paths(snapshot)).not.toContain('deep/usb')
      source.tree.makeDirectory(path('deep/usb'))
      expect((await scan(scanner)).away).toEqual(['deep/usb'])
    }
  })

  test('that cannot be read is away with the reason, and does not make the rest incomplete', async () => {
    const source = new Source(hasMountTable)
    source.mountWith('usb', 'a')
    const scanner = source.open()
    await scan(scanner)
    source.tree.refuse(path('usb'), 'EIO')
    const snapshot = await scan(scanner)
    expect(snapshot.away).toEqual(['usb'])
    expect(awayOf(snapshot, 'usb')?.message).toMatch(/cannot be read \(EIO/u)
    expect(problems(snapshot)).toEqual(['usb AWAY'])
    source.tree.refuse(path('usb'), undefined)
    expect(paths(await scan(scanner))).toContain('usb/a')
  })

  test('at which another file system is mounted is away, until it is accepted', async () => {
    const source = new Source(hasMountTable)
    source.mountWith('usb', 'a')
    const scanner = source.open()
    await scan(scanner)
    const right = source.tree.unmount(path('usb'))
    source.mountWith('usb', 'of-another')
    const snapshot = await scan(scanner)
    expect(snapshot.away).toEqual(['usb'])
    expect(awayOf(snapshot, 'usb')?.message).toMatch(/another file system is mounted there/u)
    expect(paths(snapshot).filter(listed => listed.startsWith('usb/'))).toEqual([])
    expect(paths(await scan(source.open()))).toContain('usb/of-another')
    source.tree.unmount(path('usb'))
    source.tree.mount(path('usb'), right)
    expect(paths(await scan(scanner))).toContain('usb/a')
  })

  test('of the same file system under another device number, as after a boot, is the same', async () => {
    const source = new Source(hasMountTable)
    source.mountWith('usb', 'a')
    const scanner = source.open()
    await scan(scanner)
    const { memory } = stored(scanner)
    const mounts = memory?.mounts?.map(mount => ({ ...mount, device: '99' })) ?? []
    expect(mounts).toHaveLength(1)
    const snapshot = await scan(source.open({ memory: { root: { device: '', inode: '', birthtimeNs: '' }, files: 0, ...memory, mounts } }))
    expect(snapshot).toMatchObject({ away: [], problemCount: 0 })
    expect(paths(snapshot)).toContain('usb/a')
  })

  test('with another one inside: each is away for itself, and only the outer one is reported if both are', async () => {
    const source = new Source(hasMountTable)
    source.mountWith('outer', 'a')
    source.mountWith('outer/in/ner', 'b')
    const scanner = source.open()
    await scan(scanner)
    const inner = source.tree.unmount(path('outer/in/ner'))
    const withoutInner = await scan(scanner)
    expect(withoutInner.away).toEqual(['outer/in/ner'])
    expect(paths(withoutInner)).toContain('outer/a')
    const outer = source.tree.unmount(path('outer'))
    expect(await scan(scanner)).toMatchObject({ away: ['outer'], problemCount: 1 })
    source.tree.mount(path('outer'), outer)
    expect((await scan(scanner)).away).toEqual(['outer/in/ner'])
    source.tree.mount(path('outer/in/ner'), inner)
    expect(paths(await scan(scanner))).toContain('outer/in/ner/b')
  })

  test('that was moved with its parent directory is listed there, and the former path is not away', async () => {
    const source = new Source(hasMountTable)
    source.mountWith('before/usb', 'a')
    const scanner = source.open()
    await scan(scanner)
    source.tree.rename(path('before'), path('after'))
    for (const again of [scanner, source.open(stored(scanner))]) {
      const snapshot = await scan(again)
      expect(snapshot.away).toEqual([])
      expect(paths(snapshot)).toContain('after/usb/a')
    }
  })

  test('that is ignored by a rule is not away when it is unmounted', async () => {
    const source = new Source(hasMountTable)
    source.mountWith('usb', 'a')
    const scanner = source.open()
    await scan(scanner)
    source.tree.write(path('.filesyncignore'), '/usb/\n', OLD_NS)
    expect(await scan(scanner)).toMatchObject({ away: [], ignoredCount: 1 })
    source.tree.unmount(path('usb'))
    expect(await scan(scanner)).toMatchObject({ away: [], problemCount: 0 })
  })

  test('does not make the source count as emptied if all its files are away', async () => {
    const source = new Source(hasMountTable, [])
    source.mountWith('usb', 'a')
    const scanner = source.open()
    await scan(scanner)
    const disk = source.tree.unmount(path('usb'))
    expect(await scan(scanner)).toMatchObject({ away: ['usb'], files: 0 })
    expect(await scan(source.open(stored(scanner)))).toMatchObject({ away: ['usb'], files: 0 })
    source.write('one')
    await scan(scanner)
    source.tree.remove(path('one'))
    await expect(scan(scanner)).rejects.toMatchObject({ code: 'SOURCE_SUSPECT' })
    source.tree.mount(path('usb'), disk)
    expect(await scan(scanner)).toMatchObject({ away: [], files: 1 })
  })

  test('over an empty directory is listed, and over one with files is away until it is unmounted or accepted', async () => {
    const source = new Source(hasMountTable, ['full/deep/file', 'here'])
    source.tree.makeDirectory(path('empty'))
    const scanner = source.open()
    await scan(scanner)
    source.mountWith('empty', 'a')
    source.mountWith('full', 'b')
    await scan(scanner)
    for (const again of [scanner, source.open(stored(scanner))]) {
      const snapshot = await scan(again)
      expect(snapshot.away).toEqual(['full'])
      expect(awayOf(snapshot, 'full')?.message).toMatch(/hides the files that were pushed from it/u)
      expect(paths(snapshot)).toEqual(['empty', 'empty/a', 'here'])
    }
    expect(paths(await scan(source.open()))).toContain('full/b')
    source.tree.unmount(path('full'))
    const visible = await scan(scanner)
    expect(visible).toMatchObject({ away: [], problemCount: 0 })
    expect(paths(visible)).toContain('full/deep/file')
  })

  test('that is unmounted during the scan is either listed or away', async () => {
    // At each directory that is read, beginning with the first.
    for (let at = 0; at < 8; at++) {
      const source = new Source(hasMountTable)
      source.mountWith('usb', 'a', 'sub/b', 'sub/deeper/c')
      const scanner = source.open()
      const before = paths(await scan(scanner)).filter(listed => listed.startsWith('usb'))
      let read = 0
      const snapshot = await scan(scanner, () => { if (read++ === at) source.tree.unmount(path('usb')) })
      const now = paths(snapshot).filter(listed => listed.startsWith('usb/') || listed === 'usb')
      if (snapshot.away.length > 0) expect([snapshot.away, now]).toEqual([['usb'], []])
      else expect(now).toEqual(before.filter(listed => listed !== 'usb-parent' && listed !== 'usb-parent/other'))
    }
  })
})

test('a mount point that is mounted again and again during a scan is away for that scan', async () => {
  const source = new Source(true)
  source.mountWith('usb', 'a')
  const scanner = source.open()
  await scan(scanner)
  const flap = (): void => { source.tree.mount(path('usb'), source.tree.unmount(path('usb'))) }
  const snapshot = await scan(scanner, flap)
  expect(snapshot.away).toEqual(['usb'])
  expect(awayOf(snapshot, 'usb')?.message).toMatch(/being mounted and unmounted/u)
  expect(paths(await scan(scanner))).toContain('usb/a')
})

test('a directory on another device that is not mounted, such as a subvolume, may be deleted', async () => {
  const source = new Source(false)
  source.mountWith('subvolume', 'a')
  const { tree, clock } = source
  const scanner = memoryScanner({ tree: Object.assign(tree, { mounts: () => new Map() }), clock, hash: hashBytes })
  expect(paths(await scan(scanner))).toContain('subvolume/a')
  tree.unmount(path('subvolume'))
  tree.remove(path('subvolume'))
  const snapshot = await scan(scanner)
  expect(snapshot).toMatchObject({ away: [], problemCount: 0, complete: true })
  expect(paths(snapshot)).not.toContain('subvolume')
})

/** A file of one of the file systems, by the system's name and the path in it. */
type FileKey = `${string}:${string}`

const MOUNT_POINTS = ['disk', 'd0/disk', 'd0/disk/inner']

describe.each([
  ['while mounts change between scans', true, false],
  ['while mounts change between scans, without a mount table', false, false],
  ['while mounts change during scans', true, true],
])('with random changes %s', (_, hasMountTable, isDuring) => {
  const seed = Number(process.env['FILESYNC_SEED'] ?? Date.now() % 1e9)

  test(`nothing looks deleted that still exists on a disk (FILESYNC_SEED=${seed})`, async () => {
    const { below } = seededRandom(seed)
    const source = new Source(hasMountTable, ['d0/keep', 'keep'])
    const { tree } = source
    const disks = new Map<string, MemoryNode>()
    const mountedAt = (at: string): boolean => tree.mounts().has(path(at))
    for (const at of MOUNT_POINTS) source.mountWith(at, 'first', 'sub/second')
    const scanner = source.open()
    const deleted = new Set<FileKey>()
    const keyOf = (file: string): FileKey => {
      const disk = MOUNT_POINTS.filter(at => file.startsWith(`${at}/`) && mountedAt(at)).at(-1) ?? ''
      return `${disk}:${file}`
    }
    const filesIn = (snapshot: Snapshot): [string, FileKey][] => {
      return paths(snapshot).filter(file => tree.node(path(file))?.kind === 'file').map(file => [file, keyOf(file)])
    }
    /** What is stored, each with the file that it came from. */
    let archive = new Map(filesIn(await scan(scanner)))
    expect(archive.size).toBe(8)
    const flip = (): void => {
      const at = MOUNT_POINTS[below(3)] ?? ''
      if (mountedAt(at)) disks.set(at, tree.unmount(path(at)))
      else if (tree.node(path(at))?.kind === 'directory' && disks.has(at)) tree.mount(path(at), disks.get(at))
    }
    const edit = (): void => {
      const directory = ['', 'd0/', ...MOUNT_POINTS.filter(mountedAt).map(at => `${at}/`)][below(5)] ?? ''
      const file = `${directory}f${below(3)}`
      if (directory !== '' && tree.node(path(directory.slice(0, -1)))?.kind !== 'directory') return
      if (tree.node(path(file)) === undefined) {
        source.write(file)
        deleted.delete(keyOf(file))
      } else {
        deleted.add(keyOf(file))
        tree.remove(path(file))
      }
    }
    for (let step = 0; step < 150; step++) {
      for (let change = below(4); change > 0; change--) (below(2) === 0 ? flip : edit)()
      const snapshot = await scan(scanner, () => { if (isDuring && below(6) === 0) flip() })
      const listed = new Set(paths(snapshot))
      const kept = new Map<string, FileKey>()
      for (const [file, key] of archive) {
        const isAway = snapshot.away.some(at => file.startsWith(`${at}/`))
        if (isAway || listed.has(file)) kept.set(file, key)
        else expect(deleted, `step ${step}: ${file} is treated as deleted`).toContain(key)
      }
      // During a scan the mounts at the end need not be those that were read.
      if (!isDuring) for (const [file, key] of filesIn(snapshot)) kept.set(file, key)
      archive = kept
    }
    expect(archive.size).toBeGreaterThanOrEqual(8)
  })
})
