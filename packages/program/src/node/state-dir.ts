import { realpath } from 'node:fs/promises'
import { homedir } from 'node:os'
import { dirname, isAbsolute, join, relative, resolve, sep } from 'node:path'
import { FileSyncError } from '@filesync/protocol'

type Environment = Readonly<Record<string, string | undefined>>

/** Where a program keeps its keys, pins and indexes unless told: the platform's place for state. */
export function defaultStateDir (program: 'server' | 'client', env: Environment): string {
  // systemd names the unit's own directory here.
  const ofUnit = program === 'server' ? absolute(env['STATE_DIRECTORY']?.split(':')[0]) : undefined
  if (ofUnit !== undefined) return ofUnit
  if (process.platform === 'win32') return join(absolute(env['LOCALAPPDATA']) ?? join(homedir(), 'AppData', 'Local'), 'FileSync', program)
  if (process.platform === 'darwin') return join(homedir(), 'Library', 'Application Support', 'FileSync', program)
  return join(absolute(env['XDG_STATE_HOME']) ?? join(homedir(), '.local', 'state'), 'filesync', program)
}

/** The configuration file that is read, where it exists, unless another is named: `$XDG_CONFIG_HOME/filesync/client.yaml`. */
export function defaultSettingsFile (program: string, env: Environment): string {
  const base = process.platform === 'win32'
    ? absolute(env['APPDATA']) ?? join(homedir(), 'AppData', 'Roaming')
    : absolute(env['XDG_CONFIG_HOME']) ?? join(homedir(), '.config')
  return join(base, 'filesync', `${program.replace(/^filesync-/u, '')}.yaml`)
}

// The XDG Base Directory Specification: an empty or relative path counts as not given.
function absolute (path: string | undefined): string | undefined {
  return path !== undefined && isAbsolute(path) ? path : undefined
}

/**
 * Refuses a state directory inside a tree that is synced: its private key would travel, and its changes would never end.
 * Symbolic links on the way are followed first. Throws USAGE.
 */
export async function checkStateDir (stateDir: string, tree: string, treeName: string): Promise<void> {
  const inside = relative(await realest(tree), await realest(stateDir))
  if (inside !== '..' && !inside.startsWith(`..${sep}`) && !isAbsolute(inside)) {
    throw new FileSyncError('USAGE', `The state directory ${stateDir} lies inside ${treeName} ${tree}. ` +
      'It holds the private key, so it may not be there. Choose another place with --state-dir.')
  }
}

/** The real path of what exists of a path, with the rest behind it. */
async function realest (path: string): Promise<string> {
  const whole = resolve(path)
  try {
    return await realpath(whole)
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException
    if (code !== 'ENOENT') throw new FileSyncError('USAGE', `The path ${whole} cannot be followed: ${message}.`, { cause: error })
    const parent = dirname(whole)
    return parent === whole ? whole : join(await realest(parent), whole.slice(parent.length))
  }
}
