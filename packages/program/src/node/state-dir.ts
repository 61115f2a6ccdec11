import { realpath } from 'node:fs/promises'
import { dirname, isAbsolute, join, relative, resolve, sep } from 'node:path'
import { FileSyncError } from '@filesync/protocol'
import { absolutePath, homeDirectory } from './user-path.ts'
import type { Environment } from './user-path.ts'

/**
 * Where a program keeps its keys, pins and indexes by default: the platform's place for state. Throws USAGE where that is in
 * the home directory and there is none.
 */
export function defaultStateDir (program: 'server' | 'client', env: Environment): string {
  // systemd names the unit's own directory here.
  const ofUnit = program === 'server' ? absolutePath(env['STATE_DIRECTORY']?.split(':')[0]) : undefined
  if (ofUnit !== undefined) return ofUnit
  if (process.platform === 'win32') return join(absolutePath(env['LOCALAPPDATA']) ?? join(homeForState(env), 'AppData', 'Local'), 'FileSync', program)
  if (process.platform === 'darwin') return join(homeForState(env), 'Library', 'Application Support', 'FileSync', program)
  return join(absolutePath(env['XDG_STATE_HOME']) ?? join(homeForState(env), '.local', 'state'), 'filesync', program)
}

function homeForState (env: Environment): string {
  const home = homeDirectory(env)
  if (home !== undefined) return home
  throw new FileSyncError('USAGE', 'This user has no home directory: HOME is not set, and the system knows none. ' +
    'Say where keys and pairings are to be kept: --state-dir DIR.')
}

/**
 * The configuration file that is read, where it exists, unless another is named: `$XDG_CONFIG_HOME/filesync/client.yaml`.
 * Undefined where that is in the home directory and there is none.
 */
export function defaultSettingsFile (program: string, env: Environment): string | undefined {
  const base = absolutePath(env[process.platform === 'win32' ? 'APPDATA' : 'XDG_CONFIG_HOME']) ?? configInHome(homeDirectory(env))
  return base === undefined ? undefined : join(base, 'filesync', `${program.replace(/^filesync-/u, '')}.yaml`)
}

/** The same for a person, with the variable of the platform that it depends on. */
export function settingsFileName (program: string, platform: NodeJS.Platform = process.platform): string {
  const name = program.replace(/^filesync-/u, '')
  return platform === 'win32' ? `%APPDATA%\\filesync\\${name}.yaml` : `$XDG_CONFIG_HOME/filesync/${name}.yaml (~/.config by default)`
}

function configInHome (home: string | undefined): string | undefined {
  if (home === undefined) return undefined
  return process.platform === 'win32' ? join(home, 'AppData', 'Roaming') : join(home, '.config')
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
