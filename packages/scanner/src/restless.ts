import { joinPath, ROOT_PATH } from '@filesync/protocol'
import type { RelativePath } from '@filesync/protocol'
import type { DirectoryNode } from './directory-node.ts'
import type { DirtyDirectories } from './dirty-directories.ts'

/** Directories that have to be read again even though no change was told: files in motion, and what could not be read. */
export function markRestless (root: DirectoryNode, dirty: DirtyDirectories): void {
  visit(root, (node, path) => { if (isRestless(node)) dirty.mark(path) })
}

/** The paths of the files in motion. */
export function unsettledPaths (root: DirectoryNode): RelativePath[] {
  const paths: RelativePath[] = []
  visit(root, (node, path) => { for (const { name } of node.own.unsettled) paths.push(joinPath(path, name)) })
  return paths
}

/** How long until the last of the files in motion can have come to rest; 0 where there is none. */
export function longestRestMs (root: DirectoryNode): number {
  let longestMs = 0
  visit(root, node => { for (const { settlesInMs } of node.own.unsettled) longestMs = Math.max(longestMs, settlesInMs) })
  return longestMs
}

function isRestless (node: DirectoryNode): boolean {
  return node.own.unsettled.length > 0 || !node.own.complete
}

function visit (root: DirectoryNode, take: (node: DirectoryNode, path: RelativePath) => void): void {
  const stack: { readonly node: DirectoryNode, readonly path: RelativePath }[] = [{ node: root, path: ROOT_PATH }]
  for (let at = stack.pop(); at !== undefined; at = stack.pop()) {
    take(at.node, at.path)
    for (const child of at.node.children) {
      if (child.totals.unsettledCount > 0 || child.totals.incomplete > 0) stack.push({ node: child, path: joinPath(at.path, child.name) })
    }
  }
}
