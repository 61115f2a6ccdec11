import { readdirSync, realpathSync } from 'node:fs'
import { userInfo } from 'node:os'
import { basename, dirname, isAbsolute, join, relative, resolve, sep } from 'node:path'
import { FileSyncError, foldKey } from '@filesync/protocol'

export type Environment = Readonly<Record<string, string | undefined>>

/** The home directory of another user, as shells write it. */
const OTHER_HOME = /^~[A-Za-z_][\w.-]*(?=[/\\]|$)/u

/**
 * The absolute form of a path that the user gave in a flag, the environment, a settings file or an answer. `~` and `~/x` mean
 * the home directory; shells expand them only if the `~` is unquoted and comes first. Throws USAGE for the home directory of
 * another user, and if there is no home directory.
 *
 * @param base what a relative path starts from; by default the user's working directory
 */
export function userPath (text: string, env: Environment, base?: string): string {
  const expanded = expandHome(text, env)
  return isAbsolute(expanded) ? resolve(expanded) : resolve(base ?? startDirectory(env), expanded)
}

/** A name without the characters that paths and shells use. */
const NAMED = /^([^/\\=~][^/\\=]*)=(.+)$/su

/** As {@link userPath}, for a path that may have a name before it: `NAME=PATH`. The name stays. Write `./a=b` for a path with `=` in it. */
export function namedPath (text: string, env: Environment, base?: string): string {
  const [, name, path] = NAMED.exec(text) ?? []
  return name === undefined || path === undefined ? userPath(text, env, base) : `${name}=${userPath(path, env, base)}`
}

/**
 * The user's working directory: that of this process, or, if a package manager runs the program from a script after changing
 * to the directory of the package, the one in which the package manager was called.
 */
function startDirectory (env: Environment): string {
  const working = process.cwd()
  const { INIT_CWD: called, npm_package_json: manifest, npm_lifecycle_event: script } = env
  if (called === undefined || !isAbsolute(called) || script === undefined) return working
  // If the script itself changed the directory, paths are relative to that one.
  return manifest === undefined || isSame(dirname(manifest), working) ? called : working
}

/** The home directory; undefined if neither the environment nor the system names one, as for the user of many containers. */
export function homeDirectory (env: Environment): string | undefined {
  const named = absolutePath(env[process.platform === 'win32' ? 'USERPROFILE' : 'HOME'])
  if (named !== undefined) return named
  try {
    return absolutePath(userInfo().homedir)
  } catch {
    // It throws if the user has no entry in the system's list of users.
    return undefined
  }
}

/** An empty or relative path counts as not given, as the XDG Base Directory Specification requires. */
export function absolutePath (path: string | undefined): string | undefined {
  return path !== undefined && isAbsolute(path) ? path : undefined
}

/**
 * The last name of an absolute path, as the disk spells it: Windows and macOS find a name in any letter case, and macOS in any Unicode
 * form. As it was written, if nothing or more than one thing is meant.
 */
export function nameOnDisk (path: string): string {
  const written = basename(path)
  try {
    const names = readdirSync(dirname(path))
    if (names.includes(written)) return written
    const [found = written, ...others] = names.filter(name => foldKey(name) === foldKey(written))
    return others.length === 0 ? found : written
  } catch {
    return written
  }
}

/** A path relative to a directory that contains it, or '' for the directory itself; undefined if it is outside. */
export function pathWithin (directory: string, path: string): string | undefined {
  const below = relative(directory, path)
  return below === '..' || below.startsWith(`..${sep}`) || isAbsolute(below) ? undefined : below
}

function expandHome (text: string, env: Environment): string {
  const other = OTHER_HOME.exec(text)?.[0]
  if (other !== undefined) {
    throw new FileSyncError('USAGE', `"${text}" names the home directory of another user, which is not supported. ` +
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
