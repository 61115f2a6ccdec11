import type { Clock } from '@filesync/protocol'
import { hasDescriptorPaths, hashBytes } from '@filesync/protocol/node'
import type { LinkPolicy } from '../directory-reading.ts'
import type { ExcludedDirectory } from '../exclusions.ts'
import type { Scanner } from '../scanner.ts'
import { vanishedRoot } from '../source-root.ts'
import type { ScanMemory } from '../source-root.ts'
import { TreeScanner } from '../tree-scanner.ts'
import { InotifyTreeWatcher } from './inotify-tree-watcher.ts'
import { localRoot } from './local-root.ts'
import { ParcelTreeWatcher } from './parcel-tree-watcher.ts'
import { ReaderThreads } from './reader-threads.ts'

export interface ScannerInit {
  /** The directory to scan. */
  readonly root: string
  readonly clock: Clock
  /** Number of threads that read. Default 2; more does not help on two cores and helps little on more. */
  readonly workers?: number
  /** Threads to share with other scanners; by default the scanner has its own. */
  readonly threads?: ScannerThreads
  /** How long a file must be unchanged to be settled. Default 2 s; at least one tick of the kernel's clock. */
  readonly settleMs?: number
  /** How long `waitForSettled` waits at most. Default 30 s. */
  readonly settleWaitMs?: number
  readonly ignore?: {
    /** A file of rules in addition to those in the source. */
    readonly file?: string
    /** Whether temporary files of common programs are ignored. Default true. */
    readonly builtIn?: boolean
  }
  /** Symbolic links that lead out of the directory: `keep` lists them as they are, `refuse` leaves them out. Default `keep`. */
  readonly links?: LinkPolicy
  /** Directories that are not listed, and whose changes are not noticed. */
  readonly excluded?: readonly ExcludedDirectory[]
  /** `Scanner.memory` of the previous scanner of this directory. Omit it to accept the directory as it is. */
  readonly memory?: ScanMemory
  /** Time between full walks while changes are watched. Default 15 min. */
  readonly fullWalkMs?: number
  /** Time between walks if changes cannot be watched. Default 1 min. */
  readonly fallbackWalkMs?: number
}

/** Threads that read directories, for any number of scanners. Close them after the scanners. */
export interface ScannerThreads {
  close (): Promise<void>
}

const DEFAULT_WORKERS = 2

class SharedThreads implements ScannerThreads {
  readonly threads: ReaderThreads

  constructor (workers: number) {
    this.threads = new ReaderThreads(workers, { byDescriptor: hasDescriptorPaths() })
  }

  async close (): Promise<void> {
    await this.threads.close()
  }
}

/** Starts threads that several scanners can share. */
export function openScannerThreads (workers: number = DEFAULT_WORKERS): ScannerThreads {
  return new SharedThreads(workers)
}

/**
 * Opens a directory for scanning. Rejects with SOURCE_UNAVAILABLE if it is missing, not a directory or unreadable, or with
 * SOURCE_SUSPECT if `memory` shows that it was scanned before.
 */
export async function openScanner (init: ScannerInit): Promise<Scanner> {
  const root = openRoot(init)
  const isLinux = process.platform === 'linux'
  const isShared = init.threads instanceof SharedThreads
  const shared = isShared ? init.threads : new SharedThreads(init.workers ?? DEFAULT_WORKERS)
  const reader = { ...shared.threads.readerOf(root.path), close: async () => { if (!isShared) await shared.close() } }
  const watcher = isLinux ? new InotifyTreeWatcher(root.path, init.clock) : new ParcelTreeWatcher(root.path)
  return new TreeScanner({ root, reader, watcher, hash: hashBytes, clock: init.clock }, {
    settleMs: init.settleMs ?? 2_000,
    settleWaitMs: init.settleWaitMs ?? 30_000,
    builtInRules: init.ignore?.builtIn ?? true,
    fullWalkMs: init.fullWalkMs ?? 900_000,
    fallbackWalkMs: init.fallbackWalkMs ?? 60_000,
    memory: init.memory,
    links: init.links ?? 'keep',
    excluded: init.excluded ?? [],
  })
}

function openRoot (init: ScannerInit): ReturnType<typeof localRoot> {
  try {
    const root = localRoot(init.root, init.ignore?.file)
    root.look()
    return root
  } catch (error) {
    throw init.memory === undefined ? error : vanishedRoot(error)
  }
}
