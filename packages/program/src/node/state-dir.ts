import { realpath } from 'node:fs/promises'
import { homedir } from 'node:os'
import { dirname, isAbsolute, join, relative, resolve } from 'node:path'
import { FileSyncError } from '@filesync/protocol'

type Environment = Readonly<Record<string, string | undefined>>

/** Where a program keeps its keys, pins and indexes unless told: the platform's place for state. */
export function defaultStateDir (program: 'server' | 'client', env: Environment): string {
  // systemd names the unit's own directory here.
  if (program === 'server' && env['STATE_DIRECTORY'] !== undefined) return env['STATE_DIRECTORY'].split(':')[0] ?? ''
  if (process.platform === 'win32') return join(env['LOCALAPPDATA'] ?? join(homedir(), 'AppData', 'Local'), 'FileSync', program)
  if (process.platform === 'darwin') return join(homedir(), 'Library', 'Application Support', 'FileSync', program)
  return join(env['XDG_STATE_HOME'] ?? join(homedir(), '.local', 'state'), 'filesync', program)
}

/**
 * Refuses a state directory inside a tree that is synced: its private key would travel, and its changes would never end.
 * Symbolic links on the way are followed first. Throws USAGE.
 */
export async function checkStateDir (stateDir: string, tree: string, treeName: string): Promise<void> {
  const inside = relative(await realest(tree), await realest(stateDir))
  if (inside === '' || (!inside.startsWith('..') && !isAbsolute(inside))) {
    throw new FileSyncError('USAGE', `The state directory ${stateDir} lies inside ${treeName} ${tree}. ` +
      'It holds the private key, so it may not be there. Choose another place with --state-dir.')
  }
}

/** The real path of what exists of a path, with the rest behind it. */
async function realest (path: string): Promise<string> {
  const absolute = resolve(path)
  try {
    return await realpath(absolute)
  } catch (error) {
    if (!(error instanceof Error && 'code' in error && error.code === 'ENOENT')) throw error
    const parent = dirname(absolute)
    return parent === absolute ? absolute : join(await realest(parent), absolute.slice(parent.length))
  }
}
