import { ProblemList, problem } from '@filesync/protocol'
import type { Digest, FileEntry, HashBytes, ProblemCode, RelativePath } from '@filesync/protocol'
import { RestoredEntries } from './restored-entries.ts'
import type { RestoreTarget } from './restore-target.ts'

/** How an entry came to be in place. */
export type Restored = 'arrived' | 'present' | 'linked'

export interface RestoreCounts {
  /** Files and links that are in place, and the size of the files. */
  files: number
  bytes: number
  /** Of them, those that were there before, and those that are hard links of others. */
  present: number
  linked: number
}

/** Problems that are kept for the report; all are counted. */
const PROBLEMS_KEPT = 1000

/** What one call of `restore` knows, over all its connections. */
export class RestoreState {
  readonly target: RestoreTarget
  readonly entries: RestoredEntries
  readonly counts: RestoreCounts = { files: 0, bytes: 0, present: 0, linked: 0 }
  /** Digests of files in place that have several names, by their paths. */
  readonly sharedDigests: Map<RelativePath, Digest> = new Map<RelativePath, Digest>()
  #problems = new ProblemList(PROBLEMS_KEPT)

  constructor (target: RestoreTarget, hash: HashBytes) {
    this.target = target
    this.entries = new RestoredEntries(hash)
  }

  get problems (): ProblemList {
    return this.#problems
  }

  /** A new connection visits again what had a problem. */
  forgetProblems (): void {
    this.#problems = new ProblemList(PROBLEMS_KEPT)
  }

  /** @param entry its index in the listing of its directory */
  done (directory: RelativePath, entry: number, file: Pick<FileEntry, 'sizeBytes'> & { readonly how: Restored }): void {
    if (!this.entries.add(directory, entry)) return
    this.counts.files++
    this.counts.bytes += file.sizeBytes
    if (file.how === 'present') this.counts.present++
    if (file.how === 'linked') this.counts.linked++
  }

  fail (path: string, code: ProblemCode, detail?: string): void {
    this.#problems.add(problem(path, code, detail))
  }
}
