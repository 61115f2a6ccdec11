import type { RuleFile } from './ignore-rules.ts'

/** The rules of one directory: a chain from its own ignore file up to the built-in rules. Equal chains are one object. */
export interface RuleSet {
  readonly id: number
  readonly parent: RuleSet | undefined
  /** Undefined only for the empty chain. */
  readonly file: RuleFile | undefined
}

/** Threads may serve several scanners, so the ids of all of them differ. */
let lastId = 0

/** Interns chains of rules: equal chains get one id, so that they compare by id and each worker receives them once. */
export class RuleSets {
  readonly none: RuleSet = { id: 0, parent: undefined, file: undefined }
  readonly #known = new Map<string, RuleSet>()

  /** The chain of `file` and `parent`; `file` takes precedence. */
  extend (parent: RuleSet, file: RuleFile): RuleSet {
    const key = JSON.stringify([parent.id, file.source, file.directory, file.text])
    let found = this.#known.get(key)
    if (found === undefined) {
      found = { id: ++lastId, parent, file }
      this.#known.set(key, found)
    }
    return found
  }
}

/** The files of a chain, the one with the lowest precedence first. */
export function ruleFiles (rules: RuleSet): RuleFile[] {
  const files: RuleFile[] = []
  for (let at: RuleSet | undefined = rules; at !== undefined; at = at.parent) {
    if (at.file !== undefined) files.push(at.file)
  }
  return files.reverse()
}
