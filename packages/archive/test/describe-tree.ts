import { lstatSync, readdirSync, readFileSync, readlinkSync } from 'node:fs'
import { join } from 'node:path'

/** What stands at a path. */
export interface DescribedEntry {
  readonly kind: 'file' | 'directory' | 'symlink'
  readonly mode: number
  /** To ten microseconds, because disks get times through a double. */
  readonly when: string
  /** Of a file in base64; of a link its target. */
  readonly content: string
}

/** All that lies in a folder, by path. */
export function describeTree (folder: string): Map<string, DescribedEntry> {
  const tree = new Map<string, DescribedEntry>()
  const visit = (path: string): void => {
    for (const name of readdirSync(join(folder, path))) {
      const at = path === '' ? name : `${path}/${name}`
      const stat = lstatSync(join(folder, at), { bigint: true })
      const kind = stat.isDirectory() ? 'directory' : stat.isSymbolicLink() ? 'symlink' : 'file'
      const content = kind === 'directory' ? '' : kind === 'symlink' ? readlinkSync(join(folder, at)) : readFileSync(join(folder, at)).toString('base64')
      tree.set(at, { kind, mode: Number(stat.mode) & 0o777, when: String((stat.mtimeNs + 5000n) / 10_000n), content })
      if (kind === 'directory') visit(at)
    }
  }
  visit('')
  return tree
}
