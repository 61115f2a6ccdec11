import * as nodePath from 'node:path'

/** The part of a system's rules for paths that tells where one lies. */
export interface PathRules {
  readonly relative: (this: void, from: string, to: string) => string
  readonly isAbsolute: (this: void, path: string) => boolean
  readonly sep: string
}

/** Whether a real path is a directory or lies in it, by the rules of the system for separators and case. */
export function isInside (path: string, directory: string, rules: PathRules = nodePath): boolean {
  const way = rules.relative(directory, path)
  return way !== '..' && !way.startsWith(`..${rules.sep}`) && !rules.isAbsolute(way)
}
