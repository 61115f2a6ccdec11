import { ListingWriter, splitPath, writeFileId } from '@filesync/protocol'
import type { RelativePath } from '@filesync/protocol'
import type { NodeId } from '../directory-node.ts'
import type { DirectoryReader, DirectoryReading, FoundMount, ReadRequest } from '../directory-reading.ts'
import { EntryStat } from '../entry-stat.ts'
import { IgnoreRules } from '../ignore-rules.ts'
import type { OpenDirectory } from '../open-directory.ts'
import { readDirectory } from '../read-directory.ts'
import { ruleFiles } from '../rule-set.ts'
import type { MemoryKind, MemoryNode, MemoryTree } from './memory-tree.ts'

const TYPE_BITS: Readonly<Record<MemoryKind, number>> = { file: 0o100000, directory: 0o040000, symlink: 0o120000, special: 0o010000 }

/** Reads a tree in memory by the rules for a disk. */
export class MemoryReader implements DirectoryReader {
  readonly parallel = 1
  readonly #tree: MemoryTree

  constructor (tree: MemoryTree) {
    this.#tree = tree
  }

  async read (batch: readonly ReadRequest[]): Promise<readonly DirectoryReading[]> {
    return batch.map(request => this.#readOne(request))
  }

  hold (): () => void {
    return () => { /* no process to keep alive */ }
  }

  releaseHandles (): void { /* nothing is held open */ }

  async close (): Promise<void> { /* nothing is held open */ }

  #readOne ({ directory, rules, named, ...context }: ReadRequest): DirectoryReading {
    const node = this.#tree.node(directory)
    if (node?.kind !== 'directory') return { status: 'gone' }
    if (node.refusal !== undefined) return { status: 'unreadable', why: node.refusal }
    const writer = new ListingWriter()
    const above = directory === '' ? node : this.#tree.node(splitPath(directory).directory)
    const listed = readDirectory(new MemoryDirectory(directory, node, above?.device !== node.device), {
      ...context, writer, rules: new IgnoreRules(ruleFiles(rules)),
      ...(named !== undefined && { named: { ...named, rules: new IgnoreRules(ruleFiles(named.rules)) } }),
    })
    return { ...listed, block: writer.flush() }
  }
}

class MemoryDirectory implements OpenDirectory {
  readonly path: RelativePath
  readonly entersDevice: boolean
  readonly #node: MemoryNode
  readonly #record = new EntryStat()

  constructor (path: RelativePath, node: MemoryNode, entersDevice: boolean) {
    this.path = path
    this.entersDevice = entersDevice
    this.#node = node
  }

  describeMount (): FoundMount {
    const { device, inode, birthNs } = this.#node
    const mark = { device: String(device), inode: String(inode), birthtimeNs: String(birthNs) }
    return { mark, entersDevice: this.entersDevice, hasStableInodes: true }
  }

  names (): string[] {
    return [...this.#node.children.keys()]
  }

  rawNames (): Uint8Array[] {
    return this.names().map(name => new TextEncoder().encode(name))
  }

  stat (name: string): EntryStat | undefined {
    const child = this.#node.children.get(name)
    const node = child?.mounted?.root ?? child
    if (node === undefined) return undefined
    // A directory is refused when it is opened, not by lstat.
    const { refusal } = node
    if (refusal !== undefined && node.kind !== 'directory') throw Object.assign(new Error(`${refusal}: refused`), { code: refusal })
    const record = this.#record
    record.mode = TYPE_BITS[node.kind] | node.mode
    record.sizeBytes = new TextEncoder().encode(node.text).length
    record.mtimeMs = Number(node.mtimeNs) / 1e6
    record.ctimeMs = Number(node.ctimeNs) / 1e6
    record.ids.set([node.device, node.inode, node.birthNs])
    record.numbers[0] = node.mtimeNs
    return record
  }

  id (): NodeId {
    const record = this.#record
    const { device, inode, birthNs } = this.#node
    record.ids.set([device, inode, birthNs])
    writeFileId(record.fileIdInput, record.fileIdHalves)
    return record.nodeId
  }

  hasExactNames (): boolean {
    return true
  }

  links (): number {
    return 1
  }

  linkTarget (name: string): Uint8Array | undefined {
    const node = this.#node.children.get(name)
    return node?.kind === 'symlink' ? new TextEncoder().encode(node.text) : undefined
  }

  text (name: string): string | undefined {
    const node = this.#node.children.get(name)
    return node?.kind === 'file' ? node.text : undefined
  }

  hasStableInode (): boolean {
    return true
  }

  // Without mounts, no directory is below itself.
  isAncestor (): boolean {
    return false
  }
}
