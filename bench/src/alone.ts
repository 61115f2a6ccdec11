import { benchScan } from './scan.ts'
import { benchTransfer } from './transfer.ts'

// A separate process: it can be stopped like any other, and leaves no memory in use for the next measurement.
const [part, directory = '', scale = ''] = process.argv.slice(2)
const files = Math.max(1, Math.round(100_000 * Number(scale)))

async function measure (): Promise<unknown> {
  switch (part) {
    case 'scan': return await benchScan({ files })
    case 'transfer': return await benchTransfer({ directory, files, largeBytes: Math.max(1 << 20, Math.round(2 ** 31 * Number(scale))) })
    case undefined:
    default: throw new Error(`There is no part "${String(part)}".`)
  }
}

process.stdout.write(`${JSON.stringify(await measure())}\n`)
