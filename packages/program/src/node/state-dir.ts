import { realpath } from 'node:fs/promises'
import { dirname, join, resolve } from 'node:path'
import { FileSyncError } from '@filesync/protocol'
import { absolutePath, homeDirectory, pathWithin } from './user-path.ts'
import type { Environment } from './user-path.ts'

/**
 * Where a program keeps its keys, pins and indexes by default: the platform's directory for state. Throws USAGE if that would
 * be in the home directory and the user has none.
 */
export function defaultStateDir (program: 'server' | 'client', env: Environment): string {
  // systemd sets this to the directory of the unit.
  const ofUnit = program === 'server' ? absolutePath(env['STATE_DIRECTORY']?.split(':')[0]) : undefined
  if (ofUnit !== undefined) return ofUnit
  if (process.platform === 'win32') {
    return join(absolutePath(env['LOCALAPPDATA']) ?? join(homeForState(env), 'AppData', 'Local'), 'FileSync', program)
  }
  if (process.platform === 'darwin') return join(homeForState(env), 'Library', 'Application Support', 'FileSync', program)
  return join(absolutePath(env['XDG_STATE_HOME']) ?? join(homeForState(env), '.local', 'state'), 'filesync', program)
}

function homeForState (env: Environment): string {
  const home = homeDirectory(env)
  if (home !== undefined) return home
  throw new FileSyncError('USAGE', 'This user has no home directory: HOME is not set, and the system lists none. ' +
    'Choose a directory for keys and pairings with --state-dir DIR.')
}

/**
 * The configuration file that is read by default if it exists: `$XDG_CONFIG_HOME/filesync/client.yaml`. Undefined if that would
 * be in the home directory and the user has none.
 */
export function defaultSettingsFile (program: string, env: Environment): string | undefined {
  const base = absolutePath(env[process.platform === 'win32' ? 'APPDATA' : 'XDG_CONFIG_HOME']) ?? configInHome(homeDirectory(env))
  return base === undefined ? undefined : join(base, 'filesync', `${program.replace(/^filesync-/u, '')}.yaml`)
}

/** The same for people, with the environment variable that it depends on. */
export function settingsFileName (program: string, platform: NodeJS.Platform = process.platform): string {
  const name = program.replace(/^filesync-/u, '')
  return platform === 'win32' ? `%APPDATA%\\filesync\\${name}.yaml` : `$XDG_CONFIG_HOME/filesync/${name}.yaml (~/.config by default)`
}

function configInHome (home: string | undefined): string | undefined {
  if (home === undefined) return undefined
  return process.platform === 'win32' ? join(home, 'AppData', 'Roaming') : join(home, '.config')
}

/**
 * Refuses a state directory inside a tree that is synced: its private key would be sent, and each sync would change it again.
 * Follows symbolic links. Throws USAGE.
 */
export async function checkStateDir (stateDir: string, tree: string, treeName: string): Promise<void> {
  if (pathWithin(await resolveLinks(tree), await resolveLinks(stateDir)) !== undefined) {
    throw new FileSyncError('USAGE', `The state directory ${stateDir} is inside ${treeName} ${tree}. ` +
      'It holds the private key, so it must be elsewhere. Choose another directory with --state-dir.')
  }
}

/** Refuses to push the state directory or a directory in it: the private key would be sent. Follows symbolic links. Throws USAGE. */
export async function checkNotInState (stateDir: string, tree: string): Promise<void> {
  if (pathWithin(await resolveLinks(stateDir), await resolveLinks(tree)) === undefined) return
  throw new FileSyncError('USAGE', `The directory to push, ${tree}, is the state directory ${stateDir} of the client or inside it. ` +
    'It holds the private key. Push another directory, or choose another state directory with --state-dir.')
}

/** The real path of the part of a path that exists, followed by the rest. */
async function resolveLinks (path: string): Promise<string> {
  const whole = resolve(path)
  try {
    return await realpath(whole)
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException
    if (code !== 'ENOENT') throw new FileSyncError('USAGE', `The path ${whole} cannot be resolved: ${message}.`, { cause: error })
    const parent = dirname(whole)
    return parent === whole ? whole : join(await resolveLinks(parent), whole.slice(parent.length))
  }
}
