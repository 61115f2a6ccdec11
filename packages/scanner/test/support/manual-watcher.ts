import type { RelativePath } from '@filesync/protocol'
import { hashBytes, systemClock } from '@filesync/protocol/node'
import { expect, onTestFinished } from 'vitest'
import type { Scanner } from '@filesync/scanner'
import type { DirectoryReader, DirectoryReading } from '../../src/directory-reading.ts'
import { localRoot } from '../../src/node/local-root.ts'
import { ReaderThreads } from '../../src/node/reader-threads.ts'
import { TreeScanner } from '../../src/tree-scanner.ts'
import type { TreeWatcher, WatchListener } from '../../src/tree-watcher.ts'

/** A watcher whose events the test reports. */
export class ManualWatcher implements TreeWatcher {
  listener: WatchListener | undefined
  refusal: string | undefined

  async subscribe (listener: WatchListener): Promise<() => Promise<void>> {
    if (this.refusal !== undefined) throw new Error(this.refusal)
    this.listener = listener
    return async () => { this.listener = undefined }
  }

  report (...paths: string[]): void {
    this.listener?.changed(paths as RelativePath[])
  }
}

interface ManuallyWatched {
  readonly scanner: Scanner
  readonly report: (paths: readonly string[]) => void
}

/**
 * A scanner over a real directory whose watch has started; the test reports its events.
 *
 * @param onReading called with each directory that was read
 */
export async function openWithManualWatcher (
  root: string, onReading: (reading: DirectoryReading) => void = () => { /* not counted */ },
): Promise<ManuallyWatched> {
  const watcher = new ManualWatcher()
  const threads = new ReaderThreads(2, { byDescriptor: process.platform === 'linux' })
  const inner = threads.readerOf(root)
  const reader: DirectoryReader & { close (): Promise<void> } = {
    ...inner,
    read: async batch => {
      const readings = await inner.read(batch)
      readings.forEach(onReading)
      return readings
    },
    close: async () => { await threads.close() },
  }
  const scanner = new TreeScanner({ root: localRoot(root, undefined), reader, watcher, hash: hashBytes, clock: systemClock }, {
    settleMs: 0, settleWaitMs: 1_000, builtInRules: true, fullWalkMs: 1e9, fallbackWalkMs: 1e9, memory: undefined,
    links: 'keep', excluded: [],
  })
  const stop = new AbortController()
  const batches = scanner.watch({ signal: stop.signal })[Symbol.asyncIterator]()
  onTestFinished(async () => {
    stop.abort(new Error('done'))
    await expect(batches.next()).rejects.toThrow('done')
    await scanner.close()
  })
  expect((await batches.next()).value).toEqual({ reason: 'start', paths: 0 })
  return { scanner, report: paths => { watcher.report(...paths) } }
}
