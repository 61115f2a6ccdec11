import type { RuleFile } from './ignore-rules.ts'

/** The rules of one directory, as a chain from its own ignore file up to the built-in ones. Equal chains are one object. */
export interface RuleSet {
  readonly id: number
  readonly parent: RuleSet | undefined
  /** Undefined only for the chain without any rule. */
  readonly file: RuleFile | undefined
}

/** Gives equal chains of rules one number, so that a change of rules is seen by comparing and workers are told once. */
export class RuleSets {
  readonly none: RuleSet = { id: 0, parent: undefined, file: undefined }
  readonly #known = new Map<string, RuleSet>()

  /** The chain that `file` makes when it is put before `parent`. */
  extend (parent: RuleSet, file: RuleFile): RuleSet {
    const key = JSON.stringify([parent.id, file.source, file.directory, file.text])
    let found = this.#known.get(key)
    if (found === undefined) {
      found = { id: this.#known.size + 1, parent, file }
      this.#known.set(key, found)
    }
    return found
  }
}

/** The files of a chain, the one that decides last first. */
export function ruleFiles (rules: RuleSet): RuleFile[] {
  const files: RuleFile[] = []
  for (let at: RuleSet | undefined = rules; at !== undefined; at = at.parent) {
    if (at.file !== undefined) files.push(at.file)
  }
  return files.reverse()
}
