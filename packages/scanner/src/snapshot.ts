import { joinPath, LIMITS, pathNames, problem, ROOT_PATH, splitPath } from '@filesync/protocol'
import type { Digest, Problem, RelativePath, Tree } from '@filesync/protocol'
import type { DirectoryNode } from './directory-node.ts'

/** A picture of a tree at one time. Never changes; a later picture shares with it what stayed the same. */
export interface Snapshot extends Tree {
  /**
   * False where a directory, or an entry of one, could not be read: then what is missing in the listings may still be there,
   * and the server must delete nothing.
   */
  readonly complete: boolean
  /** The first of them, in the order of directories; `problemCount` is exact. */
  readonly problems: readonly Problem[]
  readonly problemCount: number
  /** Names that an ignore rule leaves out; what lies below an ignored directory is not counted. */
  readonly ignoredCount: number
  /** Files that were changed a moment ago. They are listed as they are, so that they do not look deleted. */
  readonly unsettledCount: number
  /** Whether a file has not come to rest: its content must not be sent, but answered with the problem UNSETTLED. */
  isUnsettled (path: RelativePath): boolean
  /**
   * Files that have not come to rest for so long that their beginnings are to be sent, as long as they were when they were
   * listed; their problem is GROWING. They are unsettled, too.
   */
  readonly growing: ReadonlySet<RelativePath>
  /** Archives of FileSync servers in the tree, by the paths of their roots. */
  readonly archives: readonly FoundArchive[]
}

/** The root of an archive that a scan came upon. */
export interface FoundArchive {
  readonly path: RelativePath
  readonly id: string
}

const NONE: ReadonlySet<RelativePath> = new Set()

export class NodeSnapshot implements Snapshot {
  readonly root: DirectoryNode
  readonly rootDigest: Digest
  readonly growing: ReadonlySet<RelativePath>
  #problems: readonly Problem[] | undefined

  constructor (root: DirectoryNode, rootDigest: Digest, growing: ReadonlySet<RelativePath> = NONE) {
    this.root = root
    this.rootDigest = rootDigest
    this.growing = growing
  }

  get files (): number { return this.root.totals.files }
  get directories (): number { return this.root.totals.directories }
  get bytes (): number { return this.root.totals.bytes }
  get complete (): boolean { return this.root.totals.incomplete === 0 }
  get problemCount (): number { return this.root.totals.problemCount }
  get ignoredCount (): number { return this.root.totals.ignored }
  get unsettledCount (): number { return this.root.totals.unsettledCount }

  get problems (): readonly Problem[] {
    this.#problems ??= collectProblems(this.root).map(found => this.problemOf(found))
    return this.#problems
  }

  get archives (): FoundArchive[] {
    const found: FoundArchive[] = []
    const stack: { readonly node: DirectoryNode, readonly path: RelativePath }[] = [{ node: this.root, path: ROOT_PATH }]
    for (let at = stack.pop(); at !== undefined; at = stack.pop()) {
      const { own: { archiveId }, children } = at.node
      if (archiveId !== undefined) found.push({ path: at.path, id: archiveId })
      // Each has a problem, and few directories have any.
      for (const child of children) if (child.totals.problemCount > 0) stack.push({ node: child, path: joinPath(at.path, child.name) })
    }
    return found
  }

  listing (directory: RelativePath): Uint8Array | undefined {
    return this.node(directory)?.listing
  }

  isUnsettled (path: RelativePath): boolean {
    // Asked of every file that is sent, and there is hardly ever one.
    if (this.unsettledCount === 0) return false
    const { directory, name } = splitPath(path)
    return this.node(directory)?.own.unsettled.some(file => file.name === name) ?? false
  }

  /** A problem of a directory's own, as it is told of this picture. */
  problemOf (found: Problem): Problem {
    return found.code === 'UNSETTLED' && this.growing.has(found.path as RelativePath) ? problem(found.path, 'GROWING') : found
  }

  /** The node of a directory. */
  node (directory: RelativePath): DirectoryNode | undefined {
    let at: DirectoryNode | undefined = this.root
    for (const name of pathNames(directory)) {
      if (at === undefined) return undefined
      at = at.children[at.indexOf(name)]
    }
    return at
  }
}

/** The first problems in a directory and below it, as many as a message may hold. */
export function collectProblems (root: DirectoryNode): Problem[] {
  const problems: Problem[] = []
  const stack = [root]
  for (let node = stack.pop(); node !== undefined && problems.length < LIMITS.problemsPerMessage; node = stack.pop()) {
    problems.push(...node.own.problems.slice(0, LIMITS.problemsPerMessage - problems.length))
    for (let at = node.children.length - 1; at >= 0; at--) {
      const child = node.children[at]
      if (child !== undefined && child.totals.problemCount > 0) stack.push(child)
    }
  }
  return problems
}
