import * as nodePath from 'node:path'

/** The functions of `node:path` that decide whether a path is inside a directory. */
export interface PathRules {
  readonly relative: (this: void, from: string, to: string) => string
  readonly isAbsolute: (this: void, path: string) => boolean
  readonly sep: string
}

/** Whether a real path is a directory or is inside it, by the system's rules for separators and case. */
export function isInside (path: string, directory: string, rules: PathRules = nodePath): boolean {
  const way = rules.relative(directory, path)
  return way !== '..' && !way.startsWith(`..${rules.sep}`) && !rules.isAbsolute(way)
}
