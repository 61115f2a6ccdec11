import { splitFolder } from '@filesync/protocol'
import type { Clock, HashBytes, RelativePath } from '@filesync/protocol'
import type { Explanation, ScanOptions, WatchStatus } from '@filesync/scanner'
import { openScannerThreads } from '@filesync/scanner/node'
import type { ScannerInit, ScannerThreads } from '@filesync/scanner/node'
import type { Folder } from '../folder.ts'
import type { FolderMemories } from './folder-memory.ts'
import { FolderScanner } from './folder-scanner.ts'
import { folderProblem, FolderTree } from './folder-tree.ts'
import type { FolderState } from './folder-tree.ts'

export interface FolderSetInit extends Pick<ScannerInit, 'settleMs' | 'ignore' | 'links' | 'excluded'> {
  readonly folders: readonly Folder[]
  readonly memories: FolderMemories
  /** Whether directories are accepted even if they are empty or others than last time. */
  readonly accept: boolean
  readonly hash: HashBytes
  readonly clock: Clock
}

/** The folders of a client, scanned as one tree. */
export class FolderSet {
  readonly scanners: readonly FolderScanner[]
  readonly #threads: ScannerThreads
  readonly #init: FolderSetInit

  private constructor (init: FolderSetInit, scanners: readonly FolderScanner[], threads: ScannerThreads) {
    this.#init = init
    this.scanners = scanners
    this.#threads = threads
  }

  /** Throws SOURCE_UNAVAILABLE if a folder that was never pushed cannot be read. */
  static async open (init: FolderSetInit): Promise<FolderSet> {
    const { folders, memories, hash: _, ...shared } = init
    const threads = openScannerThreads()
    try {
      const scanners = await Promise.all(folders.map(async folder => (
        await FolderScanner.open({ ...shared, folder, memory: memories.get(folder.name), threads })
      )))
      return new FolderSet(init, scanners, threads)
    } catch (error) {
      await threads.close()
      throw error
    }
  }

  /** How changes are noticed: as in the folder that is worst off. */
  get status (): WatchStatus {
    const all = this.scanners.map(({ status }) => status)
    return all.find(({ why }) => why !== undefined) ?? all[0] ?? { mode: 'idle', why: undefined }
  }

  /**
   * Scans all folders. One that cannot be reached is left out of the tree and is a problem; the others are not affected. Throws why, if
   * none can be reached.
   */
  async scan (options: ScanOptions): Promise<FolderTree> {
    const tree = await this.look(options)
    const [first] = this.scanners
    if (first?.away !== undefined && this.scanners.every(({ away }) => away !== undefined)) throw first.away
    return tree
  }

  /** As {@link scan}, but does not throw if no folder can be reached. */
  async look (options: ScanOptions): Promise<FolderTree> {
    const states = (await this.#scanAll(options)).map(({ scanner: { folder: { name }, isAccepting }, scan }): FolderState => (
      'snapshot' in scan
        ? { name, snapshot: scan.snapshot, isAccepted: isAccepting }
        : { name, problem: folderProblem(name, scan.away.message) }
    ))
    return new FolderTree(states, { hash: this.#init.hash })
  }

  /** Has the next scan read these directories again; paths of the whole tree. */
  invalidate (directories: Iterable<RelativePath>): void {
    for (const directory of directories) {
      const { folder, path } = splitFolder(directory)
      this.#find(folder)?.invalidate([path])
    }
  }

  /** The state of a path of the whole tree at the last scan. */
  explain (path: RelativePath): Explanation {
    const { folder, path: inside } = splitFolder(path)
    return this.#find(folder)?.explain(inside) ?? { state: 'absent' }
  }

  /** The user's acceptance of a directory is for one complete run. */
  endAcceptance (): void {
    for (const scanner of this.scanners) scanner.endAcceptance()
  }

  /** Calls back whenever a folder should be scanned, until the signal is aborted; then rejects. */
  async watch (signal: AbortSignal, onChange: () => void): Promise<void> {
    await Promise.all(this.scanners.map(async scanner => { await scanner.watch(signal, onChange) }))
  }

  async close (): Promise<void> {
    await Promise.all(this.scanners.map(async scanner => { await scanner.close() }))
    await this.#threads.close()
  }

  async #scanAll (options: ScanOptions): Promise<{ scanner: FolderScanner, scan: Awaited<ReturnType<FolderScanner['scan']>> }[]> {
    const done = await Promise.allSettled(this.scanners.map(async scanner => ({ scanner, scan: await scanner.scan(options) })))
    return done.map(each => {
      if (each.status === 'rejected') throw each.reason
      return each.value
    })
  }

  #find (name: string): FolderScanner | undefined {
    return this.scanners.find(({ folder }) => folder.name === name)
  }
}
