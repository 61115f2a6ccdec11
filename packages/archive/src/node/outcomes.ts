import type { BatchOutcome } from '../store/section.ts'

/** Converts the clock times in an outcome from a disk worker to ages: how long ago each entry was changed. */
export function asAges (outcome: BatchOutcome): BatchOutcome {
  const nowMs = Date.now()
  const { agesMs } = outcome
  for (let at = 0; at < agesMs.length; at++) agesMs[at] = Math.max(0, nowMs - (agesMs[at] ?? nowMs))
  return outcome
}

/** The outcome of some sections of a batch. */
interface OutcomePart {
  /** The indices of the sections in the batch. */
  readonly share: readonly number[]
  readonly outcome: BatchOutcome
}

/**
 * Combines the outcomes of a batch whose sections were divided among disk workers.
 *
 * @param lengths how many entries each section has
 */
export function uniteOutcomes (lengths: readonly number[], parts: readonly OutcomePart[]): BatchOutcome {
  const starts: number[] = []
  let entries = 0
  for (const length of lengths) {
    starts.push(entries)
    entries += length
  }
  const whole: BatchOutcome = { failures: [], before: new Uint16Array(entries), agesMs: new Float64Array(entries) }
  for (const { share, outcome: { failures, before, agesMs } } of parts) {
    for (const failure of failures) whole.failures.push({ ...failure, section: share[failure.section] ?? 0 })
    let from = 0
    for (const section of share) {
      const end = from + (lengths[section] ?? 0)
      whole.before.set(before.subarray(from, end), starts[section])
      whole.agesMs.set(agesMs.subarray(from, end), starts[section])
      from = end
    }
  }
  return whole
}
