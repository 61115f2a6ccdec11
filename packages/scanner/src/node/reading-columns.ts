import type { Name } from '@filesync/protocol'
import type { DirectoryReading } from '../directory-reading.ts'
import type { PackedReading } from './reader-messages.ts'

/** Per directory: start and end of the listing, files, bytes, and the number of subdirectories. */
const NUMBERS = 5
const NO_NAMES: readonly Name[] = []
const NO_OFFSETS: readonly number[] = []
const NO_IDS = new Int32Array(0)

/**
 * Readings of a batch of directories, as they are sent between threads: in columns, because copying an object for each directory costs
 * more than reading a small one.
 */
export interface ReadingColumns {
  readonly numbers: Float64Array<ArrayBuffer>
  /** The names of all subdirectories, one directory after another. */
  readonly childNames: readonly Name[]
  readonly childIds: Int32Array<ArrayBuffer>
  readonly digestOffsets: Float64Array<ArrayBuffer>
  /** By index, the readings with more than a listing. */
  readonly others: ReadonlyMap<number, PackedReading>
}

/** Puts readings into columns. */
export function toColumns (readings: readonly PackedReading[]): ReadingColumns {
  const numbers = new Float64Array(readings.length * NUMBERS)
  const childNames: Name[] = []
  const childIds: number[] = []
  const digestOffsets: number[] = []
  const others = new Map<number, PackedReading>()
  readings.forEach((reading, at) => {
    if (!isUsual(reading)) {
      others.set(at, reading)
      return
    }
    numbers.set([reading.start, reading.end, reading.files, reading.bytes, reading.childNames.length], at * NUMBERS)
    for (const name of reading.childNames) childNames.push(name)
    for (const half of reading.childIds) childIds.push(half)
    for (const offset of reading.digestOffsets) digestOffsets.push(offset)
  })
  return { numbers, childNames, childIds: Int32Array.from(childIds), digestOffsets: Float64Array.from(digestOffsets), others }
}

type UsualReading = Extract<PackedReading, { status: 'read' }>

function isUsual (reading: PackedReading): reading is UsualReading {
  return reading.status === 'read' && reading.ignored === 0 && reading.problemCount === 0 && reading.complete &&
    reading.unsettled.length === 0 && reading.leftOut === undefined && reading.excluded === undefined && reading.mount === undefined &&
    reading.archiveId === undefined && reading.ruleText === undefined && reading.isOfNames !== true
}

/** The readings of a batch whose listings are in one block. */
export function fromColumns (columns: ReadingColumns, block: Uint8Array): DirectoryReading[] {
  const { numbers, childNames, childIds, digestOffsets, others } = columns
  let child = 0
  return Array.from({ length: numbers.length / NUMBERS }, (_, index): DirectoryReading => {
    const other = others.get(index)
    if (other !== undefined) return other.status === 'read' ? { ...other, block } : other
    const at = index * NUMBERS
    const count = numbers[at + 4] ?? 0
    const [from, to] = [child, child += count]
    return {
      ...USUAL,
      block,
      start: numbers[at] ?? 0,
      end: numbers[at + 1] ?? 0,
      files: numbers[at + 2] ?? 0,
      bytes: numbers[at + 3] ?? 0,
      childNames: count === 0 ? NO_NAMES : childNames.slice(from, to),
      childIds: count === 0 ? NO_IDS : childIds.subarray(from * 2, to * 2),
      digestOffsets: count === 0 ? NO_OFFSETS : [...digestOffsets.subarray(from, to)],
    }
  })
}

const USUAL = {
  status: 'read', ignored: 0, problems: [], problemCount: 0, complete: true, unsettled: [], archiveId: undefined, ruleText: undefined,
} as const
