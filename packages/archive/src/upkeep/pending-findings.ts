import { recordFindings } from './safe-check.ts'
import type { CopyFinding, SafeCheck } from './safe-check.ts'

/** Keeps damage that was found while a sync ran, until the index may be changed. */
export class PendingFindings {
  readonly #init: Pick<SafeCheck, 'area' | 'index' | 'clock'>
  #pending: readonly CopyFinding[] = []

  constructor (init: Pick<SafeCheck, 'area' | 'index' | 'clock'>) {
    this.#init = init
  }

  get isEmpty (): boolean {
    return this.#pending.length === 0
  }

  add (findings: readonly CopyFinding[]): void {
    this.#pending = [...this.#pending, ...findings]
  }

  /** Writes the pending findings and these to the index. Call it only while no sync runs. */
  async write (findings: readonly CopyFinding[] = []): Promise<void> {
    const pending = this.#pending
    const due = new Set([...pending, ...findings])
    if (due.size > 0) await recordFindings(this.#init, [...due])
    this.#pending = this.#pending.filter(finding => !pending.includes(finding))
  }
}
