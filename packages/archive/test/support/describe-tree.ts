import { lstatSync, readdirSync, readFileSync, readlinkSync } from 'node:fs'
import { join } from 'node:path'

/** The entry at a path. */
export interface DescribedEntry {
  readonly kind: 'file' | 'directory' | 'symlink'
  readonly mode: number
  /** To ten microseconds, because Node sets times as doubles. */
  readonly when: string
  /** The content of a file in base64, or the target of a link. */
  readonly content: string
}

/** Everything in a folder, by path. */
export function describeTree (folder: string): Map<string, DescribedEntry> {
  const tree = new Map<string, DescribedEntry>()
  const visit = (path: string): void => {
    for (const name of readdirSync(join(folder, path))) {
      const at = path === '' ? name : `${path}/${name}`
      const stat = lstatSync(join(folder, at), { bigint: true })
      const kind = stat.isDirectory() ? 'directory' : stat.isSymbolicLink() ? 'symlink' : 'file'
      const fileContent = (): string => readFileSync(join(folder, at)).toString('base64')
      const content = kind === 'directory' ? '' : kind === 'symlink' ? readlinkSync(join(folder, at)) : fileContent()
      tree.set(at, { kind, mode: Number(stat.mode) & 0o777, when: String((stat.mtimeNs + 5000n) / 10_000n), content })
      if (kind === 'directory') visit(at)
    }
  }
  visit('')
  return tree
}
