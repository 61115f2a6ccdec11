import type { BatchOutcome } from '../store/section.ts'

/** The outcome that a disk worker told by the clock, with ages instead: how long ago everything was changed. */
export function asAges (outcome: BatchOutcome): BatchOutcome {
  const nowMs = Date.now()
  const { agesMs } = outcome
  for (let at = 0; at < agesMs.length; at++) agesMs[at] = Math.max(0, nowMs - (agesMs[at] ?? nowMs))
  return outcome
}

/**
 * One outcome of a batch whose sections were shared out.
 *
 * @param lengths how many entries each section has
 * @param parts each with the places of its sections
 */
export function uniteOutcomes (lengths: readonly number[], parts: readonly { readonly share: readonly number[], readonly outcome: BatchOutcome }[]): BatchOutcome {
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
