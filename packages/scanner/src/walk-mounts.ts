import type { RelativePath } from '@filesync/protocol'
import { DirtyDirectories } from './dirty-directories.ts'
import { changedMounts } from './mount-table.ts'
import type { MountTable } from './mount-table.ts'
import type { MountPoints } from './mount-points.ts'
import type { Explanation } from './scanner.ts'
import type { NodeSnapshot } from './snapshot.ts'

/** How often one scan begins again because something was mounted or unmounted meanwhile. */
const MAX_CHANGES = 3

export interface MountWalkInit {
  readonly mounts: MountPoints
  /** The current mounts; undefined if the system does not tell them. */
  readonly table: () => MountTable | undefined
  readonly latest: NodeSnapshot | undefined
  /** Reads the directories that are marked. */
  readonly walk: (dirty: DirtyDirectories) => Promise<NodeSnapshot>
  readonly explain: (snapshot: NodeSnapshot, path: RelativePath) => Explanation
}

/**
 * Walks until no mount changed during the walk, and nothing that is away is listed. A file system that is unmounted while it is
 * read would otherwise look like a directory whose files were deleted.
 */
export async function walkMounts (init: MountWalkInit, dirty: DirtyDirectories): Promise<NodeSnapshot> {
  const { mounts, walk, explain } = init
  let table = init.table()
  let todo = dirty
  markAll(todo, mounts.begin(table, init.latest?.root))
  for (let round = 0; ; round++) {
    const snapshot = await walk(todo)
    const again = mounts.end(snapshot.root, path => explain(snapshot, path))
    const now = init.table()
    const changed = changedMounts(table ?? NONE, now ?? NONE)
    if (changed.length > 0) again.push(...round < MAX_CHANGES ? mounts.begin(now, init.latest?.root) : mounts.setUnsteady(changed))
    table = now
    if (again.length === 0) return snapshot
    todo = new DirtyDirectories()
    markAll(todo, again)
  }
}

const NONE: MountTable = new Map()

function markAll (dirty: DirtyDirectories, paths: readonly RelativePath[]): void {
  for (const path of paths) dirty.markEvent(path)
}
