import { realpathSync } from 'node:fs'
import { userInfo } from 'node:os'
import { dirname, isAbsolute, join, resolve, sep } from 'node:path'
import { FileSyncError } from '@filesync/protocol'

export type Environment = Readonly<Record<string, string | undefined>>

/** The home of another user, in the notation of shells. */
const OTHER_HOME = /^~[A-Za-z_][\w.-]*(?=[/\\]|$)/u

/**
 * The absolute form of a path that a person gave in a flag, the environment, a settings file or an answer. `~` and `~/x` are
 * in the home directory, which shells expand only where the `~` is not quoted and comes first. Throws USAGE for the home
 * of another user, and where there is no home directory.
 *
 * @param base what a relative path counts from; by default where the person stands
 */
export function userPath (text: string, env: Environment, base?: string): string {
  const expanded = expandHome(text, env)
  return isAbsolute(expanded) ? resolve(expanded) : resolve(base ?? startDirectory(env), expanded)
}

/**
 * Where the person stands: the working directory, or the one in which a package manager was called that runs this program
 * from a script and has changed to the directory of the package before.
 */
function startDirectory (env: Environment): string {
  const working = process.cwd()
  const { INIT_CWD: called, npm_package_json: manifest, npm_lifecycle_event: script } = env
  if (called === undefined || !isAbsolute(called) || script === undefined) return working
  // A script that has changed the directory itself means that one.
  return manifest === undefined || isSame(dirname(manifest), working) ? called : working
}

/** The home directory; undefined where the environment names none, nor the system, as for the user of many containers. */
export function homeDirectory (env: Environment): string | undefined {
  const named = absolutePath(env[process.platform === 'win32' ? 'USERPROFILE' : 'HOME'])
  if (named !== undefined) return named
  try {
    return absolutePath(userInfo().homedir)
  } catch {
    // It throws where the user has no entry in the system's list of users.
    return undefined
  }
}

/** An empty or relative path counts as not given, as the XDG Base Directory Specification has it. */
export function absolutePath (path: string | undefined): string | undefined {
  return path !== undefined && isAbsolute(path) ? path : undefined
}

function expandHome (text: string, env: Environment): string {
  const other = OTHER_HOME.exec(text)?.[0]
  if (other !== undefined) {
    throw new FileSyncError('USAGE', `"${text}" names the home directory of another user, which is not looked up. ` +
      `Write the path in full, or ./${text} for a directory named ${other}.`)
  }
  const isHome = text === '~' || text.startsWith('~/') || text.startsWith(`~${sep}`)
  if (!isHome) return text
  const home = homeDirectory(env)
  if (home === undefined) {
    throw new FileSyncError('USAGE', `"${text}" cannot be used: this user has no home directory. Set HOME, or write the path in full.`)
  }
  return join(home, text.slice(1))
}

function isSame (left: string, right: string): boolean {
  if (left === right) return true
  try {
    return realpathSync(left) === realpathSync(right)
  } catch {
    return false
  }
}
