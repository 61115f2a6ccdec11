import ignore from 'ignore'
import type { RelativePath } from '@filesync/protocol'
import { mayMatchBuiltIn } from './built-in-rules.ts'

/** The name of the files in a tree that hold ignore rules. */
export const IGNORE_FILE_NAME = '.filesyncignore'
/** The source of the rules that come with the program. */
export const BUILT_IN_SOURCE = 'built-in'
/** A file of rules beyond this is no file of rules. */
export const IGNORE_FILE_MAX_BYTES = 1_048_576

/** One file of ignore rules. */
export interface RuleFile {
  /** What `why` calls it: the file's path, or {@link BUILT_IN_SOURCE}. */
  readonly source: string
  /** The directory its rules are relative to. */
  readonly directory: RelativePath
  readonly text: string
}

/** The rule that decided, for people. */
export interface RuleReference {
  readonly source: string
  /** Counted from 1. */
  readonly line: number
  readonly pattern: string
}

/** Paths after which the library is made anew: it remembers every path it was asked for. */
const REMEMBERED_PATHS = 10_000

/**
 * Rules in gitignore syntax (gitignore(5)) that apply in one directory: built-in ones first, then those of an extra file,
 * then those of the tree from the root down. The last rule that matches decides. All are kept in one matcher, the rules of a
 * subdirectory rewritten to start at the root, so that this order also holds between files.
 */
export class IgnoreRules {
  readonly #files: readonly RuleFile[]
  readonly #builtInOnly: boolean
  #matcher: ignore.Ignore
  #asked = 0

  constructor (files: readonly RuleFile[]) {
    this.#files = files
    this.#builtInOnly = files.every(file => file.source === BUILT_IN_SOURCE)
    this.#matcher = ignore({ ignorecase: false })
    files.forEach((file, index) => this.#matcher.add(rewrite(file, index)))
  }

  /** Whether a path is left out. Ask only where no directory on the way is. */
  ignores (path: string, name: string, isDirectory: boolean): boolean {
    if (this.#files.length === 0 || (this.#builtInOnly && !mayMatchBuiltIn(name))) return false
    return this.#test(path, isDirectory).ignored
  }

  /** The rule that leaves a path, or a directory on the way to it, out; undefined where none does. */
  explain (path: string, isDirectory: boolean): RuleReference | undefined {
    const mark = this.#test(path, isDirectory).rule?.mark
    if (mark === undefined) return undefined
    const [index = '', line = ''] = mark.split(':')
    const file = this.#files[Number(index)]
    if (file === undefined) return undefined
    return { source: file.source, line: Number(line), pattern: linesOf(file.text)[Number(line) - 1] ?? '' }
  }

  /** These rules and those of one more file, which decides before them. */
  with (file: RuleFile): IgnoreRules {
    return new IgnoreRules([...this.#files, file])
  }

  #test (path: string, isDirectory: boolean): ignore.TestResult {
    if (this.#asked++ >= REMEMBERED_PATHS) {
      this.#asked = 0
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
  // A backslash that keeps # or ! from its special meaning is only understood at the start of a line.
  const pattern = line.slice(negative.length).replace(/^\\(?=[#!])/u, '')
  const base = `/${directory.replace(/[\\*?[\]]/gu, '\\$&')}`
  // A slash at the start or in the middle ties a pattern to the directory of its file; one at the end does not.
  const isTied = pattern.slice(0, -1).includes('/')
  return `${negative}${base}${isTied ? '' : '/**'}${pattern.startsWith('/') ? '' : '/'}${pattern}`
}
