import { hashBytes } from '@filesync/protocol/node'
import type { Area } from '../../src/index.ts'
import type { IndexWrite } from '../../src/store/archive-index.ts'
import type { BatchOutcome } from '../../src/store/section.ts'
import type { StoreTraits } from '../../src/store/content-store.ts'
import type { RemovalBatch } from '../../src/store/section.ts'
import { memoryArchive, MemoryIndex, MemoryStore } from '../../src/testing/index.ts'
import type { MemoryFile, MemoryFolder } from '../../src/testing/index.ts'
import { WallClock } from './on-disk.ts'
import type { SourceNode, SourceTree } from './source-tree.ts'

const DAY_MS = 86_400_000

/** An index with a hook that is called before each write. */
class WatchedIndex extends MemoryIndex {
  before: () => void = () => { /* nobody watches */ }

  override async write (writes: readonly IndexWrite[]): Promise<void> {
    this.before()
    await super.write(writes)
  }
}

/** A store in which some names cannot be removed, as on a system where another program has them open. */
class HeldStore extends MemoryStore {
  readonly held: Set<string> = new Set()

  override async remove (area: string, batch: RemovalBatch): Promise<BatchOutcome> {
    const places = batch.removals.flatMap(({ directory, names }, section) => (
      names.map((name, entry) => ({ directory, name, section, entry }))
    ))
    const whole: BatchOutcome = { failures: [], before: new Uint16Array(places.length), agesMs: new Float64Array(places.length) }
    for (const [at, { directory, name, section, entry }] of places.entries()) {
      if (this.held.has(name)) {
        whole.failures.push({ section, entry, message: 'it is in use' })
        continue
      }
      const { before } = await super.remove(area, { ...batch, removals: [{ directory, names: [name] }] })
      whole.before[at] = before[0] ?? 0
    }
    return whole
  }
}

/** The store and index of an archive in memory, which outlive its process, and errors to inject. */
export class World {
  readonly clock: WallClock = new WallClock(Date.now())
  readonly index: WatchedIndex = new WatchedIndex()
  readonly store: HeldStore
  /** Calls of the ports so far. */
  calls: number = 0
  /** What the n-th call answers instead of doing its work; every later one, too. */
  failure: { readonly at: number, readonly error: Error } | undefined

  constructor (traits?: StoreTraits) {
    const before = (): void => {
      if (++this.calls >= (this.failure?.at ?? Infinity)) throw this.failure?.error as Error
    }
    this.index.before = before
    this.store = new HeldStore({ hash: hashBytes, clock: this.clock, before, ...(traits !== undefined && { traits }) })
  }

  /** The area as a process that has just started opens it. */
  async area (keepMs: number = 30 * DAY_MS): Promise<Area> {
    const { clock, index, store } = this
    return await memoryArchive({ hash: hashBytes, clock, index, store, keepMs }).area('laptop')
  }

  get mirror (): string[] {
    return describeMemory(this.store.root.below('laptop'))
  }
}

type Leaf = { readonly kind: 'symlink', readonly target: string } | Pick<MemoryFile, 'kind' | 'content' | 'mtimeNs'>

function describeLeaf (node: Leaf): string {
  return node.kind === 'symlink' ? `-> ${node.target}` : `${String(node.mtimeNs)} ${Buffer.from(node.content).toString('base64')}`
}

/** Describes everything in a directory in memory, one line for each entry. */
export function describeMemory (folder: MemoryFolder | undefined): string[] {
  const lines: string[] = []
  const visit = (at: MemoryFolder, path: string): void => {
    for (const { name, node } of at.entries()) {
      if (node.kind === 'directory') visit(node, `${path}${name}/`)
      else lines.push(`${path}${name} ${describeLeaf(node)}`)
      if (node.kind === 'directory') lines.push(`${path}${name}/ ${String(node.mtimeNs)}`)
    }
  }
  if (folder !== undefined) visit(folder, '')
  return lines.sort()
}

/** What {@link describeMemory} returns for a copy of a source. */
export function describeWanted (source: SourceTree): string[] {
  const lines: string[] = []
  const visit = (children: ReadonlyMap<string, SourceNode>, path: string): void => {
    for (const [name, node] of children) {
      if (node.kind === 'directory') {
        visit(node.children, `${path}${name}/`)
        lines.push(`${path}${name}/ ${String(node.mtimeNs)}`)
      } else {
        lines.push(`${path}${name} ${describeLeaf(node)}`)
      }
    }
  }
  visit(source.root.children, '')
  return lines.sort()
}
