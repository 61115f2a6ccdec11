import { joinPath, LIMITS, pathNames, problem, ROOT_PATH, splitPath } from '@filesync/protocol'
import type { Digest, Problem, RelativePath, Tree } from '@filesync/protocol'
import type { DirectoryNode } from './directory-node.ts'

/** The state of a source at one time. Immutable; a later snapshot shares what did not change. */
export interface Snapshot extends Tree {
  /**
   * False if a directory or an entry could not be read: what is missing in the listings may still exist, so the server must
   * delete nothing.
   */
  readonly complete: boolean
  /** The first problems, in the order of directories; `problemCount` is exact. */
  readonly problems: readonly Problem[]
  readonly problemCount: number
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
      // Each archive has a problem, and few directories have any.
      for (const child of children) if (child.totals.problemCount > 0) stack.push({ node: child, path: joinPath(at.path, child.name) })
    }
    return found
  }

  listing (directory: RelativePath): Uint8Array | undefined {
    return this.node(directory)?.listing
  }

  isUnsettled (path: RelativePath): boolean {
    // Called for every file that is sent, and hardly ever are there any.
    if (this.unsettledCount === 0) return false
    const { directory, name } = splitPath(path)
    return this.node(directory)?.own.unsettled.some(file => file.name === name) ?? false
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
      at = at.children[at.indexOf(name)]
    }
    return at
  }
}

/** The first problems in a directory and below it, as many as fit in a message. */
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
