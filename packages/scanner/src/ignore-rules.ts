import ignore from 'ignore'
import type { RelativePath } from '@filesync/protocol'
import { mayMatchBuiltIn } from './built-in-rules.ts'

/** The name of files with ignore rules in a source. */
export const IGNORE_FILE_NAME = '.filesyncignore'
/** The `source` of the built-in rules. */
export const BUILT_IN_SOURCE = 'built-in'
/** A larger ignore file is a mistake, and its directory is a problem. */
export const IGNORE_FILE_MAX_BYTES = 1_048_576

/** One file of ignore rules. */
export interface RuleFile {
  /** How explanations name it: the file's path, or {@link BUILT_IN_SOURCE}. */
  readonly source: string
  /** The directory to which its rules are relative. */
  readonly directory: RelativePath
  readonly text: string
}

/** A rule that decided, as shown to the user. */
export interface RuleReference {
  readonly source: string
  /** Counted from 1. */
  readonly line: number
  readonly pattern: string
}

/** The matcher is recreated after this many paths, because the library caches every path that it tested. */
const MAX_CACHED_PATHS = 10_000

/**
 * Rules in gitignore syntax (gitignore(5)) that apply in one directory: built-in rules first, then those of an extra file,
 * then those of the source from the root down. The last rule that matches decides. One matcher has them all, and the rules of
 * a subdirectory are rewritten to start at the root, so that this order also holds between files.
 */
export class IgnoreRules {
  readonly #files: readonly RuleFile[]
  readonly #builtInOnly: boolean
  #matcher: ignore.Ignore
  #tested = 0

  constructor (files: readonly RuleFile[]) {
    this.#files = files
    this.#builtInOnly = files.every(file => file.source === BUILT_IN_SOURCE)
    this.#matcher = ignore({ ignorecase: false })
    files.forEach((file, index) => this.#matcher.add(rewrite(file, index)))
  }

  /** Whether a path is ignored. No directory on the way to it may be ignored. */
  ignores (path: string, name: string, isDirectory: boolean): boolean {
    if (this.#files.length === 0 || (this.#builtInOnly && !mayMatchBuiltIn(name))) return false
    return this.#test(path, isDirectory).ignored
  }

  /** The rule that ignores a path or a directory on the way to it; undefined if none does. */
  explain (path: string, isDirectory: boolean): RuleReference | undefined {
    const mark = this.#test(path, isDirectory).rule?.mark
    if (mark === undefined) return undefined
    const [index = '', line = ''] = mark.split(':')
    const file = this.#files[Number(index)]
    if (file === undefined) return undefined
    return { source: file.source, line: Number(line), pattern: linesOf(file.text)[Number(line) - 1] ?? '' }
  }

  /** These rules and those of one more file, which takes precedence. */
  with (file: RuleFile): IgnoreRules {
    return new IgnoreRules([...this.#files, file])
  }

  #test (path: string, isDirectory: boolean): ignore.TestResult {
    if (this.#tested++ >= MAX_CACHED_PATHS) {
      this.#tested = 0
      this.#matcher = ignore({ ignorecase: false }).add(this.#matcher)
    }
    return this.#matcher.test(isDirectory ? `${path}/` : path)
  }
}

function linesOf (text: string): string[] {
  return text.replace(/^\ufeff/u, '').split(/\r?\n/u)
}

function rewrite (file: RuleFile, index: number): { pattern: string, mark: string }[] {
  return linesOf(file.text).flatMap((line, at) => {
    if (line.trim() === '' || line.startsWith('#')) return []
    return [{ pattern: fromRoot(line, file.directory), mark: `${index}:${at + 1}` }]
  })
}

function fromRoot (line: string, directory: RelativePath): string {
  if (directory === '') return line
  const negative = line.startsWith('!') ? '!' : ''
  // A backslash that escapes # or ! is understood only at the start of a line.
  const pattern = line.slice(negative.length).replace(/^\\(?=[#!])/u, '')
  const base = `/${directory.replace(/[\\*?[\]]/gu, '\\$&')}`
  // A slash at the start or in the middle anchors a pattern to the directory of its file; one at the end does not.
  const isAnchored = pattern.slice(0, -1).includes('/')
  return `${negative}${base}${isAnchored ? '' : '/**'}${pattern.startsWith('/') ? '' : '/'}${pattern}`
}
