import { foldKey } from '@filesync/protocol'
import type { FoundEntry } from '../store/content-store.ts'

export interface MemoryFile {
  readonly kind: 'file'
  readonly content: Uint8Array
  mtimeNs: bigint
  mode: number
  readonly sinceMs: number
}

export interface MemoryLink {
  readonly kind: 'symlink'
  readonly target: string
  mtimeNs: bigint
  readonly sinceMs: number
}

export type MemoryNode = MemoryFile | MemoryLink | MemoryFolder

/** A directory in memory. If it folds names, those that differ only in case or Unicode form are the same. */
export class MemoryFolder {
  readonly kind = 'directory'
  mtimeNs = 0n
  mode = 0o700
  readonly sinceMs: number
  readonly #foldsNames: boolean
  readonly #children = new Map<string, { readonly name: string, readonly node: MemoryNode }>()

  constructor (foldsNames: boolean, sinceMs: number) {
    this.#foldsNames = foldsNames
    this.sinceMs = sinceMs
  }

  get isEmpty (): boolean {
    return this.#children.size === 0
  }

  get (name: string): MemoryNode | undefined {
    return this.#children.get(this.#key(name))?.node
  }

  /** Replaces what has the name, and keeps its spelling. */
  put (name: string, node: MemoryNode): void {
    const key = this.#key(name)
    this.#children.set(key, { name: this.#children.get(key)?.name ?? name, node })
  }

  remove (name: string): MemoryNode | undefined {
    const node = this.get(name)
    this.#children.delete(this.#key(name))
    return node
  }

  entries (): { readonly name: string, readonly node: MemoryNode }[] {
    return [...this.#children.values()].sort((a, b) => a.name < b.name ? -1 : 1)
  }

  /** The directory at a path below this one; with `existing`, undefined if there is none. */
  below (path: string, how: 'existing' | 'make' = 'existing'): MemoryFolder | undefined {
    if (path === '') return this
    const cut = path.lastIndexOf('/')
    const parent = this.below(path.slice(0, Math.max(cut, 0)), how)
    const name = path.slice(cut + 1)
    const node = parent?.get(name)
    if (node !== undefined || parent === undefined || how === 'existing') return node?.kind === 'directory' ? node : undefined
    const made = new MemoryFolder(this.#foldsNames, this.sinceMs)
    parent.put(name, made)
    return made
  }

  /** The node at a path. */
  at (path: string): MemoryNode | undefined {
    const cut = path.lastIndexOf('/')
    return path === '' ? this : this.below(path.slice(0, Math.max(cut, 0)))?.get(path.slice(cut + 1))
  }

  #key (name: string): string {
    return this.#foldsNames ? foldKey(name) : name
  }
}

/** Describes a node as a store does. */
export function describeNode (name: string, node: MemoryNode): FoundEntry {
  return {
    name,
    kind: node.kind,
    sizeBytes: node.kind === 'file' ? node.content.length : 0,
    mtimeNs: node.mtimeNs,
    mode: node.kind === 'symlink' ? 0o777 : node.mode,
    target: node.kind === 'symlink' ? node.target : '',
    birthtimeMs: node.sinceMs,
  }
}

/** Joins a directory and a path below it; either may be empty. */
export function inside (directory: string, path: string): string {
  if (directory === '') return path
  return path === '' ? directory : `${directory}/${path}`
}
