import type { IndexWrite } from '../src/index.ts'
import { MemoryIndex } from '../src/testing/index.ts'
import type { MemoryFolder } from '../src/testing/index.ts'
import type { SourceNode, SourceTree } from './source-tree.ts'

/** An index that tells of each write before it is done. */
export class WatchedIndex extends MemoryIndex {
  before: () => void = () => { /* nobody watches */ }

  override async write (writes: readonly IndexWrite[]): Promise<void> {
    this.before()
    await super.write(writes)
  }
}

/** All that lies in a folder in memory, a line for each file and link. */
export function describeMemory (folder: MemoryFolder | undefined): string[] {
  const lines: string[] = []
  const visit = (at: MemoryFolder, path: string): void => {
    for (const { name, node } of at.entries()) {
      if (node.kind === 'directory') visit(node, `${path}${name}/`)
      else lines.push(node.kind === 'symlink' ? `${path}${name} -> ${node.target}` : `${path}${name} ${String(node.mtimeNs)} ${Buffer.from(node.content).toString('base64')}`)
      if (node.kind === 'directory') lines.push(`${path}${name}/ ${String(node.mtimeNs)}`)
    }
  }
  if (folder !== undefined) visit(folder, '')
  return lines.sort()
}

/** What {@link describeMemory} tells of a copy of a source. */
export function describeWanted (source: SourceTree): string[] {
  const lines: string[] = []
  const visit = (children: ReadonlyMap<string, SourceNode>, path: string): void => {
    for (const [name, node] of children) {
      if (node.kind === 'directory') {
        visit(node.children, `${path}${name}/`)
        lines.push(`${path}${name}/ ${String(node.mtimeNs)}`)
      } else {
        lines.push(node.kind === 'symlink' ? `${path}${name} -> ${node.target}` : `${path}${name} ${String(node.mtimeNs)} ${Buffer.from(node.content).toString('base64')}`)
      }
    }
  }
  visit(source.root.children, '')
  return lines.sort()
}
