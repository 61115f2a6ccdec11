// Scans the directory that argv[2] names and prints the result, for tests that need another user or other mounts.
import { systemClock } from '@filesync/protocol/node'
import { openScanner } from '@filesync/scanner/node'
import { leftOut, paths, problems } from './tree-text.ts'

const { root, excluded } = JSON.parse(process.argv[2] ?? '') as { readonly root: string, readonly excluded?: string }
const scanner = await openScanner({
  root, clock: systemClock, ...(excluded !== undefined && { excluded: [{ path: excluded, why: 'the test says so' }] }),
})
const snapshot = await scanner.scan({ signal: AbortSignal.timeout(20_000) })
process.stdout.write(JSON.stringify({
  paths: paths(snapshot), problems: problems(snapshot), leftOut: leftOut(snapshot), complete: snapshot.complete,
}))
await scanner.close()
