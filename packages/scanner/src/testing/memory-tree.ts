import { pathNames, splitPath } from '@filesync/protocol'
import type { RelativePath } from '@filesync/protocol'

export type MemoryKind = 'file' | 'directory' | 'symlink' | 'special'

/** One entry of a tree in memory. */
export interface MemoryNode {
  readonly kind: MemoryKind
  readonly inode: bigint
  readonly birthNs: bigint
  mode: number
  mtimeNs: bigint
  ctimeNs: bigint
  /** The content of a file, or the target of a link. */
  text: string
  /** By name; empty in all but directories. */
  readonly children: Map<string, MemoryNode>
  /** Code of the error that reading it throws, such as EACCES. */
  refusal: string | undefined
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

  node (path: RelativePath): MemoryNode | undefined {
    let at: MemoryNode | undefined = this.root
    for (const name of pathNames(path)) at = at?.children.get(name)
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

  #make (kind: MemoryKind, text: string): MemoryNode {
    const nowNs = this.#nowNs()
    const mode = kind === 'directory' ? DIRECTORY_MODE : FILE_MODE
    const times = { birthNs: nowNs, mtimeNs: nowNs, ctimeNs: nowNs }
    return { kind, inode: ++this.#inodes, ...times, mode, text, children: new Map(), refusal: undefined }
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
