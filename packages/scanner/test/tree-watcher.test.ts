import { mkdirSync, readFileSync, renameSync, rmSync, unlinkSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import type { RelativePath } from '@filesync/protocol'
import { systemClock } from '@filesync/protocol/node'
import { describe, expect, onTestFinished, test } from 'vitest'
import { InotifyTreeWatcher } from '../src/node/inotify-tree-watcher.ts'
import { ParcelTreeWatcher } from '../src/node/parcel-tree-watcher.ts'
import type { TreeWatcher } from '../src/tree-watcher.ts'
import { scratch, write } from './support/fixture.ts'

const watchers: readonly (readonly [string, (root: string) => TreeWatcher])[] = [
  ...process.platform === 'linux' ? [['inotify', (root: string) => new InotifyTreeWatcher(root, systemClock)] as const] : [],
  ['@parcel/watcher', root => new ParcelTreeWatcher(root)],
]

interface Watching {
  /** Waits until a change of a path was reported. */
  readonly changed: (path: string) => Promise<void>
  /** Waits until missed changes were reported this number of times. */
  readonly missedTimes: (times: number) => Promise<void>
  readonly lost: Promise<string>
  readonly end: () => Promise<void>
}

const queueLength = process.platform === 'linux' ? Number(readFileSync('/proc/sys/fs/inotify/max_queued_events', 'utf8')) : 0
/** Filling a queue that is much longer than the default would take too long. */
const fillsQueue = queueLength > 0 && queueLength <= 100_000

describe.each(watchers)('%s', (name, create) => {
  async function watching (root: string): Promise<Watching> {
    const paths = new Set<string>()
    const lost = Promise.withResolvers<string>()
    let missed = 0
    let wake = (): void => { /* nothing waits */ }
    const end = await create(root).subscribe({
      changed (reported: readonly RelativePath[]) {
        for (const path of reported) paths.add(path)
        wake()
      },
      missed: () => {
        missed++
        wake()
      },
      lost: lost.resolve,
    })
    onTestFinished(end)
    return {
      lost: lost.promise, end,
      async missedTimes (times) {
        while (missed < times) await new Promise<void>(resolve => { wake = resolve })
        paths.clear()
      },
      async changed (path) {
        while (!paths.has(path)) await new Promise<void>(resolve => { wake = resolve })
        paths.clear()
      },
    }
  }

  test('reports changes at any depth', async () => {
    const root = scratch()
    write(root, { 'old/deep/file': '' })
    const { changed } = await watching(root)
    write(root, { 'old/deep/file': 'changed' })
    await changed('old/deep/file')
    rmSync(join(root, 'old/deep/file'))
    await changed('old/deep/file')
  }, 20_000)

  // Found missing in @parcel/watcher on Linux, which is used on other systems only.
  test.runIf(name === 'inotify')('reports changes in directories that are new or renamed', async () => {
    const root = scratch()
    write(root, { 'old/deep/file': '' })
    const { changed } = await watching(root)
    mkdirSync(join(root, 'new/deep'), { recursive: true })
    await changed('new/deep')
    write(root, { 'new/deep/file': '' })
    await changed('new/deep/file')
    renameSync(join(root, 'old'), join(root, 'renamed'))
    await changed('renamed')
    write(root, { 'renamed/deep/file': 'changed again' })
    await changed('renamed/deep/file')
    rmSync(join(root, 'renamed'), { recursive: true })
    await changed('renamed')
  }, 20_000)

  test.runIf(name === 'inotify' && fillsQueue)(
    'reports changes in directories that were created or renamed while the event queue was full', async () => {
      const root = scratch()
      write(root, { 'old/deep/file': '', 'burst/file': '', 'swapped/file': '' })
      const { changed, missedTimes } = await watching(root)
      // The queue is not read meanwhile.
      for (let i = 0; i <= queueLength; i += 2) {
        writeFileSync(join(root, 'burst/flicker'), '')
        unlinkSync(join(root, 'burst/flicker'))
      }
      mkdirSync(join(root, 'new/deep'), { recursive: true })
      renameSync(join(root, 'old'), join(root, 'renamed'))
      renameSync(join(root, 'swapped'), join(root, 'away'))
      mkdirSync(join(root, 'swapped'))
      // Once when it happened, and once when everything is watched again.
      await missedTimes(2)
      for (const path of ['new/deep/file', 'renamed/deep/file', 'away/file', 'swapped/file']) {
        write(root, { [path]: 'changed' })
        await changed(path)
      }
    }, 20_000)

  test('reports that the directory is gone', async () => {
    const root = join(scratch(), 'root')
    mkdirSync(root)
    const { lost } = await watching(root)
    rmSync(root, { recursive: true })
    expect(await lost).toContain('gone')
  }, 20_000)

  test('rejects a directory that does not exist', async () => {
    const ignore = (): void => { /* no events are expected */ }
    const subscribing = create('/nowhere/at/all').subscribe({ changed: ignore, missed: ignore, lost: ignore })
    await expect(subscribing).rejects.toThrow()
  })
})
