import { compareNames, encodeListing, joinPath, listingDigest, ROOT_PATH } from '@filesync/protocol'
import type { Digest, Entry, Name, RelativePath, Tree } from '@filesync/protocol'
import { hashBytes } from '@filesync/protocol/node'

interface SourceFile { kind: 'file', content: Uint8Array, mtimeNs: bigint, mode: number, fileId: bigint }
interface SourceLink { kind: 'symlink', target: string, mtimeNs: bigint }
interface SourceDirectory { kind: 'directory', mtimeNs: bigint, mode: number, children: Map<string, SourceNode> }
export type SourceNode = SourceFile | SourceLink | SourceDirectory

const START_NS = 1_700_000_000_123_456_789n

/** A source in memory, which can be changed as a user would. */
export class SourceTree {
  readonly root: SourceDirectory = { kind: 'directory', mtimeNs: START_NS, mode: 0o755, children: new Map() }
  #ticks = 0n

  write (path: string, content: string | Uint8Array, mode = 0o644): this {
    const { directory, name } = this.#parent(path)
    const old = directory.children.get(name)
    const fileId = old?.kind === 'file' ? old.fileId : this.#tick()
    const bytes = typeof content === 'string' ? new TextEncoder().encode(content) : content
    directory.children.set(name, { kind: 'file', content: bytes, mtimeNs: START_NS + this.#tick() * 1_000_003n, mode, fileId })
    return this
  }

  link (path: string, target: string): this {
    const { directory, name } = this.#parent(path)
    directory.children.set(name, { kind: 'symlink', target, mtimeNs: START_NS + this.#tick() })
    return this
  }

  mkdir (path: string, mode = 0o755): this {
    const { directory, name } = this.#parent(path)
    directory.children.set(name, { kind: 'directory', mtimeNs: START_NS + this.#tick() * 1_000_007n, mode, children: new Map() })
    return this
  }

  /** Makes a path another name of a file: what happens to the file from now on shows under both. */
  name (path: string, of: string): this {
    const file = this.at(of)
    const { directory, name } = this.#parent(path)
    directory.children.set(name, file)
    return this
  }

  remove (path: string): this {
    const { directory, name } = this.#parent(path)
    directory.children.delete(name)
    return this
  }

  move (from: string, to: string): this {
    const node = this.at(from)
    this.remove(from)
    const { directory, name } = this.#parent(to)
    directory.children.set(name, node)
    return this
  }

  /** Puts what is elsewhere, as it is, at a path. */
  put (path: string, node: SourceNode): this {
    const { directory, name } = this.#parent(path)
    directory.children.set(name, node)
    return this
  }

  /** A tree with the same files and links, without the entries whose paths are not wanted. */
  only (isWanted: (path: string) => boolean): SourceTree {
    const tree = new SourceTree()
    const visit = (from: SourceDirectory, to: SourceDirectory, prefix: string): void => {
      for (const [name, node] of from.children) {
        if (!isWanted(prefix + name)) continue
        const copy: SourceNode = node.kind === 'directory' ? { ...node, children: new Map() } : node
        to.children.set(name, copy)
        if (node.kind === 'directory' && copy.kind === 'directory') visit(node, copy, `${prefix}${name}/`)
      }
    }
    visit(this.root, tree.root, '')
    return tree
  }

  at (path: string): SourceNode {
    const { directory, name } = this.#parent(path)
    const node = directory.children.get(name)
    if (node === undefined) throw new Error(`The source has no ${path}.`)
    return node
  }

  /** The content of every file, by path. */
  files (): Map<string, Uint8Array> {
    const found = new Map<string, Uint8Array>()
    const visit = (directory: SourceDirectory, path: string): void => {
      for (const [name, node] of directory.children) {
        if (node.kind === 'file') found.set(path + name, node.content)
        if (node.kind === 'directory') visit(node, `${path}${name}/`)
      }
    }
    visit(this.root, '')
    return found
  }

  snapshot (): Tree {
    const listings = new Map<string, Uint8Array>()
    const totals = { files: 0, directories: 0, bytes: 0 }
    const build = (directory: SourceDirectory, path: RelativePath): Digest => {
      const names = [...directory.children.keys()].sort(compareNames) as Name[]
      const entries = names.map((name): Entry => {
        const node = directory.children.get(name)
        if (node === undefined) throw new Error('unreachable')
        if (node.kind === 'symlink') return { kind: 'symlink', name, mtimeNs: node.mtimeNs, target: node.target }
        if (node.kind === 'directory') {
          totals.directories++
          return { kind: 'directory', name, mtimeNs: node.mtimeNs, mode: node.mode, digest: build(node, joinPath(path, name)) }
        }
        totals.files++
        totals.bytes += node.content.length
        return { kind: 'file', name, sizeBytes: node.content.length, mtimeNs: node.mtimeNs, mode: node.mode, fileId: node.fileId }
      })
      const listing = encodeListing(entries)
      listings.set(path, listing)
      return listingDigest(listing, hashBytes)
    }
    const rootDigest = build(this.root, ROOT_PATH)
    return { rootDigest, ...totals, listing: path => listings.get(path) }
  }

  #parent (path: string): { directory: SourceDirectory, name: string } {
    const names = path.split('/')
    const name = names.pop() ?? ''
    let directory = this.root
    for (const part of names) {
      let next = directory.children.get(part)
      if (next === undefined) {
        next = { kind: 'directory', mtimeNs: START_NS + this.#tick() * 1_000_007n, mode: 0o755, children: new Map() }
        directory.children.set(part, next)
      }
      if (next.kind !== 'directory') throw new Error(`${part} is not a directory`)
      directory = next
    }
    return { directory, name }
  }

  #tick (): bigint {
    return ++this.#ticks
  }
}
