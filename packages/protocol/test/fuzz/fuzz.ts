import { seededRandom } from '@filesync/protocol/testing'
import type { SeededRandom } from '@filesync/protocol/testing'
import { isFileSyncError } from '../../src/index.ts'
import { makeCorpus } from './corpus.ts'
import { mutate } from './mutate.ts'
import { makeTargets } from './targets.ts'
import type { Target } from './targets.ts'

export interface FuzzInit {
  readonly seed: number
  readonly inputs: number
  /** Called every so often with the number of inputs so far. */
  readonly onProgress?: (done: number) => void
  /** Stops early when it says so. */
  readonly isTimeUp?: () => boolean
}

export interface FuzzReport {
  readonly inputs: number
  /** How many inputs of each target were taken, or refused with which code. */
  readonly outcomes: ReadonlyMap<string, number>
  readonly slowestMs: number
  /** Most that the process held beyond what it held at the start. */
  readonly grownBytes: number
}

/** One input may take this long; well-formed ones of this size take well under a millisecond. */
const INPUT_MS_MAX = 1_000
const PROGRESS_EVERY = 10_000

/** Feeds mutated inputs to all decoders. Throws if one causes anything but a FileSyncError, or takes too long. */
export async function fuzz (init: FuzzInit): Promise<FuzzReport> {
  const targets = makeTargets(makeCorpus(init.seed))
  const byShare = targets.flatMap(target => new Array<Target>(target.share).fill(target))
  const random = seededRandom(init.seed)
  const outcomes = new Map<string, number>()
  const startBytes = process.memoryUsage().rss
  let [done, slowestMs, grownBytes] = [0, 0, 0]
  for (; done < init.inputs; done++) {
    if (done % PROGRESS_EVERY === 0) {
      init.onProgress?.(done)
      if (init.isTimeUp?.() === true) break
      grownBytes = Math.max(grownBytes, process.memoryUsage().rss - startBytes)
    }
    const target = random.pick(byShare)
    const bytes = mutate(random.pick(target.inputs), random.pick(target.inputs), random)
    const startMs = performance.now()
    const outcome = `${target.name}: ${await takeOne(target, bytes, random)}`
    const tookMs = performance.now() - startMs
    outcomes.set(outcome, (outcomes.get(outcome) ?? 0) + 1)
    slowestMs = Math.max(slowestMs, tookMs)
    if (tookMs > INPUT_MS_MAX) throw failure(init, done, `took ${tookMs.toFixed(0)} ms: ${target.name} ${toHex(bytes)}`)
  }
  return { inputs: done, outcomes, slowestMs, grownBytes }

  async function takeOne (target: Target, bytes: Uint8Array<ArrayBuffer>, source: SeededRandom): Promise<string> {
    try {
      const result = target.take(bytes, source)
      if (result !== undefined) await result
      return 'taken'
    } catch (error) {
      if (isFileSyncError(error)) return error.code
      throw failure(init, done, `${target.name} ${toHex(bytes)}`, error)
    }
  }
}

function failure (init: FuzzInit, input: number, what: string, cause?: unknown): Error {
  return new Error(`Input ${String(input)} of seed ${String(init.seed)}: ${what}`, { cause })
}

function toHex (bytes: Uint8Array): string {
  return Buffer.from(bytes).toString('hex')
}
