import { pathNames, splitPath } from '@filesync/protocol'
import type { RelativePath } from '@filesync/protocol'

export type MemoryKind = 'file' | 'directory' | 'symlink' | 'special'

/** One entry of a tree in memory. */
export interface MemoryNode {
  readonly kind: MemoryKind
  readonly device: bigint
  readonly inode: bigint
  readonly birthNs: bigint
  mode: number
  mtimeNs: bigint
  ctimeNs: bigint
  /** The content of a file, or the target of a link. */
  text: string
  /** By name; empty in all but directories. */
  readonly children: Map<string, MemoryNode>
  /** The root of the file system that is mounted over the directory. */
  mounted: MountedNode | undefined
  /** Code of the error that reading it throws, such as EACCES. */
  refusal: string | undefined
}

/** The root of a mounted file system, with an id that no other mount has. */
export interface MountedNode {
  readonly root: MemoryNode
  readonly mountId: number
}

const NS_PER_MS = 1_000_000n
const DIRECTORY_MODE = 0o755
const FILE_MODE = 0o644

/** A directory tree in memory, which reports each change to its watchers at once. */
export class MemoryTree {
  readonly root: MemoryNode
  readonly #nowMs: () => number
  readonly #watchers = new Set<(path: RelativePath) => void>()
  #inodes = 0n
  #devices = 1n
  #mountIds = 0

  /** @param nowMs the current time, for the times of changes */
  constructor (nowMs: () => number) {
    this.#nowMs = nowMs
    this.root = this.#make('directory', '')
  }

  /** Writes a file and makes its parent directories; by default its mtime is now. Throws if a file is in the way. */
  write (path: RelativePath, text: string, mtimeNs: bigint = this.#nowNs()): void {
    const known = this.node(path)
    if (known?.kind === 'file') {
      known.text = text
      known.mtimeNs = mtimeNs
      known.ctimeNs = this.#nowNs()
      this.#report(path)
      return
    }
    const file = this.#make('file', text)
    file.mtimeNs = mtimeNs
    this.#put(path, file)
  }

  /** Makes a directory and its parents, unless they exist. */
  makeDirectory (path: RelativePath): void {
    this.#directory(path)
  }

  /** Makes a symbolic link. */
  link (path: RelativePath, target: string): void {
    this.#put(path, this.#make('symlink', target))
  }

  /** Makes an entry that is not a file, such as a pipe. */
  makeSpecial (path: RelativePath): void {
    this.#put(path, this.#make('special', ''))
  }

  /** Removes a path and everything below it. Throws if nothing is there. */
  remove (path: RelativePath): void {
    const { directory, name } = splitPath(path)
    const parent = this.node(directory)
    if (parent?.children.delete(name) !== true) throw new Error(`${path} is not there`)
    this.#touch(parent)
    this.#report(path)
  }

  /** Renames an entry, which keeps its inode. */
  rename (from: RelativePath, to: RelativePath): void {
    const node = this.node(from)
    if (node === undefined) throw new Error(`${from} is not there`)
    this.remove(from)
    node.ctimeNs = this.#nowNs()
    this.#put(to, node)
  }

  /** Makes reading a path fail with a code such as EACCES, or succeed again if it is undefined. */
  refuse (path: RelativePath, code: string | undefined): void {
    const node = this.node(path)
    if (node === undefined) throw new Error(`${path} is not there`)
    node.refusal = code
    this.#report(path)
  }

  /**
   * Mounts a file system over a directory: `content` if it was mounted before, otherwise an empty one. No watcher hears of it.
   * Returns what is mounted.
   */
  mount (path: RelativePath, content: MemoryNode = this.#make('directory', '', ++this.#devices)): MemoryNode {
    const covered = this.#below(path)
    if (covered === undefined) throw new Error(`${path} is not there`)
    covered.mounted = { root: content, mountId: ++this.#mountIds }
    return content
  }

  /** Unmounts a file system; no watcher hears of it. Returns what was mounted. */
  unmount (path: RelativePath): MemoryNode {
    const covered = this.#below(path)
    if (covered?.mounted === undefined) throw new Error(`nothing is mounted at ${path}`)
    const { root } = covered.mounted
    covered.mounted = undefined
    return root
  }

  /** The mount points, each with a text that differs for every mount. */
  mounts (): Map<RelativePath, string> {
    const found = new Map<RelativePath, string>()
    const visit = (node: MemoryNode, path: string): void => {
      for (const [name, child] of node.children) {
        const below = path === '' ? name : `${path}/${name}`
        if (child.mounted !== undefined) found.set(below as RelativePath, String(child.mounted.mountId))
        visit(child.mounted?.root ?? child, below)
      }
    }
    visit(this.root, '')
    return found
  }

  /** What a path leads to: in a mount point, the root of what is mounted. */
  node (path: RelativePath): MemoryNode | undefined {
    const node = this.#below(path)
    return node?.mounted?.root ?? node
  }

  /** What a path leads to, without what is mounted there itself. */
  #below (path: RelativePath): MemoryNode | undefined {
    let at: MemoryNode | undefined = this.root
    for (const name of pathNames(path)) at = (at?.mounted?.root ?? at)?.children.get(name)
    return at
  }

  /** Reports the path of each change, until the returned function is called. */
  watch (changed: (path: RelativePath) => void): () => void {
    this.#watchers.add(changed)
    return () => { this.#watchers.delete(changed) }
  }

  #put (path: RelativePath, node: MemoryNode): void {
    const { directory, name } = splitPath(path)
    const parent = this.#directory(directory)
    parent.children.set(name, node)
    this.#touch(parent)
    this.#report(path)
  }

  #directory (path: RelativePath): MemoryNode {
    const known = this.node(path)
    if (known?.kind === 'directory') return known
    if (known !== undefined) throw new Error(`${path} is not a directory`)
    const made = this.#make('directory', '')
    this.#put(path, made)
    return made
  }

  #make (kind: MemoryKind, text: string, device = 1n): MemoryNode {
    const nowNs = this.#nowNs()
    const mode = kind === 'directory' ? DIRECTORY_MODE : FILE_MODE
    const times = { birthNs: nowNs, mtimeNs: nowNs, ctimeNs: nowNs }
    return { kind, device, inode: ++this.#inodes, ...times, mode, text, children: new Map(), mounted: undefined, refusal: undefined }
  }

  #touch (node: MemoryNode): void {
    node.mtimeNs = this.#nowNs()
    node.ctimeNs = node.mtimeNs
  }

  #report (path: RelativePath): void {
    for (const changed of this.#watchers) changed(path)
  }

  #nowNs (): bigint {
    return BigInt(Math.round(this.#nowMs())) * NS_PER_MS
  }
}
