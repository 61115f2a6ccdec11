import type { ArchiveIndex, IndexWrite } from './archive-index.ts'
import type { StoredDirectory } from './fold.ts'

/** Bytes of a page's row in the table of its directory. */
const ROW_BYTES = 64
/** For the key of a write, and for what is written that has no listing. */
const WRITE_BYTES = 256

/** Writes that are applied at once, whatever their size: a million would block the thread for long. */
const STEP_WRITES = 2048

/**
 * Joins lists of writes into steps, each to be applied as one write, of about the size that the index prefers. A list stays whole.
 */
export function * inSteps (
  { stepBytes }: Pick<ArchiveIndex, 'stepBytes'>, lists: Iterable<readonly IndexWrite[]>,
): Generator<IndexWrite[], void, undefined> {
  let step: IndexWrite[] = []
  let bytes = 0
  for (const list of lists) {
    for (const write of list) {
      step.push(write)
      bytes += sizeOf(write)
    }
    if (bytes < stepBytes && step.length < STEP_WRITES) continue
    yield step
    step = []
    bytes = 0
  }
  if (step.length > 0) yield step
}

function sizeOf (write: IndexWrite): number {
  if ('put' in write) return WRITE_BYTES + bytesOf(write.stored)
  if ('rewrite' in write) return write.pages.reduce((sum, { stored }) => sum + bytesOf(stored), WRITE_BYTES)
  if (!('patch' in write)) return WRITE_BYTES
  return write.leaves.reduce((sum, page) => sum + ROW_BYTES + ('stored' in page ? bytesOf(page.stored) : 0), WRITE_BYTES)
}

function bytesOf ({ listing, facts }: StoredDirectory): number {
  return listing.length + facts.length
}
