import { closeSync, lstatSync, openSync, readdirSync, readlinkSync, readSync } from 'node:fs'
import { join } from 'node:path'
import { setImmediate } from 'node:timers/promises'
import { SeededBytes } from './seeded-bytes.ts'

const SAMPLE_FILES = 200
const BLOCK_BYTES = 1 << 20
/** Node sets times as a double of seconds, so a copied time is exact to a quarter of a microsecond. */
const TIME_TOLERANCE_NS = 1000n

export interface Comparison {
  readonly source: string
  readonly destination: string
  /** Paths below the roots whose content is compared, in addition to a random sample of 200. */
  readonly touched?: readonly string[]
  readonly seed: number
  readonly signal: AbortSignal
}

/** What a comparison covered. */
export interface Compared {
  readonly files: number
  readonly filesRead: number
}

/**
 * Throws if a destination differs from its source: in names, kinds, sizes, permissions or times anywhere, or in the content of
 * the touched files and of a random sample.
 */
export async function compareTrees ({ source, destination, touched = [], seed, signal }: Comparison): Promise<Compared> {
  const sample = new Set(touched)
  const drawn: string[] = []
  const random = new SeededBytes(seed, 'sample')
  let files = 0
  const directories = ['']
  for (let directory = directories.pop(); directory !== undefined; directory = directories.pop()) {
    await setImmediate()
    signal.throwIfAborted()
    for (const name of sameNames(source, destination, directory)) {
      const path = directory === '' ? name : `${directory}/${name}`
      const kind = sameEntry(join(source, path), join(destination, path))
      if (kind === 'directory') directories.push(path)
      if (kind !== 'file') continue
      // Vitter's algorithm R, "Random Sampling with a Reservoir", 1985.
      const at = files < SAMPLE_FILES ? files : random.below(files + 1)
      if (at < SAMPLE_FILES) drawn[at] = path
      files++
    }
  }
  for (const path of drawn) sample.add(path)
  for (const path of sample) {
    signal.throwIfAborted()
    await sameContent(join(source, path), join(destination, path))
  }
  return { files, filesRead: sample.size }
}

function sameNames (source: string, destination: string, directory: string): string[] {
  const [ours, theirs] = [source, destination].map(root => readdirSync(join(root, directory)).sort())
  const stored = new Set(theirs)
  const missing = ours?.filter(name => !stored.has(name)) ?? []
  const extra = (theirs?.length ?? 0) + missing.length - (ours?.length ?? 0)
  if (missing.length > 0 || extra > 0) {
    throw new Error(`The destination differs: in "${directory}" ${missing.length} entries are missing ` +
      `(${missing.slice(0, 3).join(', ')}) and ${extra} are there that should not be.`)
  }
  return ours ?? []
}

function sameEntry (source: string, destination: string): 'file' | 'directory' | 'other' {
  const [from, to] = [lstatSync(source, { bigint: true }), lstatSync(destination, { bigint: true })]
  if (from.mode !== to.mode) {
    throw new Error(`The destination differs: ${destination} has mode ${to.mode.toString(8)} instead of ${from.mode.toString(8)}.`)
  }
  if (from.isSymbolicLink()) {
    if (readlinkSync(source) !== readlinkSync(destination)) throw new Error(`The destination differs: ${destination} has another target.`)
    return 'other'
  }
  const offNs = from.mtimeNs - to.mtimeNs
  if (offNs > TIME_TOLERANCE_NS || offNs < -TIME_TOLERANCE_NS) {
    throw new Error(`The destination differs: the time of ${destination} is ${offNs} ns off.`)
  }
  if (from.isDirectory()) return 'directory'
  if (from.size !== to.size) throw new Error(`The destination differs: ${destination} has ${to.size} bytes instead of ${from.size}.`)
  return from.isFile() ? 'file' : 'other'
}

async function sameContent (source: string, destination: string): Promise<void> {
  const [from, to] = [openSync(source, 'r'), openSync(destination, 'r')]
  try {
    const [ours, theirs] = [Buffer.allocUnsafe(BLOCK_BYTES), Buffer.allocUnsafe(BLOCK_BYTES)]
    for (let turn = 0; ; turn++) {
      const [read, stored] = [readSync(from, ours), readSync(to, theirs)]
      if (read !== stored || ours.compare(theirs, 0, stored, 0, read) !== 0) {
        throw new Error(`The destination differs: ${destination} has other content than ${source}.`)
      }
      if (read === 0) return
      if (turn % 64 === 63) await setImmediate()
    }
  } finally {
    closeSync(from)
    closeSync(to)
  }
}
