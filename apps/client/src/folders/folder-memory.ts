import { open, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { errnoOf, FileSyncError, isFileSyncError } from '@filesync/protocol'
import { renameOver } from '@filesync/protocol/node'
import { isDeviceId } from '@filesync/identity'
import type { DeviceId } from '@filesync/identity'
import type { ScanMemory } from '@filesync/scanner'

/** What the client remembers about a folder that it has pushed. */
export interface FolderMemory extends ScanMemory {
  /** Absolute path of the directory that was pushed under this name. */
  readonly path: string
  /** Its size at the last scan. */
  readonly bytes?: number
  /** The server that the folder is pushed to. */
  readonly serverId?: DeviceId
  /** The end of the last run after which everything in it was stored. */
  readonly completeAtMs?: number
}

/** Keyed by the name of the folder. */
export type FolderMemories = ReadonlyMap<string, FolderMemory>

const FILE_NAME = 'folders.json'

/**
 * Reads what was last known about all folders: which directory each was, so that another one of its name, or an unmounted disk, is not
 * mistaken for a folder whose files were deleted. Throws STATE_INVALID if the record is damaged.
 */
export async function recallFolders (stateDir: string): Promise<FolderMemories> {
  const path = join(stateDir, FILE_NAME)
  let text: string
  try {
    text = await readFile(path, 'utf8')
  } catch (error) {
    if (errnoOf(error) === 'ENOENT') return new Map()
    throw error
  }
  const memories = parse(text)
  if (memories === undefined) {
    throw new FileSyncError('STATE_INVALID', `${path} is damaged. Remove it; the next run then accepts the folders as they are.`)
  }
  return memories
}

/**
 * Saves what is now known about some folders; undefined forgets one. Others stay as they are. Throws STATE_INVALID if it cannot be
 * written, for example on a full disk.
 */
export async function rememberFolders (stateDir: string, changes: ReadonlyMap<string, FolderMemory | undefined>): Promise<void> {
  try {
    const memories = new Map(await recallFolders(stateDir))
    for (const [name, memory] of changes) {
      if (memory === undefined) memories.delete(name)
      else memories.set(name, memory)
    }
    await replace(join(stateDir, FILE_NAME), JSON.stringify(Object.fromEntries(memories)))
  } catch (error) {
    if (isFileSyncError(error)) throw error
    const why = error instanceof Error ? error.message : String(error)
    throw new FileSyncError('STATE_INVALID', `The record of the folders cannot be written to ${stateDir}: ${why}. ` +
      'Until it can be written, a later start may not notice that a directory was replaced, for example by an unmounted disk. ' +
      'Check the free space and the permissions there.', { cause: error })
  }
}

/** The server that earlier pushes of these folders went to. Throws USAGE if they went to several, unless the user names one. */
export function commonServer (names: readonly string[], memories: FolderMemories, named: string | undefined): DeviceId | undefined {
  const servers = new Map<DeviceId, string>()
  for (const name of names) {
    const server = memories.get(name)?.serverId
    if (server !== undefined) servers.set(server, name)
  }
  if (servers.size > 1 && named === undefined) {
    const each = [...servers.values()].join(', ')
    throw new FileSyncError('USAGE', `These folders are pushed to different servers (${each} each to its own). ` +
      'Use one command for each server, or choose one for all of them with --server-name NAME.')
  }
  return [...servers.keys()][0]
}

async function replace (path: string, text: string): Promise<void> {
  const fresh = `${path}.new`
  const file = await open(fresh, 'w', 0o600)
  try {
    await file.writeFile(text)
    await file.sync()
  } finally {
    await file.close()
  }
  await renameOver(fresh, path)
}

/** Undefined if the text is not valid. */
function parse (text: string): FolderMemories | undefined {
  try {
    const value: unknown = JSON.parse(text)
    if (!isObject(value) || !Object.values(value).every(isFolderMemory)) return undefined
    return new Map(Object.entries(value as Record<string, FolderMemory>))
  } catch {
    return undefined
  }
}

function isFolderMemory (value: unknown): value is FolderMemory {
  if (!isObject(value) || typeof value['files'] !== 'number' || typeof value['path'] !== 'string' || !isObject(value['root'])) return false
  const { serverId } = value
  if (serverId !== undefined && !isDeviceId(serverId)) return false
  if (!['completeAtMs', 'bytes'].every(name => value[name] === undefined || typeof value[name] === 'number')) return false
  const { isMountPoint, mounts = [], covered = [] } = value
  if (isMountPoint !== undefined && typeof isMountPoint !== 'boolean') return false
  if (!Array.isArray(covered) || !covered.every(path => typeof path === 'string')) return false
  return isRootMark(value['root']) && Array.isArray(mounts) && mounts.every(isMount)
}

function isMount (value: unknown): boolean {
  return isObject(value) && typeof value['path'] === 'string' && typeof value['files'] === 'number' && isRootMark(value)
}

function isRootMark ({ device, inode, birthtimeNs }: Record<string, unknown>): boolean {
  return [device, inode, birthtimeNs].every(part => typeof part === 'string')
}

function isObject (value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}
