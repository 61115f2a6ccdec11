import fs from 'node:fs'
import { syncBuiltinESMExports } from 'node:module'
import { join } from 'node:path'
import { expect, onTestFinished, test } from 'vitest'
import type { Name, RelativePath } from '@filesync/protocol'
import { Beneath } from '../src/node/beneath.ts'
import { DiskFlushing } from '../src/node/disk-flushing.ts'
import type { FlushMode } from '../src/node/disk-flushing.ts'
import { DiskVersions } from '../src/node/disk-versions.ts'
import { newFolder } from './support/on-disk.ts'

const STAMP_MS = Date.UTC(2026, 0, 1)

/** Paths below a folder that are flushed from here on. */
function flushedBelow (root: string): string[] {
  const original = fs.fsyncSync
  const flushed: string[] = []
  fs.fsyncSync = fd => {
    flushed.push(fs.readlinkSync(`/proc/self/fd/${String(fd)}`).slice(root.length + 1))
    original(fd)
  }
  syncBuiltinESMExports()
  onTestFinished(() => {
    fs.fsyncSync = original
    syncBuiltinESMExports()
  })
  return flushed
}

/** What is flushed for a file that moves to versions. */
function flushedForVersion (mode: FlushMode): string[] {
  const root = newFolder()
  fs.mkdirSync(join(root, 'laptop/photos'), { recursive: true })
  fs.writeFileSync(join(root, 'laptop/photos/a'), 'old')
  const beneath = new Beneath(root)
  onTestFinished(() => { beneath.close() })
  const flushing = new DiskFlushing(beneath, mode)
  const flushed = flushedBelow(root)
  new DiskVersions(beneath, flushing).remove('laptop', {
    count: 7,
    stampMs: STAMP_MS,
    removals: [{ directory: 'photos' as RelativePath, names: ['a' as Name] }],
  })
  expect(flushed).toEqual([])
  flushing.flush()
  const all = [...flushed]
  flushing.flush()
  expect(flushed).toEqual(all)
  return all.sort()
}

const DIRECTORIES = [
  '.filesync', '.filesync/versions', '.filesync/versions/laptop', '.filesync/versions/laptop/0000000007-2026-01-01T00.00.00.000Z',
  '.filesync/versions/laptop/0000000007-2026-01-01T00.00.00.000Z/photos', 'laptop/photos',
]

// Elsewhere it cannot be seen which file a descriptor belongs to.
test.runIf(process.platform === 'linux')('every directory with a changed name is flushed once if the file system cannot be flushed', () => {
  expect(flushedForVersion('each')).toEqual(DIRECTORIES)
})

test.runIf(process.platform === 'linux')('files are flushed if their directories may not be, and then one newer than all of them', () => {
  const flushed = flushedForVersion('relayed')
  expect(flushed).toEqual(expect.arrayContaining([
    ...DIRECTORIES, '.filesync/versions/laptop/0000000007-2026-01-01T00.00.00.000Z/photos/a',
  ]))
  expect(flushed.filter(path => path.startsWith('.filesync/staging/'))).toHaveLength(1)
})

test.runIf(process.platform === 'linux')('nothing is flushed separately if one call flushes the whole file system', () => {
  expect(flushedForVersion('whole')).toEqual([])
})
