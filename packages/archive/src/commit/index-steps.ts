import type { IndexWrite } from '../store/archive-index.ts'

/** Bytes of a page's row in the table of its directory. */
const ROW_BYTES = 64
/** For the key of a write, and for what is written that has no listing. */
const WRITE_BYTES = 256

/** How much one write may hold. */
export interface StepLimits {
  readonly stepBytes: number
  /** Writes, whatever their size: each takes time of this thread. */
  readonly stepWrites: number
}

/** Joins lists of writes into steps of about a size, each to be applied as one write. A list stays whole. */
export function * inSteps (lists: Iterable<readonly IndexWrite[]>, { stepBytes, stepWrites }: StepLimits): Generator<IndexWrite[], void, undefined> {
  let step: IndexWrite[] = []
  let bytes = 0
  for (const list of lists) {
    for (const write of list) {
      step.push(write)
      bytes += sizeOf(write)
    }
    if (bytes < stepBytes && step.length < stepWrites) continue
    yield step
    step = []
    bytes = 0
  }
  if (step.length > 0) yield step
}

function sizeOf (write: IndexWrite): number {
  if ('put' in write) return WRITE_BYTES + write.stored.listing.length + write.stored.facts.length
  if (!('patch' in write)) return WRITE_BYTES
  let bytes = WRITE_BYTES
  for (const page of write.leaves) bytes += ROW_BYTES + ('stored' in page ? page.stored.listing.length + page.stored.facts.length : 0)
  return bytes
}
