import { isAbsolute } from 'node:path'
import { nameOnDisk, pathWithin } from '@filesync/program/node'
import { checkName, FileSyncError, foldKey, LIMITS } from '@filesync/protocol'
import type { Name } from '@filesync/protocol'

/** A local directory that is pushed, under its name in the archive. */
export interface Folder {
  readonly name: Name
  /** Absolute path of the directory. */
  readonly root: string
}

/**
 * Reads folders as the user named them, each an absolute path or `NAME=PATH`. By default a folder has the name of its directory, however
 * the user spelled it.
 * Throws USAGE for an invalid name, and what {@link checkFolders} throws.
 */
export function parseFolders (texts: readonly string[]): Folder[] {
  return checkFolders(texts.map(parseFolder))
}

/**
 * Throws USAGE for two folders of one name, and folders inside each other.
 * `areRemembered`: they were pushed before, and none was named now.
 */
export function checkFolders (folders: Folder[], areRemembered = false): Folder[] {
  if (folders.length > LIMITS.foldersPerClient) {
    throw new FileSyncError('USAGE', `${folders.length} folders were given, but a client has ${LIMITS.foldersPerClient} at most. ` +
      'Push a directory that contains several of them.')
  }
  for (const [at, folder] of folders.entries()) for (const other of folders.slice(0, at)) checkPair(other, folder, areRemembered)
  return folders
}

/**
 * Throws USAGE if a folder that is pushed for the first time is inside a remembered one, contains it, or has its name in other letter case:
 * from then on both would be pushed by a command without folders. Returns the folders.
 */
export function checkNewFolders (folders: Folder[], remembered: readonly Folder[]): Folder[] {
  const known = new Set<string>(remembered.map(({ name }) => name))
  const named = new Set<string>(folders.map(({ name }) => name))
  const others = remembered.filter(({ name }) => !named.has(name))
  for (const folder of folders.filter(({ name }) => !known.has(name))) {
    for (const other of others) checkBeside(folder, other)
  }
  return folders
}

function checkBeside ({ name, root }: Folder, other: Folder): void {
  const remove = `run "filesync-client folders remove ${other.name}" first.`
  if (foldKey(name) === foldKey(other.name)) {
    throw new FileSyncError('USAGE', `The name "${name}" differs only in letter case from the folder "${other.name}" (${other.root}), ` +
      `which is pushed already. Give this one another name, NAME=${root}, or ${remove}`)
  }
  const isInside = pathWithin(other.root, root) !== undefined
  if (!isInside && pathWithin(root, other.root) === undefined) return
  const how = root === other.root ? 'is' : isInside ? 'is inside' : 'contains'
  throw new FileSyncError('USAGE', `${root} ${how} the folder "${other.name}" (${other.root}), which is pushed already, ` +
    `so its files would be stored twice. To push it instead, ${remove}`)
}

function parseFolder (text: string): Folder {
  const at = isAbsolute(text) ? -1 : text.indexOf('=')
  const root = text.slice(at + 1)
  const name = at < 0 ? nameOnDisk(root) : text.slice(0, at)
  const fault = name === '' ? 'it has no name' : checkName(name)
  if (fault !== undefined) {
    throw new FileSyncError('USAGE', `${JSON.stringify(name)} cannot be the name of a folder in the archive (${fault}). ` +
      `Give it another one: NAME=${root}.`)
  }
  return { name: name as Name, root }
}

function checkPair (one: Folder, other: Folder, areRemembered: boolean): void {
  if (foldKey(one.name) === foldKey(other.name)) {
    throw new FileSyncError('USAGE', `${one.root} and ${other.root} would both be the folder "${other.name}" in the archive. ` +
      `Give one of them another name: NAME=${other.root}.`)
  }
  const [outer, inner] = pathWithin(one.root, other.root) === undefined ? [other, one] : [one, other]
  if (pathWithin(outer.root, inner.root) === undefined) return
  const advice = areRemembered
    ? `Both were pushed before. Name the folders to push, or run "filesync-client folders remove ${inner.name}".`
    : `Push only ${outer.root}, or only folders that do not contain each other.`
  throw new FileSyncError('USAGE', `${inner.root} is inside ${outer.root}, so its files would be stored twice. ${advice}`)
}
