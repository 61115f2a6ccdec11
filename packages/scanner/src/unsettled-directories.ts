import { joinPath, ROOT_PATH } from '@filesync/protocol'
import type { RelativePath } from '@filesync/protocol'
import type { DirectoryNode } from './directory-node.ts'
import type { DirtyDirectories } from './dirty-directories.ts'

/** Marks directories to read again without an event: those with unsettled files or with something that could not be read. */
export function markForReread (root: DirectoryNode, dirty: DirtyDirectories): void {
  visit(root, (node, path) => { if (needsReread(node)) dirty.mark(path) })
}

/** The paths of the unsettled files. */
export function unsettledPaths (root: DirectoryNode): RelativePath[] {
  const paths: RelativePath[] = []
  visit(root, (node, path) => { for (const { name } of node.notes.unsettled) paths.push(joinPath(path, name)) })
  return paths
}

/** How long until the last of the unsettled files can have settled; 0 if there is none. */
export function longestSettleMs (root: DirectoryNode): number {
  let longestMs = 0
  visit(root, node => { for (const { settlesInMs } of node.notes.unsettled) longestMs = Math.max(longestMs, settlesInMs) })
  return longestMs
}

function needsReread (node: DirectoryNode): boolean {
  return node.notes.unsettled.length > 0 || !node.notes.complete
}

function visit (root: DirectoryNode, use: (node: DirectoryNode, path: RelativePath) => void): void {
  const stack: { readonly node: DirectoryNode, readonly path: RelativePath }[] = [{ node: root, path: ROOT_PATH }]
  for (let at = stack.pop(); at !== undefined; at = stack.pop()) {
    use(at.node, at.path)
    for (const child of at.node.oddChildren()) {
      if (child.odd.unsettled > 0 || child.odd.incomplete > 0) stack.push({ node: child, path: joinPath(at.path, child.name) })
    }
  }
}
