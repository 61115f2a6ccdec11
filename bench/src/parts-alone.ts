import { fileURLToPath } from 'node:url'
import type { Bench } from './bench.ts'
import type { Row } from './row.ts'
import type { ScanFigures } from './scan.ts'
import type { TransferFigure } from './transfer.ts'

const ALONE = fileURLToPath(new URL('./alone.ts', import.meta.url))

/** The scanner alone, compared with `find`. */
export async function scanAlone (bench: Bench): Promise<Row[]> {
  const figures = await measureAlone(bench, 'scan') as ScanFigures[]
  return figures.map(({ files, scanMs, coldScanMs, unchangedMs, findMs }) => ({
    case: 'scan-alone',
    work: `${thousands(files)} files scanned; threads started first ${Math.round(coldScanMs)} ms; ` +
      `watched and unchanged ${unchangedMs.toFixed(1)} ms`,
    bars: [],
    ours: [{ durationMs: scanMs }],
    theirs: [],
    reference: { name: 'find -printf', durationsMs: [findMs] },
  }))
}

/** The transfer alone, with a receiver that stores nothing. */
export async function transferAlone (bench: Bench): Promise<Row[]> {
  const figures = await measureAlone(bench, 'transfer') as TransferFigure[]
  return figures.map(({ work, files, durationMs, bytesPerSecond, filesPerSecond }) => ({
    case: 'transfer-alone',
    work: `${work}, ${files > 1 ? `${thousands(filesPerSecond)} files/s` : `${(bytesPerSecond / 2 ** 30).toFixed(2)} GiB/s`}`,
    bars: [],
    ours: [{ durationMs }],
    theirs: [],
  }))
}

/** Measures a part in a separate process, to find out whether it causes a slow run. */
async function measureAlone ({ children, home, scale }: Bench, part: string): Promise<unknown> {
  const { stdout } = await children.run(process.execPath, [...process.execArgv, ALONE, part, home, String(scale)])
  return JSON.parse(stdout)
}

function thousands (count: number): string {
  return count < 1000 ? String(Math.round(count)) : `${Math.round(count / 1000)}k`
}
