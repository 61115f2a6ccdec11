import { pathDepth } from '@filesync/protocol'
import type { RelativePath } from '@filesync/protocol'

/**
 * Whether a symbolic link in `directory` leads out of the tree: resolved by its text alone, against the place where the
 * link lies. An absolute target is outside even where it happens to point into the tree, because elsewhere it does not.
 */
export function leadsOutside (directory: RelativePath, target: string): boolean {
  if (target.startsWith('/') || /^[a-z]:|^\\/iu.test(target)) return true
  let depth = pathDepth(directory)
  for (const name of target.split('/')) {
    if (name === '..') depth--
    else if (name !== '' && name !== '.') depth++
    if (depth < 0) return true
  }
  return false
}
