import { LIMITS } from '../limits.ts'
import { checkName, utf8Length } from './name.ts'
import type { Name, NameFault } from './name.ts'

declare const pathBrand: unique symbol

/** Names joined by `/`, relative to the root of a tree; the root itself is the empty path. Only parsers create it. */
export type RelativePath = string & { readonly [pathBrand]: true }

/** Why a path is rejected. */
export type PathFault = NameFault | 'PATH_TOO_LONG' | 'PATH_TOO_DEEP'

/** The root of a tree. */
export const ROOT_PATH = '' as RelativePath

/** The reason to reject a path below the root, or undefined. Invalid paths are rejected, never sanitised. */
export function checkRelativePath (path: unknown): PathFault | undefined {
  if (typeof path !== 'string') return 'NAME_NOT_TEXT'
  if (path === '') return 'NAME_EMPTY'
  // Before the split: a path of a megabyte must not become a million pieces.
  if (path.length > LIMITS.pathBytes || utf8Length(path) > LIMITS.pathBytes) return 'PATH_TOO_LONG'
  const names = path.split('/')
  if (names.length > LIMITS.pathDepth) return 'PATH_TOO_DEEP'
  for (const name of names) {
    const fault = checkName(name)
    if (fault !== undefined) return fault
  }
  return undefined
}

/** Whether a value is a path below the root. */
export function isRelativePath (path: unknown): path is RelativePath {
  return checkRelativePath(path) === undefined
}

/** The path of an entry of a directory. The result can exceed the limits of a path, see {@link checkJoin}. */
export function joinPath (directory: RelativePath, name: Name): RelativePath {
  return (directory === '' ? name : `${directory}/${name}`) as RelativePath
}

/** The reason why the path of an entry of a directory is invalid, or undefined. Both parts are already parsed. */
export function checkJoin (directory: RelativePath, name: Name): 'PATH_TOO_LONG' | 'PATH_TOO_DEEP' | undefined {
  if (directory === '') return undefined
  if (utf8Length(directory) + 1 + utf8Length(name) > LIMITS.pathBytes) return 'PATH_TOO_LONG'
  return pathDepth(directory) >= LIMITS.pathDepth ? 'PATH_TOO_DEEP' : undefined
}

/** Number of names in a path; 0 for the root. */
export function pathDepth (path: RelativePath): number {
  if (path === '') return 0
  let depth = 1
  for (let at = path.indexOf('/'); at >= 0; at = path.indexOf('/', at + 1)) depth++
  return depth
}

/** The names of a path, outermost first; none for the root. */
export function pathNames (path: RelativePath): Name[] {
  return path === '' ? [] : path.split('/') as Name[]
}

/** The first name of a path, which is a folder of the client, and the path in that folder. */
export function splitFolder (path: RelativePath): { folder: Name, path: RelativePath } {
  const at = path.indexOf('/')
  if (at < 0) return { folder: path as string as Name, path: ROOT_PATH }
  return { folder: path.slice(0, at) as Name, path: path.slice(at + 1) as RelativePath }
}

/** The parent directory and the last name of a path. Not for the root, which has no name. */
export function splitPath (path: RelativePath): { directory: RelativePath, name: Name } {
  const at = path.lastIndexOf('/')
  return { directory: path.slice(0, Math.max(at, 0)) as RelativePath, name: path.slice(at + 1) as Name }
}
