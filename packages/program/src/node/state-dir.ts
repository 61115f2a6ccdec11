import { realpath } from 'node:fs/promises'
import { dirname, join, resolve } from 'node:path'
import { FileSyncError } from '@filesync/protocol'
import { withOption } from './option-hint.ts'
import type { OptionHint } from './option-hint.ts'
import { settingsPath, stateDirectory } from './program-name.ts'
import type { ProgramName } from './program-name.ts'
import { absolutePath, homeDirectory, pathWithin } from './user-path.ts'
import type { Environment } from './user-path.ts'

/** How a program finds its state directory. */
export interface StateDirInit extends ProgramName {
  /** Whether systemd may run it as a unit with a state directory of its own. */
  readonly isService?: boolean | undefined
  /** The option for another directory, to be named in errors: `--state-dir DIR`. */
  readonly option?: string | undefined
}

/**
 * Where a program keeps its keys, records and control socket by default: the platform's directory for state. Throws USAGE if that
 * would be in the home directory and the user has none.
 */
export function defaultStateDir (program: StateDirInit, env: Environment): string {
  // systemd sets this to the directory of the unit.
  const ofUnit = program.isService === true ? absolutePath(env['STATE_DIRECTORY']?.split(':')[0]) : undefined
  if (ofUnit !== undefined) return ofUnit
  const own = stateDirectory(program)
  const home = (): string => homeForState(program, env)
  if (process.platform === 'win32') return join(absolutePath(env['LOCALAPPDATA']) ?? join(home(), 'AppData', 'Local'), ...own)
  if (process.platform === 'darwin') return join(home(), 'Library', 'Application Support', ...own)
  return join(absolutePath(env['XDG_STATE_HOME']) ?? join(home(), '.local', 'state'), ...own)
}

function homeForState ({ option }: StateDirInit, env: Environment): string {
  const home = homeDirectory(env)
  if (home !== undefined) return home
  throw new FileSyncError('USAGE', 'This user has no home directory: HOME is not set, and the system lists none. ' +
    `Choose a state directory${withOption(option)}.`)
}

/**
 * The configuration file that is read by default if it exists: `$XDG_CONFIG_HOME/hello/config.yaml`. Undefined if that would be in
 * the home directory and the user has none.
 */
export function defaultSettingsFile (program: ProgramName, env: Environment): string | undefined {
  const base = absolutePath(env[process.platform === 'win32' ? 'APPDATA' : 'XDG_CONFIG_HOME']) ?? configInHome(homeDirectory(env))
  return base === undefined ? undefined : join(base, ...settingsPath(program))
}

/** The same for people, with the environment variable that it depends on. */
export function settingsFileName (program: ProgramName, platform: NodeJS.Platform = process.platform): string {
  const path = settingsPath(program)
  return platform === 'win32' ? `%APPDATA%\\${path.join('\\')}` : `$XDG_CONFIG_HOME/${path.join('/')} (~/.config by default)`
}

function configInHome (home: string | undefined): string | undefined {
  if (home === undefined) return undefined
  return process.platform === 'win32' ? join(home, 'AppData', 'Roaming') : join(home, '.config')
}

interface CheckStateDirOptions extends OptionHint {
  /** What the tree is, in an error: `the archive`. */
  readonly treeName: string
}

/**
 * Refuses a state directory inside a tree that is synced: its private key would be sent, and each sync would change it again.
 * Follows symbolic links. Throws USAGE.
 */
export async function checkStateDir (stateDir: string, tree: string, { treeName, option }: CheckStateDirOptions): Promise<void> {
  if (pathWithin(await resolveLinks(tree), await resolveLinks(stateDir)) !== undefined) {
    throw new FileSyncError('USAGE', `The state directory ${stateDir} is inside ${treeName} ${tree}. ` +
      `It holds the private key, so it must be elsewhere. Choose another state directory${withOption(option)}.`)
  }
}

/** Refuses to push the state directory or a directory in it: the private key would be sent. Follows symbolic links. Throws USAGE. */
export async function checkNotInState (stateDir: string, tree: string, { option }: OptionHint = {}): Promise<void> {
  if (pathWithin(await resolveLinks(stateDir), await resolveLinks(tree)) === undefined) return
  throw new FileSyncError('USAGE', `The directory to push, ${tree}, is the state directory ${stateDir} or inside it. ` +
    `It holds the private key. Push another directory, or choose another state directory${withOption(option)}.`)
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
