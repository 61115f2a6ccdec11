import type { RelativePath } from '@filesync/protocol'

/** Files that are not settled, each with the time since which every scan has found it so. */
export class UnsettledFiles {
  #sinceMs: ReadonlyMap<RelativePath, number> = new Map()

  /** Replaces the unsettled files. */
  update (paths: readonly RelativePath[], monotonicMs: number): void {
    this.#sinceMs = new Map(paths.map(path => [path, this.#sinceMs.get(path) ?? monotonicMs]))
  }

  /** The files that have been unsettled for at least `leastMs`; for these the time starts again. */
  takeLongUnsettled (monotonicMs: number, leastMs: number): Set<RelativePath> {
    const taken = new Set<RelativePath>()
    for (const [path, sinceMs] of this.#sinceMs) if (monotonicMs - sinceMs >= leastMs) taken.add(path)
    if (taken.size > 0) {
      this.#sinceMs = new Map([...this.#sinceMs].map(([path, sinceMs]) => [path, taken.has(path) ? monotonicMs : sinceMs]))
    }
    return taken
  }
}
