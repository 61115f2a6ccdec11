import { spawnSync } from 'node:child_process'
import { closeSync, existsSync, ftruncateSync, futimesSync, mkdirSync, mkdtempSync, openSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { systemClock } from '@filesync/protocol/node'
import { openScanner } from '@filesync/scanner/node'

const FILES_PER_DIRECTORY = 123
const SPREAD = 29

export interface ScanBenchInit {
  /** The number of files in the small tree; the large one has ten times as many. */
  readonly files?: number
  /** Pairs of `find` and scan. */
  readonly pairs?: number
  /** Whether to measure the large tree too. */
  readonly large?: boolean
}

/** The figures of one tree. Times are medians. */
export interface ScanFigures {
  readonly files: number
  /** `find DIR -printf '%s\n'`, wall clock. */
  readonly findMs: number
  /** A full scan in a running scanner with two threads, wall clock, and processor time of all threads. */
  readonly scanMs: number
  readonly scanCpuMs: number
  /** The same, including the start of the threads, as in a program that runs once. */
  readonly coldScanMs: number
  readonly ratio: number
  /** A scan while watching, when nothing has changed. */
  readonly unchangedMs: number
  /** Resident memory of the whole process after scanning, and after the watch began. */
  readonly scannedBytes: number
  readonly watchingBytes: number
}

/** Measures walk and digests against `find`, in pairs, on a tree in memory. Run it on an idle machine. */
export async function benchScan (init: ScanBenchInit = {}): Promise<ScanFigures[]> {
  const small = init.files ?? 100_000
  const counts = init.large === false ? [small] : [small, small * 10]
  const figures: ScanFigures[] = []
  for (const files of counts) {
    const root = mkdtempSync(join(existsSync('/dev/shm') ? '/dev/shm' : tmpdir(), 'filesync-scan-'))
    try {
      makeTree(root, files)
      figures.push(await measure(root, files, init.pairs ?? 7))
    } finally {
      rmSync(root, { recursive: true })
    }
  }
  return figures
}

/**
 * Files with log-normal sizes around 4 KiB, all holes, so that a million of them need no disk space. Recorded figures depend on
 * the sizes, so the generator must not change.
 */
function makeTree (root: string, files: number): void {
  let seed = 1
  const random = (): number => {
    seed = (Math.imul(seed, 1_103_515_245) + 12_345) & 0x7fff_ffff
    return (seed + 1) / 0x8000_0000
  }
  for (let made = 0; made < files; made++) {
    const number = Math.floor(made / FILES_PER_DIRECTORY)
    const directory = join(root, `d${number % SPREAD}`, `x${number}`)
    if (made % FILES_PER_DIRECTORY === 0) mkdirSync(directory, { recursive: true })
    const descriptor = openSync(join(directory, `f${made.toString(36)}.dat`), 'w')
    const normal = Math.sqrt(-2 * Math.log(random())) * Math.cos(2 * Math.PI * random())
    ftruncateSync(descriptor, Math.round(4096 * Math.exp(normal)))
    futimesSync(descriptor, 1_600_000_000 + made / 1000, 1_600_000_000 + made / 1000)
    closeSync(descriptor)
  }
}

async function measure (root: string, files: number, pairs: number): Promise<ScanFigures> {
  const signal = new AbortController().signal
  const scanner = await openScanner({ root, clock: systemClock })
  await scanner.scan({ signal })
  const scannedBytes = process.memoryUsage.rss()
  const find: number[] = []
  const scan: number[] = []
  const cpu: number[] = []
  const cold: number[] = []
  for (let pair = 0; pair < pairs; pair++) {
    find.push(await timed(() => { spawnSync('find', [root, '-printf', '%s\n'], { stdio: 'ignore' }) }))
    const before = process.cpuUsage()
    scan.push(await timed(() => scanner.scan({ signal })))
    const used = process.cpuUsage(before)
    cpu.push((used.user + used.system) / 1000)
  }
  for (let run = 0; run < Math.min(pairs, 3); run++) {
    cold.push(await timed(async () => {
      const fresh = await openScanner({ root, clock: systemClock })
      await fresh.scan({ signal })
      await fresh.close()
    }))
  }
  const { unchangedMs, watchingBytes } = await measureWatch(scanner, pairs)
  await scanner.close()
  const findMs = median(find)
  const scanMs = median(scan)
  return {
    files, findMs, scanMs, scanCpuMs: median(cpu), coldScanMs: median(cold), ratio: scanMs / findMs, unchangedMs, scannedBytes,
    watchingBytes,
  }
}

async function measureWatch (
  scanner: Awaited<ReturnType<typeof openScanner>>, runs: number
): Promise<{ unchangedMs: number, watchingBytes: number }> {
  const stop = new AbortController()
  const batches = scanner.watch({ signal: stop.signal })[Symbol.asyncIterator]()
  await batches.next()
  await scanner.scan({ signal: stop.signal })
  const unchanged: number[] = []
  for (let run = 0; run < runs; run++) unchanged.push(await timed(() => scanner.scan({ signal: stop.signal })))
  const watchingBytes = process.memoryUsage.rss()
  await batches.return?.(undefined)
  return { unchangedMs: median(unchanged), watchingBytes }
}

async function timed (work: () => unknown): Promise<number> {
  const startMs = performance.now()
  await work()
  return performance.now() - startMs
}

function median (values: readonly number[]): number {
  return values.toSorted((left, right) => left - right)[values.length >> 1] ?? NaN
}
