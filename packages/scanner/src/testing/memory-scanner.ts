import { FileSyncError } from '@filesync/protocol'
import type { Clock, HashBytes, RelativePath } from '@filesync/protocol'
import type { LinkPolicy } from '../directory-reading.ts'
import type { ExcludedDirectory } from '../exclusions.ts'
import type { Scanner } from '../scanner.ts'
import type { ScanMemory } from '../source-root.ts'
import { TreeScanner } from '../tree-scanner.ts'
import { MemoryReader } from './memory-reader.ts'
import type { MemoryTree } from './memory-tree.ts'

export interface MemoryScannerInit {
  readonly tree: MemoryTree
  readonly clock: Clock
  readonly hash: HashBytes
  /** Default 2 s. */
  readonly settleMs?: number
  /** Default 30 s. */
  readonly settleWaitMs?: number
  /** Default `keep`. */
  readonly links?: LinkPolicy
  readonly excluded?: readonly ExcludedDirectory[]
  /** Whether the system tells what is mounted. Default true, as on Linux. */
  readonly hasMountTable?: boolean
  /** `memory` of the previous scanner of this tree. */
  readonly memory?: ScanMemory
}

/**
 * The scanner over a tree in memory: the same walk, rules, settling and watching as over a disk, but fast and deterministic.
 * A watch receives each change at once.
 */
export function memoryScanner (init: MemoryScannerInit): Scanner {
  const { tree, clock, hash, settleMs = 2_000, settleWaitMs = 30_000, memory, links = 'keep', excluded = [], hasMountTable = true } = init
  return new TreeScanner({
    root: {
      look () {
        const { refusal, device, inode, birthNs, mtimeNs, mode } = tree.root
        if (refusal !== undefined) throw new FileSyncError('SOURCE_UNAVAILABLE', `The directory cannot be pushed: ${refusal}.`)
        return {
          mark: { device: String(device), inode: String(inode), birthtimeNs: String(birthNs) }, state: { mtimeNs, mode },
          isMountPoint: hasMountTable ? false : undefined, hasStableInodes: true,
        }
      },
      extraRules: () => undefined,
      isDirectory: path => { const node = tree.node(path); return node === undefined ? undefined : node.kind === 'directory' },
      mounts: () => hasMountTable ? tree.mounts() : undefined,
      find (path) {
        const node = tree.node(path as RelativePath)
        return node?.kind === 'directory' ? { path: path as RelativePath, device: node.device, inode: node.inode } : undefined
      },
    },
    reader: new MemoryReader(tree),
    watcher: {
      async subscribe (listener) {
        const unwatch = tree.watch(path => { listener.changed([path]) })
        return async () => { unwatch() }
      },
    },
    hash,
    clock,
  }, { settleMs, settleWaitMs, builtInRules: true, fullWalkMs: 900_000, fallbackWalkMs: 60_000, memory, links, excluded })
}
