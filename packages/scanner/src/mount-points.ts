import { joinPath, pathNames, problem, ROOT_PATH } from '@filesync/protocol'
import type { Problem, RelativePath } from '@filesync/protocol'
import { hasLinks } from './directory-node.ts'
import type { DirectoryNode } from './directory-node.ts'
import type { DirectoryReading, FoundMount } from './directory-reading.ts'
import { changedMounts } from './mount-table.ts'
import type { MountTable } from './mount-table.ts'
import type { Explanation } from './scanner.ts'
import { isSameDirectory, isSameMount } from './source-root.ts'
import type { RememberedMount, RootMark, ScanMemory } from './source-root.ts'

const NOT_MOUNTED = 'nothing is mounted there now. Mount it again, or start with --accept-source if it is not coming back'
const UNSTEADY = 'it is being mounted and unmounted, so it is left to the next run'
const BACK_OR_ACCEPT = 'Mount it again, or start with --accept-source if it is not coming back'
const ACCEPT_OTHER = 'or start with --accept-source to push this one instead'

/** A directory that counts as away, with the reason. */
interface Away {
  readonly why: string
  /** Files that were listed in it until now. */
  readonly files: number
  /** Whether a mount hides a directory, so that it is away until it is visible again. */
  readonly isCovered?: boolean
}

/** What a scan says about mount points. */
export interface MountsOfScan {
  /** Mount points that are away, without those below others. */
  readonly away: readonly RelativePath[]
  readonly problems: readonly Problem[]
  /** Number of files that were listed last time and are away now. */
  readonly filesAway: number
  readonly memory: Required<Pick<ScanMemory, 'mounts' | 'covered'>>
}

/**
 * Decides which mount points in a source are away. A mount point that was listed, and where the same file system is no longer
 * mounted, is away and not deleted: it is not listed, and the archive leaves it alone. So is a directory with files that a mount
 * hides. On Linux the system says what a mount point is; elsewhere it is a directory on another device than the one above.
 */
export class MountPoints {
  #known: ReadonlyMap<RelativePath, RememberedMount>
  #covered: ReadonlySet<RelativePath>
  #table: MountTable | undefined
  #latest: DirectoryNode | undefined
  #away = new Map<RelativePath, Away>()
  /** The paths of `#away` that the current walk does not look at. */
  #omitted = new Set<RelativePath>()
  /** Mount points that are forgotten if the scan succeeds. */
  #moved = new Set<RelativePath>()

  constructor (memory: ScanMemory | undefined) {
    this.#known = new Map(memory?.mounts?.map(mount => [mount.path, mount]))
    this.#covered = new Set(memory?.covered)
  }

  /** The mount points that are away, as far as that is known. They are not looked at. */
  get awayPaths (): ReadonlySet<RelativePath> {
    return this.#omitted
  }

  /**
   * Begins a scan, or begins it again after a change of the mounts. Returns the mount points at which something changed since the last one.
   *
   * @param table the current mounts; undefined if the system does not tell them
   * @param latest the tree of the last scan
   */
  begin (table: MountTable | undefined, latest: DirectoryNode | undefined): RelativePath[] {
    const before = [...this.#away.keys()]
    const changed = changedMounts(this.#table ?? NO_MOUNTS, table ?? NO_MOUNTS)
    this.#table = table
    this.#latest = latest
    this.#away = new Map()
    this.#moved = new Set()
    if (table !== undefined) {
      for (const [path, { files }] of this.#known) if (!table.has(path)) this.#away.set(path, { why: NOT_MOUNTED, files })
      for (const path of this.#covered) if (table.has(path)) this.#setCovered(path, 0)
    }
    this.#omitted = new Set(this.#away.keys())
    return [...changed, ...before, ...this.#omitted]
  }

  /** Whether the reader has to tell which directory a path leads to. */
  isMarked (path: RelativePath): boolean {
    return this.#known.has(path) || this.#table?.has(path) === true
  }

  /** Whether a directory that was just read is away. Its parent has to be read again without it. */
  isAway (path: RelativePath, reading: DirectoryReading): boolean {
    const mount = reading.status === 'read' ? this.#mountAt(path, reading.mount) : undefined
    const known = this.#knownAt(path)
    if (known !== undefined) {
      const why = whyAway(known, reading, mount)
      if (why !== undefined) this.#away.set(path, { why, files: known.files })
      return why !== undefined
    }
    if (mount === undefined) return false
    const hidden = nodeAt(this.#latest, path)
    if (!this.#covered.has(path) && !hasContent(hidden)) return false
    this.#setCovered(path, hidden?.files ?? 0)
    return true
  }

  /**
   * Ends a walk. Returns the paths at which the tree must be read again: what is away must not be listed, nor what is missing be
   * taken for deleted.
   *
   * @param explain the state of a path in the tree
   */
  end (root: DirectoryNode, explain: (path: RelativePath) => Explanation): RelativePath[] {
    const found = this.#mountsIn(root)
    for (const [path, known] of this.#known) {
      if (found.has(path) || this.#away.has(path) || this.#moved.has(path)) continue
      const why = whyMissing(explain(path))
      if (why !== undefined) this.#away.set(path, { why, files: known.files })
    }
    const moved = [...this.#away.keys()].filter(path => this.#isMoved(path, found))
    for (const path of moved) {
      this.#away.delete(path)
      this.#moved.add(path)
    }
    const before = this.#omitted
    this.#omitted = new Set(this.#away.keys())
    return [...moved, ...[...this.#omitted].filter(path => !before.has(path))]
  }

  /** Has mount points that keep changing count as away for this scan. Returns those at which the tree must be read again. */
  setUnsteady (paths: readonly RelativePath[]): RelativePath[] {
    const fresh = paths.filter(path => !this.#away.has(path))
    for (const path of fresh) this.#away.set(path, { why: UNSTEADY, files: this.#known.get(path)?.files ?? 0 })
    this.#omitted = new Set(this.#away.keys())
    return fresh
  }

  /** The result for a tree that {@link end} found nothing to read again in. */
  result (root: DirectoryNode): MountsOfScan {
    const top = [...this.#away.keys()].filter(path => !isBelowAny(path, this.#away)).sort()
    const listed = [...this.#mountsIn(root)].map(([path, { mark, files }]) => ({ path, ...mark, files }))
    const away = [...this.#known.values()].filter(({ path }) => this.#away.has(path)).map(known => ({ ...known, files: 0 }))
    const isCovered = (path: RelativePath): boolean => this.#away.get(path)?.isCovered === true
    return {
      away: top,
      problems: top.map(path => problem(path, 'AWAY', this.#away.get(path)?.why)),
      filesAway: top.reduce((sum, path) => sum + (this.#away.get(path)?.files ?? 0), 0),
      memory: { mounts: [...listed, ...away], covered: [...this.#away.keys()].filter(isCovered) },
    }
  }

  /** Remembers the mount points of a scan that succeeded. */
  remember ({ mounts, covered }: MountsOfScan['memory']): void {
    this.#known = new Map(mounts.map(mount => [mount.path, mount]))
    this.#covered = new Set(covered)
  }

  #setCovered (path: RelativePath, files: number): void {
    const why = `a file system that is mounted there hides the files that were pushed from it. Unmount it, ${ACCEPT_OTHER}`
    this.#away.set(path, { why, files, isCovered: true })
  }

  #knownAt (path: RelativePath): RememberedMount | undefined {
    return this.#moved.has(path) ? undefined : this.#known.get(path)
  }

  /** The mount of a directory; undefined if it is none. Subvolumes are devices of their own, but are not mounted. */
  #mountAt (path: RelativePath, mount: FoundMount | undefined): FoundMount | undefined {
    const isMounted = this.#table === undefined ? mount?.entersDevice === true : this.#table.has(path)
    return isMounted ? mount : undefined
  }

  /** Whether exactly this file system is now listed at another path, at which nothing was mounted before. */
  #isMoved (path: RelativePath, found: ReadonlyMap<RelativePath, ListedMount>): boolean {
    const known = this.#known.get(path)
    if (known === undefined) return false
    for (const [at, { mark }] of found) {
      if (!this.#known.has(at) && known.device === mark.device && isSameDirectory(known, mark)) return true
    }
    return false
  }

  #mountsIn (root: DirectoryNode): Map<RelativePath, ListedMount> {
    const found = new Map<RelativePath, ListedMount>()
    const stack: { readonly node: DirectoryNode, readonly path: RelativePath }[] = [{ node: root, path: ROOT_PATH }]
    for (let at = stack.pop(); at !== undefined; at = stack.pop()) {
      const { node, path } = at
      const mount = path === ROOT_PATH ? undefined : this.#mountAt(path, node.notes.mount)
      if (mount !== undefined) found.set(path, { mark: mount.mark, files: node.files })
      for (const child of node.oddChildren()) if (child.odd.mounts > 0) stack.push({ node: child, path: joinPath(path, child.name) })
    }
    return found
  }
}

interface ListedMount {
  readonly mark: RootMark
  readonly files: number
}

const NO_MOUNTS: MountTable = new Map()

function whyAway (known: RememberedMount, reading: DirectoryReading, mount: FoundMount | undefined): string | undefined {
  if (reading.status === 'gone') return `the directory is gone. ${BACK_OR_ACCEPT}`
  if (reading.status === 'unreadable') return `it cannot be read (${reading.why}). Check its disk`
  if (mount === undefined) return NOT_MOUNTED
  return isSameMount(known, mount) ? undefined : `another file system is mounted there. Mount the right one, ${ACCEPT_OTHER}`
}

/** Undefined if the user wants the path not to be listed. */
function whyMissing (explanation: Explanation): string | undefined {
  const { state } = explanation
  if (state === 'ignored' || state === 'excluded') return undefined
  return state === 'problem' ? `${explanation.problem.message}. Check its disk` : `the directory is gone. ${BACK_OR_ACCEPT}`
}

/** Whether something in a directory would look deleted if another one took its place. */
function hasContent (node: DirectoryNode | undefined): boolean {
  return node !== undefined && (node.files > 0 || hasLinks(node))
}

function nodeAt (root: DirectoryNode | undefined, path: RelativePath): DirectoryNode | undefined {
  let at = root
  for (const name of pathNames(path)) at = at?.child(name)
  return at
}

function isBelowAny (path: RelativePath, others: ReadonlyMap<RelativePath, unknown>): boolean {
  for (let at = path.lastIndexOf('/'); at > 0; at = path.lastIndexOf('/', at - 1)) {
    if (others.has(path.slice(0, at) as RelativePath)) return true
  }
  return false
}
