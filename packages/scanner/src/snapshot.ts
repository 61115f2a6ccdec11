import { joinPath, LIMITS, pathNames, problem, ROOT_PATH, splitPath } from '@filesync/protocol'
import type { Digest, DirectoryPages, Problem, RelativePath, Tree } from '@filesync/protocol'
import type { DirectoryNode } from './directory-node.ts'
import type { LeftOut, LeftOutEntries } from './left-out.ts'
import type { MountsOfScan } from './mount-points.ts'
import type { RootState } from './source-root.ts'

/** The state of a source at one time. Immutable; a later snapshot shares what did not change. */
export interface Snapshot extends Tree {
  /**
   * False if a directory or an entry could not be read: what is missing in the listings may still exist, so the server must
   * delete nothing. What is away does not count: the server has to leave that alone in any case.
   */
  readonly complete: boolean
  /** The first problems, in the order of directories; `problemCount` is exact. */
  readonly problems: readonly Problem[]
  readonly problemCount: number
  /** The first entries that are left out by their nature, in the order of directories, and the number of all. They are no problems. */
  readonly leftOut: LeftOutEntries
  /** Directories that were listed before and are away, such as mount points whose disk is not mounted. They are not listed. */
  readonly away: readonly RelativePath[]
  /** Time and mode of the root directory itself. */
  readonly rootState: RootState
  /** Number of ignored names; what is below an ignored directory is not counted. */
  readonly ignoredCount: number
  /** Number of files that were written to recently. They are listed, so that they do not look deleted. */
  readonly unsettledCount: number
  /** Whether a file is unsettled: its content must not be sent; the answer is the problem UNSETTLED. */
  isUnsettled (path: RelativePath): boolean
  /**
   * Files that have been unsettled for so long that their content is sent up to the size that is listed. Their problem is
   * GROWING. `isUnsettled` is true for them too.
   */
  readonly growing: ReadonlySet<RelativePath>
  /** FileSync archives in the source, by the paths of their roots. */
  readonly archives: readonly FoundArchive[]
}

/** The root of an archive that a scan found. */
export interface FoundArchive {
  readonly path: RelativePath
  readonly id: string
}

const NO_BYTES = new Uint8Array(0)
const NONE: ReadonlySet<RelativePath> = new Set()

export interface NodeSnapshotInit {
  readonly root: DirectoryNode
  readonly rootDigest: Digest
  readonly rootState: RootState
  readonly growing?: ReadonlySet<RelativePath>
  readonly away?: readonly RelativePath[]
  /** The problems of what is away. */
  readonly awayProblems?: readonly Problem[]
}

export class NodeSnapshot implements Snapshot {
  readonly root: DirectoryNode
  readonly rootDigest: Digest
  readonly rootState: RootState
  readonly growing: ReadonlySet<RelativePath>
  readonly away: readonly RelativePath[]
  readonly #awayProblems: readonly Problem[]
  #problems: readonly Problem[] | undefined
  #leftOut: readonly LeftOut[] | undefined

  constructor ({ root, rootDigest, rootState, growing = NONE, away = [], awayProblems = [] }: NodeSnapshotInit) {
    this.root = root
    this.rootDigest = rootDigest
    this.rootState = rootState
    this.growing = growing
    this.away = away
    this.#awayProblems = awayProblems
  }

  /** The same tree with other facts about it. */
  with (facts: Partial<NodeSnapshotInit>): NodeSnapshot {
    const { root, rootDigest, rootState, growing, away } = this
    return new NodeSnapshot({ root, rootDigest, rootState, growing, away, awayProblems: this.#awayProblems, ...facts })
  }

  /** The snapshot with what is away; this one if that is the same. */
  withAway ({ away, problems }: Pick<MountsOfScan, 'away' | 'problems'>): NodeSnapshot {
    const key = (list: readonly Problem[]): string => JSON.stringify(list)
    return key(problems) === key(this.#awayProblems) ? this : this.with({ away, awayProblems: problems })
  }

  /** The problem of a path that is away, or below one that is. */
  awayProblemOf (path: RelativePath): Problem | undefined {
    return this.#awayProblems.find(away => path === away.path || path.startsWith(`${away.path}/`))
  }

  get files (): number { return this.root.files }
  get directories (): number { return this.root.directories }
  get bytes (): number { return this.root.bytes }
  get complete (): boolean { return this.root.odd.incomplete === 0 }
  get problemCount (): number { return this.root.odd.problems + this.#awayProblems.length }
  get ignoredCount (): number { return this.root.odd.ignored }
  get unsettledCount (): number { return this.root.odd.unsettled }

  get problems (): readonly Problem[] {
    this.#problems ??= [...this.#awayProblems, ...collectProblems(this.root).map(found => this.problemOf(found))]
    return this.#problems
  }

  get leftOut (): LeftOutEntries {
    this.#leftOut ??= collectLeftOut(this.root)
    return { first: this.#leftOut, count: this.root.odd.leftOut }
  }

  get archives (): FoundArchive[] {
    const found: FoundArchive[] = []
    const stack: { readonly node: DirectoryNode, readonly path: RelativePath }[] = [{ node: this.root, path: ROOT_PATH }]
    for (let at = stack.pop(); at !== undefined; at = stack.pop()) {
      const { archiveId } = at.node.notes
      if (archiveId !== undefined) found.push({ path: at.path, id: archiveId })
      // The server's own part of an archive is left out, and few directories have such entries.
      for (const child of at.node.oddChildren()) if (child.odd.leftOut > 0) stack.push({ node: child, path: joinPath(at.path, child.name) })
    }
    return found
  }

  listing (directory: RelativePath): Uint8Array | undefined {
    return this.node(directory)?.listing
  }

  pages (directory: RelativePath): DirectoryPages | undefined {
    const large = this.node(directory)?.large
    return large === undefined ? undefined : { tree: large.tree, leaf: index => large.pages[index]?.bytes ?? NO_BYTES }
  }

  isUnsettled (path: RelativePath): boolean {
    // Called for every file that is sent, and hardly ever are there any.
    if (this.unsettledCount === 0) return false
    const { directory, name } = splitPath(path)
    return this.node(directory)?.notes.unsettled.some(file => file.name === name) ?? false
  }

  /** A problem as this snapshot reports it: UNSETTLED becomes GROWING for growing files. */
  problemOf (found: Problem): Problem {
    return found.code === 'UNSETTLED' && this.growing.has(found.path as RelativePath) ? problem(found.path, 'GROWING') : found
  }

  /** The node of a directory. */
  node (directory: RelativePath): DirectoryNode | undefined {
    let at: DirectoryNode | undefined = this.root
    for (const name of pathNames(directory)) {
      if (at === undefined) return undefined
      at = at.child(name)
    }
    return at
  }
}

/** The first problems in a directory and below it, as many as fit in a message. */
export function collectProblems (root: DirectoryNode): Problem[] {
  return collect(root, node => node.odd.problems, node => node.notes.problems)
}

/** The first entries in a directory and below it that are left out by their nature, as many as of problems. */
export function collectLeftOut (root: DirectoryNode): LeftOut[] {
  return collect(root, node => node.odd.leftOut, node => node.notes.leftOut?.first ?? [])
}

function collect<T> (root: DirectoryNode, count: (node: DirectoryNode) => number, own: (node: DirectoryNode) => readonly T[]): T[] {
  const found: T[] = []
  const stack = count(root) > 0 ? [root] : []
  for (let node = stack.pop(); node !== undefined && found.length < LIMITS.problemsPerMessage; node = stack.pop()) {
    found.push(...own(node).slice(0, LIMITS.problemsPerMessage - found.length))
    for (const child of node.oddChildren().toReversed()) if (count(child) > 0) stack.push(child)
  }
  return found
}
