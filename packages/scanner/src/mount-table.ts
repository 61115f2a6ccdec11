import { checkRelativePath, ROOT_PATH } from '@filesync/protocol'
import type { RelativePath } from '@filesync/protocol'

/** The mount points in a source, its root included, each with a text that differs for every mount. */
export type MountTable = ReadonlyMap<RelativePath, string>

/**
 * The mount points at a directory and below it, from the text of `/proc/self/mountinfo` (proc_pid_mountinfo(5)). Of several mounts on one
 * directory the last one counts, which hides the others.
 *
 * @param root absolute, without symbolic links
 */
export function parseMountTable (text: string, root: string): MountTable {
  const prefix = root.endsWith('/') ? root : `${root}/`
  const table = new Map<RelativePath, string>()
  for (const line of text.split('\n')) {
    const [id = '', , device = '', inside = '', mountPoint = ''] = line.split(' ', 5)
    const path = unescape(mountPoint)
    const below = path === root ? ROOT_PATH : path.startsWith(prefix) ? path.slice(prefix.length) : undefined
    if (below === undefined || (below !== ROOT_PATH && checkRelativePath(below) !== undefined)) continue
    table.set(below as RelativePath, `${id} ${device} ${inside}`)
  }
  return table
}

/** The mount points that only one of the tables has, or that have another mount in each. */
export function changedMounts (before: MountTable, now: MountTable): RelativePath[] {
  return [...new Set([...before.keys(), ...now.keys()])].filter(path => before.get(path) !== now.get(path))
}

/** Space, tab, newline and backslash are written as octal numbers. */
function unescape (text: string): string {
  return text.replace(/\\([0-7]{3})/gu, (_, octal: string) => String.fromCharCode(Number.parseInt(octal, 8)))
}
