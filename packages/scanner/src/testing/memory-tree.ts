import { pathNames, splitPath } from '@filesync/protocol'
import type { RelativePath } from '@filesync/protocol'

export type MemoryKind = 'file' | 'directory' | 'symlink' | 'special'

/** One thing in a tree in memory. */
export interface MemoryNode {
  readonly kind: MemoryKind
  readonly inode: bigint
  readonly birthNs: bigint
  mode: number
  mtimeNs: bigint
  ctimeNs: bigint
  /** What a file holds, or where a link points. */
  text: string
  /** By name; empty in all but directories. */
  readonly children: Map<string, MemoryNode>
  /** The code of the error that reading it throws, as EACCES. */
  refusal: string | undefined
}

const NS_PER_MS = 1_000_000n
const DIRECTORY_MODE = 0o755
const FILE_MODE = 0o644

/** A directory with all below it, in memory. Whoever watches is told of each change at once. */
export class MemoryTree {
  readonly root: MemoryNode
  readonly #nowMs: () => number
  readonly #watchers = new Set<(path: RelativePath) => void>()
  #inodes = 0n

  /** @param nowMs the time that changes are made at */
  constructor (nowMs: () => number) {
    this.#nowMs = nowMs
    this.root = this.#make('directory', '')
  }

  /** Writes a file, with the directories on the way to it. Its mtime is now unless told. Throws where a file is in the way. */
  write (path: RelativePath, text: string, mtimeNs: bigint = this.#nowNs()): void {
    const known = this.node(path)
    if (known?.kind === 'file') {
      known.text = text
      known.mtimeNs = mtimeNs
      known.ctimeNs = this.#nowNs()
      this.#tell(path)
      return
    }
    const file = this.#make('file', text)
    file.mtimeNs = mtimeNs
    this.#put(path, file)
  }

  /** Makes a directory where there is none, and those on the way to it. */
  makeDirectory (path: RelativePath): void {
    this.#directory(path)
  }

  /** Makes a symbolic link. */
  link (path: RelativePath, target: string): void {
    this.#put(path, this.#make('symlink', target))
  }

  /** Makes a thing that is no file, as a pipe. */
  makeSpecial (path: RelativePath): void {
    this.#put(path, this.#make('special', ''))
  }

  /** Removes a path with all below it. Throws where nothing is there. */
  remove (path: RelativePath): void {
    const { directory, name } = splitPath(path)
    const parent = this.node(directory)
    if (parent?.children.delete(name) !== true) throw new Error(`${path} is not there`)
    this.#touch(parent)
    this.#tell(path)
  }

  /** Gives a thing another name; it stays the same thing. */
  rename (from: RelativePath, to: RelativePath): void {
    const node = this.node(from)
    if (node === undefined) throw new Error(`${from} is not there`)
    this.remove(from)
    node.ctimeNs = this.#nowNs()
    this.#put(to, node)
  }

  /** Has reading a path fail with a code as EACCES from now on, or no more. */
  refuse (path: RelativePath, code: string | undefined): void {
    const node = this.node(path)
    if (node === undefined) throw new Error(`${path} is not there`)
    node.refusal = code
    this.#tell(path)
  }

  node (path: RelativePath): MemoryNode | undefined {
    let at: MemoryNode | undefined = this.root
    for (const name of pathNames(path)) at = at?.children.get(name)
    return at
  }

  /** Tells the path of each change. The result ends it. */
  watch (changed: (path: RelativePath) => void): () => void {
    this.#watchers.add(changed)
    return () => { this.#watchers.delete(changed) }
  }

  #put (path: RelativePath, node: MemoryNode): void {
    const { directory, name } = splitPath(path)
    const parent = this.#directory(directory)
    parent.children.set(name, node)
    this.#touch(parent)
    this.#tell(path)
  }

  #directory (path: RelativePath): MemoryNode {
    const known = this.node(path)
    if (known?.kind === 'directory') return known
    if (known !== undefined) throw new Error(`${path} is no directory`)
    const made = this.#make('directory', '')
    this.#put(path, made)
    return made
  }

  #make (kind: MemoryKind, text: string): MemoryNode {
    const nowNs = this.#nowNs()
    const mode = kind === 'directory' ? DIRECTORY_MODE : FILE_MODE
    return { kind, inode: ++this.#inodes, birthNs: nowNs, mode, mtimeNs: nowNs, ctimeNs: nowNs, text, children: new Map(), refusal: undefined }
  }

  #touch (node: MemoryNode): void {
    node.mtimeNs = this.#nowNs()
    node.ctimeNs = node.mtimeNs
  }

  #tell (path: RelativePath): void {
    for (const changed of this.#watchers) changed(path)
  }

  #nowNs (): bigint {
    return BigInt(Math.round(this.#nowMs())) * NS_PER_MS
  }
}
