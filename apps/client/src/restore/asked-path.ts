import { isAbsolute, sep } from 'node:path'
import { pathWithin, userPath } from '@filesync/program/node'
import type { Terminal } from '@filesync/program/node'
import { checkRelativePath, FileSyncError, ROOT_PATH } from '@filesync/protocol'
import type { RelativePath } from '@filesync/protocol'

/** A folder of this client, and where it is on this machine. */
export interface LocalFolder {
  readonly name: string
  readonly root: string
}

/** How everything is named. */
const EVERYTHING = '/'
const LOCAL = /^(?:\.{1,2}(?:[/\\]|$)|~)/u

/**
 * The path in the archive of what the user named: `FOLDER/PATH` as it is there, a path of this machine in a folder that is pushed
 * (absolute, or beginning with `./`, `../` or `~`), or `/` for everything. What is restored need not exist here any more. Throws USAGE.
 */
export function askedPath (text: string, folders: readonly LocalFolder[], env: Terminal['env']): RelativePath {
  if (text === EVERYTHING) return ROOT_PATH
  if (isAbsolute(text) || LOCAL.test(text)) return localPath(userPath(text, env), folders)
  const path = text.split(sep).join('/').replace(/\/+$/u, '')
  const fault = checkRelativePath(path)
  if (fault === undefined) return path as RelativePath
  throw new FileSyncError('USAGE', `"${text}" is not a path in the archive (${fault}). Name it as FOLDER/PATH, or / for everything.`)
}

function localPath (path: string, folders: readonly LocalFolder[]): RelativePath {
  for (const { name, root } of folders) {
    const inside = pathWithin(root, path)
    if (inside === undefined) continue
    const asked = [name, ...inside.split(sep)].filter(part => part !== '').join('/')
    if (asked === '' || checkRelativePath(asked) === undefined) return asked as RelativePath
  }
  const known = folders.length === 0 ? 'none is known' : folders.map(({ name, root }) => `${name} (${root})`).join(', ')
  throw new FileSyncError('USAGE', `${path} is not inside a folder that this client pushes: ${known}. ` +
    'Name it as it is in the archive, FOLDER/PATH, or / for everything.')
}
