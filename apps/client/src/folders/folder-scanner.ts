import { asFileSyncError, FileSyncError, ROOT_PATH, wait } from '@filesync/protocol'
import type { ErrorCode, Name, RelativePath } from '@filesync/protocol'
import type { Explanation, RootMark, Scanner, ScanOptions, Snapshot, WatchStatus } from '@filesync/scanner'
import { openScanner } from '@filesync/scanner/node'
import type { ScannerInit } from '@filesync/scanner/node'
import type { Folder } from '../folder.ts'
import type { FolderMemory } from './folder-memory.ts'
import { entryOf, folderProblem, inFolder } from './folder-tree.ts'

export interface FolderScannerInit extends Omit<ScannerInit, 'root' | 'memory'> {
  readonly folder: Folder
  readonly memory: FolderMemory | undefined
  /** Whether the directory is accepted even if it is empty or another one than last time. */
  readonly accept: boolean
}

/** The result of scanning a folder: its content, or why it cannot be pushed now. */
export type FolderScan = { readonly snapshot: Snapshot } | { readonly away: FileSyncError }

/** Errors that say that a folder is not where it was, or not itself. Anything else is a fault of the scan. */
const AWAY: readonly ErrorCode[] = ['SOURCE_UNAVAILABLE', 'SOURCE_SUSPECT']
/** How often it is checked whether a directory that was not there at the start has come. */
const RETRY_MS = 60_000
const NOT_SCANNED: WatchStatus = { mode: 'idle', why: 'The folder cannot be reached; it is looked for every minute.' }

/** Scans one folder, which may come and go. */
export class FolderScanner {
  readonly folder: Folder
  readonly #init: FolderScannerInit
  #scanner: Scanner | undefined
  #opening: Promise<Scanner> | undefined
  #last: FolderScan | undefined
  #isClosed = false
  #isAccepting: boolean
  /** Whether the directory was scanned while it was accepted. */
  #isAccepted = false

  private constructor (init: FolderScannerInit) {
    this.#init = init
    this.#isAccepting = init.accept
    this.folder = init.folder
  }

  /** Throws SOURCE_UNAVAILABLE if the directory cannot be read and was never pushed: its path may be mistyped. */
  static async open (init: FolderScannerInit): Promise<FolderScanner> {
    const scanner = new FolderScanner(init)
    try {
      await scanner.#open()
    } catch (error) {
      if (init.memory === undefined || !isAway(error)) throw error
    }
    return scanner
  }

  /** The content at the last scan; undefined before the first one, and if the folder was away. */
  get snapshot (): Snapshot | undefined {
    return this.#last !== undefined && 'snapshot' in this.#last ? this.#last.snapshot : undefined
  }

  /** Why the folder could not be pushed at the last scan. */
  get away (): FileSyncError | undefined {
    return this.#last !== undefined && 'away' in this.#last ? this.#last.away : undefined
  }

  /** Whether the directory is still accepted as it is. */
  get isAccepting (): boolean {
    return this.#isAccepting
  }

  get status (): WatchStatus {
    return this.#scanner?.status ?? NOT_SCANNED
  }

  /** What to remember of the folder, once it was scanned. */
  get memory (): Pick<FolderMemory, 'path'> & NonNullable<Scanner['memory']> | undefined {
    const memory = this.#scanner?.memory
    return memory === undefined || this.snapshot === undefined ? undefined : { ...memory, path: this.folder.root }
  }

  async scan (options: ScanOptions): Promise<FolderScan> {
    try {
      const scanner = await this.#open()
      const snapshot = await scanner.scan(options)
      if (this.#isAccepting) this.#isAccepted = true
      this.#ensureSameDirectory(scanner.memory?.root)
      this.#last = { snapshot }
    } catch (error) {
      options.signal.throwIfAborted()
      if (!isAway(error)) throw error
      this.#last = { away: asFileSyncError(error) }
    }
    return this.#last
  }

  invalidate (directories: Iterable<RelativePath>): void {
    this.#scanner?.invalidate(directories)
  }

  /** The state of a path in the folder at the last scan; the paths in it are those of the whole tree. */
  explain (path: RelativePath): Explanation {
    const { name } = this.folder
    const last = this.#last
    // Its directory may never have been opened.
    if (last !== undefined && 'away' in last) return { state: 'away', problem: folderProblem(name, last.away.message) }
    if (last === undefined || this.#scanner === undefined) return { state: 'absent' }
    return explanationIn(name, path === ROOT_PATH ? explainRoot(name, last.snapshot) : this.#scanner.explain(path))
  }

  /** Calls back whenever the folder should be scanned, until the signal is aborted; then rejects. */
  async watch (signal: AbortSignal, onChange: () => void): Promise<void> {
    for (;;) {
      try {
        const scanner = await this.#open()
        for await (const { reason } of scanner.watch({ signal })) if (reason !== 'start') onChange()
      } catch (error) {
        signal.throwIfAborted()
        if (!isAway(error)) throw error
      }
      await wait(this.#init.clock, RETRY_MS, signal)
      // A run scans it, and finds out whether it is there.
      onChange()
    }
  }

  /** From now on the directory is compared with the remembered one, also if it was away while it would have been accepted. */
  endAcceptance (): void {
    this.#isAccepting = false
  }

  async close (): Promise<void> {
    this.#isClosed = true
    await this.#scanner?.close()
  }

  async #open (): Promise<Scanner> {
    const { folder, memory, accept: _, ...init } = this.#init
    if (this.#isClosed) throw new FileSyncError('ABORTED', 'The client is closed.')
    // A scan and the watch may need it at the same time.
    this.#opening ??= openScanner({ ...init, root: folder.root, ...(memory !== undefined && !this.#isAccepting && { memory }) })
    try {
      this.#scanner = await this.#opening
      return this.#scanner
    } catch (error) {
      this.#opening = undefined
      throw error
    }
  }

  /** A folder may move to another path, and its directory may be made again at its path, but not both at once. */
  #ensureSameDirectory (now: RootMark | undefined): void {
    const { folder, memory } = this.#init
    if (memory === undefined || this.#isAccepted || now === undefined || memory.path === folder.root) return
    const { root, path } = memory
    if (root.inode === now.inode && root.birthtimeNs === now.birthtimeNs) return
    throw new FileSyncError('SOURCE_SUSPECT', `The folder "${folder.name}" is ${path} in the archive so far, and ${folder.root} is ` +
      `another directory. Nothing of it was changed on the server. Push it under another name (NAME=${folder.root}), ` +
      'or with --accept-source if it has replaced the former one.')
  }
}

/** The folder itself. */
function explainRoot (name: Name, snapshot: Snapshot): Explanation {
  const { problems: [first], problemCount: count, leftOut } = snapshot
  return {
    state: 'listed',
    entry: entryOf(name, snapshot),
    ...(first !== undefined && { below: { first, count } }),
    ...(leftOut.count > 0 && { leftOut }),
  }
}

function explanationIn (name: Name, found: Explanation): Explanation {
  const inTree = <T extends { readonly path: string }>(one: T): T => ({ ...one, path: inFolder(name, one.path) })
  switch (found.state) {
    case 'away': return { ...found, problem: inTree(found.problem) }
    case 'problem': return { ...found, problem: inTree(found.problem) }
    case 'unsettled': return { ...found, problem: inTree(found.problem) }
    case 'left-out': return { ...found, leftOut: inTree(found.leftOut) }
    case 'listed': return {
      ...found,
      ...(found.below !== undefined && { below: { ...found.below, first: inTree(found.below.first) } }),
      ...(found.leftOut !== undefined && { leftOut: { ...found.leftOut, first: found.leftOut.first.map(inTree) } }),
    }
    case 'absent':
    case 'excluded':
    case 'ignored':
      return found
  }
}

function isAway (error: unknown): boolean {
  return error instanceof FileSyncError && AWAY.includes(error.code)
}
