import type { Clock } from '@filesync/protocol'
import { hasDescriptorPaths, hashBytes } from '@filesync/protocol/node'
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
  /** Threads that read; 2 unless told. More gain nothing on two cores and little on more. */
  readonly workers?: number
  /** How long a file must stay as it is to be taken; 2 s unless told, and at least one tick of the kernel's clock. */
  readonly settleMs?: number
  /** How long `waitForSettled` waits at most; 30 s unless told. */
  readonly settleWaitMs?: number
  readonly ignore?: {
    /** A file of rules beside those in the tree. */
    readonly file?: string
    /** Whether temporary files of common programs are left out; they are unless told. */
    readonly builtIn?: boolean
  }
  /** What the last scanner of this directory knew (`Scanner.memory`). Leave it out to accept the directory as it is. */
  readonly memory?: ScanMemory
  /** Between full walks while changes are watched; 15 min unless told. */
  readonly fullWalkMs?: number
  /** Between walks where changes cannot be watched; 1 min unless told. */
  readonly fallbackWalkMs?: number
}

/**
 * Opens a directory for scanning. Rejects with SOURCE_UNAVAILABLE where it is missing, not a directory or unreadable, and with
 * SOURCE_SUSPECT where it is missing but is remembered.
 */
export async function openScanner (init: ScannerInit): Promise<Scanner> {
  const root = openRoot(init)
  const isLinux = process.platform === 'linux'
  const reader = new ReaderThreads(init.workers ?? 2, { root: root.path, byDescriptor: hasDescriptorPaths() })
  const ports = { root, reader, watcher: isLinux ? new InotifyTreeWatcher(root.path) : new ParcelTreeWatcher(root.path), hash: hashBytes, clock: init.clock }
  return new TreeScanner(ports, {
    settleMs: init.settleMs ?? 2_000,
    settleWaitMs: init.settleWaitMs ?? 30_000,
    builtInRules: init.ignore?.builtIn ?? true,
    fullWalkMs: init.fullWalkMs ?? 900_000,
    fallbackWalkMs: init.fallbackWalkMs ?? 60_000,
    memory: init.memory,
  })
}

function openRoot (init: ScannerInit): ReturnType<typeof localRoot> {
  try {
    const root = localRoot(init.root, init.ignore?.file)
    root.mark()
    return root
  } catch (error) {
    throw init.memory === undefined ? error : vanishedRoot(error)
  }
}
