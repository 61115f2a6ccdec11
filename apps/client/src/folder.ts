import { basename, isAbsolute } from 'node:path'
import { pathWithin } from '@filesync/program/node'
import { checkName, FileSyncError, foldKey, LIMITS } from '@filesync/protocol'
import type { Name } from '@filesync/protocol'

/** A local directory that is pushed, under its name in the archive. */
export interface Folder {
  readonly name: Name
  /** Absolute path of the directory. */
  readonly root: string
}

/**
 * Reads folders as the user named them, each an absolute path or `NAME=PATH`. By default a folder has the name of its directory.
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
 * Throws USAGE if a folder that is pushed for the first time is inside a remembered one, or contains it: from then on both would be pushed
 * by a command without folders. Returns the folders.
 */
export function checkNewFolders (folders: Folder[], remembered: readonly Folder[]): Folder[] {
  const known = new Set(remembered.map(({ name }) => foldKey(name)))
  const named = new Set(folders.map(({ name }) => foldKey(name)))
  const others = remembered.filter(({ name }) => !named.has(foldKey(name)))
  for (const folder of folders.filter(({ name }) => !known.has(foldKey(name)))) {
    const twin = others.find(({ root }) => pathWithin(root, folder.root) !== undefined || pathWithin(folder.root, root) !== undefined)
    if (twin === undefined) continue
    const how = pathWithin(folder.root, twin.root) === undefined ? 'is inside' : twin.root === folder.root ? 'is' : 'contains'
    throw new FileSyncError('USAGE', `${folder.root} ${how} the folder "${twin.name}" (${twin.root}), which is pushed already, ` +
      `so its files would be stored twice. To push it instead, run "filesync-client folders remove ${twin.name}" first.`)
  }
  return folders
}

function parseFolder (text: string): Folder {
  const at = isAbsolute(text) ? -1 : text.indexOf('=')
  const root = text.slice(at + 1)
  const name = at < 0 ? basename(root) : text.slice(0, at)
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
