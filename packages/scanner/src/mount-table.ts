import { checkRelativePath } from '@filesync/protocol'
import type { RelativePath } from '@filesync/protocol'

/** The mount points in a source, each with a text that differs for every mount. */
export type MountTable = ReadonlyMap<RelativePath, string>

/**
 * The mount points below a directory, from the text of `/proc/self/mountinfo` (proc_pid_mountinfo(5)). Of several mounts on one
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
    if (!path.startsWith(prefix)) continue
    const below = path.slice(prefix.length)
    if (checkRelativePath(below) === undefined) table.set(below as RelativePath, `${id} ${device} ${inside}`)
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
