import { sep } from 'node:path'
import { pathWithin, userPath } from '@filesync/program/node'
import type { Terminal } from '@filesync/program/node'
import { checkRelativePath, FileSyncError } from '@filesync/protocol'
import type { RelativePath } from '@filesync/protocol'

/** What is needed of a folder to find paths in it. */
export interface LocatedFolder {
  readonly name: string
  readonly root: string
}

/**
 * The path in the archive, `FOLDER/PATH`, of what the user named: an absolute path, one relative to the working directory, a path as it is
 * in the archive, or, if there is only one folder, a path in it. Throws USAGE if it is in no folder.
 */
export function locatePath (folders: readonly LocatedFolder[], text: string, env: Terminal['env']): RelativePath {
  const found = within(folders, userPath(text, env)) ?? named(folders, text) ?? withinOnly(folders, text, env)
  if (found !== undefined && checkRelativePath(found) === undefined) return found as RelativePath
  const known = folders.map(({ name, root }) => `${name} (${root})`).join(', ')
  throw new FileSyncError('USAGE', `${text} is not inside a folder that is pushed: ${known}. Give a path in one of them.`)
}

function within (folders: readonly LocatedFolder[], path: string): string | undefined {
  for (const { name, root } of folders) {
    const inside = pathWithin(root, path)
    if (inside !== undefined) return joined(name, inside)
  }
  return undefined
}

function named (folders: readonly LocatedFolder[], text: string): string | undefined {
  const [first, ...rest] = text.split(/[/\\]/u).filter((part, at) => part !== '' || at === 0)
  return folders.some(({ name }) => name === first) ? joined(first ?? '', rest.join(sep)) : undefined
}

function withinOnly (folders: readonly LocatedFolder[], text: string, env: Terminal['env']): string | undefined {
  const [folder, ...more] = folders
  if (folder === undefined || more.length > 0) return undefined
  return within([folder], userPath(text, env, folder.root))
}

function joined (name: string, inside: string): string {
  return inside === '' ? name : `${name}/${inside.split(sep).join('/')}`
}
