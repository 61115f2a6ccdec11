import { lstatSync, mkdtempSync, readdirSync, readlinkSync, realpathSync, rmSync, utimesSync, writeFileSync, mkdirSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { encodeListing, listingDigest, toHex, writeFileId } from '@filesync/protocol'
import type { Digest, Entry, Name } from '@filesync/protocol'
import { hashBytes, systemClock } from '@filesync/protocol/node'
import { onTestFinished } from 'vitest'
import type { Scanner, Snapshot } from '@filesync/scanner'
import { openScanner } from '@filesync/scanner/node'
import type { ScannerInit } from '@filesync/scanner/node'
import { EntryStat } from '../../src/entry-stat.ts'
import { fillRecord } from '../../src/node/local-directory.ts'

/** An mtime of years ago, so that a file counts as settled. */
const OLD_MTIME = new Date('2020-01-02T03:04:05.678Z')

export function scratch (): string {
  const directory = realpathSync(mkdtempSync(join(tmpdir(), 'filesync-scan-')))
  onTestFinished(() => { rmSync(directory, { recursive: true, force: true }) })
  return directory
}

/** Writes settled files and makes their parent directories. */
export function write (root: string, files: Readonly<Record<string, string>>): void {
  for (const [path, text] of Object.entries(files)) {
    const file = join(root, path)
    mkdirSync(dirname(file), { recursive: true })
    writeFileSync(file, text)
    utimesSync(file, OLD_MTIME, OLD_MTIME)
  }
}

export async function open (root: string, init: Partial<ScannerInit> = {}): Promise<Scanner> {
  const scanner = await openScanner({ root, clock: systemClock, workers: 1, ...init })
  onTestFinished(async () => { await scanner.close() })
  return scanner
}

export async function scanOnce (root: string, init: Partial<ScannerInit> = {}): Promise<Snapshot> {
  const scanner = await open(root, init)
  return await scanner.scan({ signal: AbortSignal.timeout(20_000) })
}

/** The root digest by plain recursion, without threads or rules. For trees without problems. */
export function plainDigest (root: string): string {
  const read = (directory: string): Digest => {
    const names = readdirSync(directory).sort((left, right) => Buffer.compare(Buffer.from(left), Buffer.from(right)))
    return listingDigest(encodeListing(names.map(name => describe(directory, name as Name))), hashBytes)
  }
  const describe = (directory: string, name: Name): Entry => {
    const path = join(directory, name)
    const stat = lstatSync(path, { bigint: true })
    const mode = Number(stat.mode) & 0o777
    const { mtimeNs } = stat
    if (stat.isDirectory()) return { kind: 'directory', name, mtimeNs, mode, digest: read(path) }
    if (stat.isSymbolicLink()) return { kind: 'symlink', name, mtimeNs, target: readlinkSync(path) }
    const record = new EntryStat()
    fillRecord(record, stat)
    writeFileId(record.fileIdInput, record.fileIdHalves)
    return { kind: 'file', name, mtimeNs, mode, sizeBytes: Number(stat.size), fileId: record.fileId }
  }
  return toHex(read(root))
}
