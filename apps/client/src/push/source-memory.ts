import { open, readFile, rename } from 'node:fs/promises'
import { join } from 'node:path'
import { errnoOf, FileSyncError, isFileSyncError } from '@filesync/protocol'
import { isDeviceId } from '@filesync/identity'
import type { DeviceId } from '@filesync/identity'
import type { ScanMemory } from '@filesync/scanner'

/** What the client remembers about a directory that it has pushed. */
export interface SourceMemory extends ScanMemory {
  /** The server that the directory is pushed to. */
  readonly serverId?: DeviceId
  /** The end of the last run after which everything was stored. */
  readonly completeAtMs?: number
}

/** Keyed by the path of the directory. */
type Memories = Readonly<Record<string, SourceMemory>>

const FILE_NAME = 'sources.json'

/**
 * Reads what was last known about a directory: where it is pushed to, and which directory it was, so that an unmounted disk is
 * not mistaken for a directory whose files were deleted.
 */
export async function recallSource (stateDir: string, root: string): Promise<SourceMemory | undefined> {
  return (await load(stateDir))[root]
}

/** Saves what is now known about a directory. Throws STATE_INVALID if it cannot be written, for example on a full disk. */
export async function rememberSource (stateDir: string, root: string, memory: SourceMemory): Promise<void> {
  try {
    await replace(stateDir, root, memory)
  } catch (error) {
    if (isFileSyncError(error)) throw error
    const why = error instanceof Error ? error.message : String(error)
    throw new FileSyncError('STATE_INVALID', `The record of ${root} cannot be written to ${stateDir}: ${why}. ` +
      'Until it can be written, a later start may not notice that the directory was replaced, for example by an unmounted disk. ' +
      'Check the free space and the permissions there.', { cause: error })
  }
}

async function replace (stateDir: string, root: string, memory: SourceMemory): Promise<void> {
  const text = JSON.stringify({ ...await load(stateDir), [root]: memory })
  const path = join(stateDir, FILE_NAME)
  const fresh = `${path}.new`
  const file = await open(fresh, 'w', 0o600)
  try {
    await file.writeFile(text)
    await file.sync()
  } finally {
    await file.close()
  }
  await rename(fresh, path)
}

async function load (stateDir: string): Promise<Memories> {
  const path = join(stateDir, FILE_NAME)
  let text: string
  try {
    text = await readFile(path, 'utf8')
  } catch (error) {
    if (errnoOf(error) === 'ENOENT') return {}
    throw error
  }
  const memories = parse(text)
  if (memories === undefined) {
    throw new FileSyncError('STATE_INVALID', `${path} is damaged. Remove it; the next run then accepts the directory as it is.`)
  }
  return memories
}

/** Undefined if the text is not valid. */
function parse (text: string): Memories | undefined {
  try {
    const value: unknown = JSON.parse(text)
    return isObject(value) && Object.values(value).every(isSourceMemory) ? value as Memories : undefined
  } catch {
    return undefined
  }
}

function isSourceMemory (value: unknown): value is SourceMemory {
  if (!isObject(value) || typeof value['files'] !== 'number' || !isObject(value['root'])) return false
  const { serverId, completeAtMs } = value
  if ((serverId !== undefined && !isDeviceId(serverId)) || (completeAtMs !== undefined && typeof completeAtMs !== 'number')) return false
  const { device, inode, birthtimeNs } = value['root']
  return [device, inode, birthtimeNs].every(part => typeof part === 'string')
}

function isObject (value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}
