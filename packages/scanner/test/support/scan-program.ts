// Scans argv[2] and prints the result, for tests that need another user or other mounts.
import { systemClock } from '@filesync/protocol/node'
import { openScanner } from '@filesync/scanner/node'
import { paths, problems } from './tree-text.ts'

const scanner = await openScanner({ root: process.argv[2] ?? '', clock: systemClock })
const snapshot = await scanner.scan({ signal: AbortSignal.timeout(20_000) })
process.stdout.write(JSON.stringify({ paths: paths(snapshot), problems: problems(snapshot), complete: snapshot.complete }))
await scanner.close()
