import type { RelativePath } from '@filesync/protocol'

/** Files that are in motion, and since when they have been at every look. */
export class Motion {
  #sinceMs: ReadonlyMap<RelativePath, number> = new Map()

  /** These are in motion now, and no others. */
  look (paths: readonly RelativePath[], monotonicMs: number): void {
    this.#sinceMs = new Map(paths.map(path => [path, this.#sinceMs.get(path) ?? monotonicMs]))
  }

  /** Takes those that have been in motion for so long at least; for these the time begins again. */
  takeRestless (monotonicMs: number, leastMs: number): Set<RelativePath> {
    const restless = new Set<RelativePath>()
    for (const [path, sinceMs] of this.#sinceMs) if (monotonicMs - sinceMs >= leastMs) restless.add(path)
    if (restless.size > 0) this.#sinceMs = new Map([...this.#sinceMs].map(([path, sinceMs]) => [path, restless.has(path) ? monotonicMs : sinceMs]))
    return restless
  }
}
