import type { Clock, ProblemList } from '@filesync/protocol'
import type { ArchiveIndex, IndexWrite } from '../store/archive-index.ts'
import { alteredWrites } from '../store/damage.ts'
import { entryPathOf } from '../store/section.ts'
import type { EntryFailure, Section } from '../store/section.ts'
import { alteredSections } from '../upkeep/mirror-check.ts'
import type { DirectoryLedger } from './directory-ledger.ts'
import { addFailures } from './failures.ts'
import type { PlacedBatch } from './mirror-steps.ts'
import type { StoredProgress } from './stored-progress.ts'

export interface BatchRecorderInit {
  readonly area: string
  readonly index: ArchiveIndex
  readonly clock: Clock
  readonly ledger: DirectoryLedger
  readonly problems: ProblemList
  readonly progress: StoredProgress
}

/**
 * Records batches that are durable in the mirror: from here on their files count as stored, and are reported so. If the process ends
 * before the index lists them, the next start adds them from the journal.
 */
export class BatchRecorder {
  readonly #init: BatchRecorderInit

  constructor (init: BatchRecorderInit) {
    this.#init = init
  }

  async record ({ journal, sections, placed, failures }: PlacedBatch): Promise<void> {
    const { index, ledger, problems, progress } = this.#init
    addFailures(problems, failures, ({ section, entry }) => entryPathOf(sections[section], entry))
    ledger.addPlaced(journal, sections, [...placed, ...alteredSections(sections, failures)])
    // If the process ends between these writes, the journal still has what the next ones would have added.
    const altered = this.#alteredWrites(sections, failures)
    if (altered.length > 0) await index.write(altered)
    for (const writes of ledger.takeReady()) await index.write(writes)
    progress.addPlaced(placed)
  }

  /** For files that were to keep their content, and that someone changed in the mirror. */
  #alteredWrites (sections: readonly Section[], failures: readonly EntryFailure[]): IndexWrite[] {
    const altered = failures.filter(({ isAltered }) => isAltered === true)
      .map(({ section, entry }) => entryPathOf(sections[section], entry))
    return altered.length === 0 ? [] : alteredWrites({ ...this.#init, nowMs: this.#init.clock.nowMs() }, altered)
  }
}
