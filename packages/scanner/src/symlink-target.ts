import { pathDepth } from '@filesync/protocol'
import type { RelativePath } from '@filesync/protocol'

/**
 * Whether a symbolic link in `directory` leads out of the source. Its text alone is resolved, relative to the link's
 * directory. An absolute target counts as outside even if it points into the source, because on the server it does not.
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
