import { mkdirSync, readFileSync, renameSync, rmSync, unlinkSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import type { RelativePath } from '@filesync/protocol'
import { describe, expect, onTestFinished, test } from 'vitest'
import { InotifyTreeWatcher } from '../src/node/inotify-tree-watcher.ts'
import { ParcelTreeWatcher } from '../src/node/parcel-tree-watcher.ts'
import type { TreeWatcher } from '../src/tree-watcher.ts'
import { scratch, write } from './support/fixture.ts'

const watchers: readonly (readonly [string, (root: string) => TreeWatcher])[] = [
  ...process.platform === 'linux' ? [['inotify', (root: string) => new InotifyTreeWatcher(root)] as const] : [],
  ['@parcel/watcher', root => new ParcelTreeWatcher(root)],
]

interface Watching {
  /** Waits until a path has been told of. */
  readonly told: (path: string) => Promise<void>
  /** Waits until it was told so often that changes may be missing. */
  readonly missedTimes: (times: number) => Promise<void>
  readonly lost: Promise<string>
  readonly end: () => Promise<void>
}

const queueLength = process.platform === 'linux' ? Number(readFileSync('/proc/sys/fs/inotify/max_queued_events', 'utf8')) : 0
/** Filling a queue that was made much longer than usual would take too long. */
const fillsQueue = queueLength > 0 && queueLength <= 100_000

describe.each(watchers)('%s', (name, create) => {
  async function watching (root: string): Promise<Watching> {
    const paths = new Set<string>()
    const lost = Promise.withResolvers<string>()
    let missed = 0
    let wake = (): void => { /* nobody waits */ }
    const end = await create(root).subscribe({
      changed (changed: readonly RelativePath[]) {
        for (const path of changed) paths.add(path)
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

  test.runIf(name === 'inotify' && fillsQueue)('tells of what happens in directories that became new or renamed while the queue of the system was full', async () => {
    const root = scratch()
    write(root, { 'old/deep/file': '', 'burst/file': '', 'swapped/file': '' })
    const { told, missedTimes } = await watching(root)
    // Nothing is taken from the queue meanwhile.
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
      await told(path)
    }
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
