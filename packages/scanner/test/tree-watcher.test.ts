import { mkdirSync, renameSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import type { RelativePath } from '@filesync/protocol'
import { describe, expect, onTestFinished, test } from 'vitest'
import { InotifyTreeWatcher } from '../src/node/inotify-tree-watcher.ts'
import { ParcelTreeWatcher } from '../src/node/parcel-tree-watcher.ts'
import type { TreeWatcher } from '../src/tree-watcher.ts'
import { scratch, write } from './fixture.ts'

const watchers: readonly (readonly [string, (root: string) => TreeWatcher])[] = [
  ...process.platform === 'linux' ? [['inotify', (root: string) => new InotifyTreeWatcher(root)] as const] : [],
  ['@parcel/watcher', root => new ParcelTreeWatcher(root)],
]

describe.each(watchers)('%s', (name, create) => {
  /** Watches a directory; `told` waits until a path has been told of. */
  async function watching (root: string): Promise<{ told: (path: string) => Promise<void>, lost: Promise<string>, end: () => Promise<void> }> {
    const paths = new Set<string>()
    const lost = Promise.withResolvers<string>()
    let wake = (): void => { /* nobody waits */ }
    const end = await create(root).subscribe({
      changed (changed: readonly RelativePath[]) {
        for (const path of changed) paths.add(path)
        wake()
      },
      missed: lost.resolve,
      lost: lost.resolve,
    })
    onTestFinished(end)
    return {
      lost: lost.promise, end,
      async told (path) {
        while (!paths.has(path)) await new Promise<void>(resolve => { wake = resolve })
        paths.clear()
      },
    }
  }

  test('tells of what happens at any depth', async () => {
    const root = scratch()
    write(root, { 'old/deep/file': '' })
    const { told } = await watching(root)
    write(root, { 'old/deep/file': 'changed' })
    await told('old/deep/file')
    rmSync(join(root, 'old/deep/file'))
    await told('old/deep/file')
  }, 20_000)

  // Found missing in @parcel/watcher on Linux, which is used on other systems only.
  test.runIf(name === 'inotify')('tells of what happens in directories that are new or renamed', async () => {
    const root = scratch()
    write(root, { 'old/deep/file': '' })
    const { told } = await watching(root)
    mkdirSync(join(root, 'new/deep'), { recursive: true })
    await told('new/deep')
    write(root, { 'new/deep/file': '' })
    await told('new/deep/file')
    renameSync(join(root, 'old'), join(root, 'renamed'))
    await told('renamed')
    write(root, { 'renamed/deep/file': 'changed again' })
    await told('renamed/deep/file')
    rmSync(join(root, 'renamed'), { recursive: true })
    await told('renamed')
  }, 20_000)

  test('says when the directory is gone', async () => {
    const root = join(scratch(), 'root')
    mkdirSync(root)
    const { lost } = await watching(root)
    rmSync(root, { recursive: true })
    expect(await lost).toContain('gone')
  }, 20_000)

  test('rejects for a directory that is not there', async () => {
    await expect(create('/nowhere/at/all').subscribe({ changed: () => { /* nothing */ }, missed: () => { /* nothing */ }, lost: () => { /* nothing */ } })).rejects.toThrow()
  })
})
