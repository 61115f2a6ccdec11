import { encodeListing } from '@filesync/protocol'
import type { Digest, DirectoryEntry, FileEntry, Name, Problem, RelativePath } from '@filesync/protocol'
import type { Explanation } from '@filesync/scanner'
import { expect, test } from 'vitest'
import { explainPath } from '../src/status/explain-path.ts'
import { RunRecord } from '../src/status/run-record.ts'
import type { PushResult } from '../src/push/push-result.ts'
import type { Activity } from '../src/status/run-record.ts'

const PATH = 'a/b' as RelativePath
const LISTED: Explanation = {
  state: 'listed', entry: { kind: 'file', name: 'b' as Name, sizeBytes: 1, mtimeNs: 2n, mode: 0o644, fileId: 3n },
}

test.each<[Activity, RegExp]>([
  [{ doing: 'idle' }, /^No client is running, so it is not known whether/u],
  [{ doing: 'connecting' }, /not stored yet: the client is searching for the server\.$/u],
  [{ doing: 'queued', position: 3, estimateMs: undefined }, /not stored yet: this client is at position 3 in the server's queue\.$/u],
  [{ doing: 'comparing' }, /not stored yet: the folders are being compared/u],
  [{ doing: 'waiting', untilMs: 0 }, /not stored yet: the next run is at 1970-01-01T00:00:00\.000Z\.$/u],
])('says why a file was not stored yet while the client does %j', (activity, reason) => {
  const record = new RunRecord()
  record.activity = activity
  expect(explainPath(PATH, LISTED, record)).toEqual({ path: PATH, state: 'pending', reason: expect.stringMatching(reason) as unknown })
})

const DIGEST = (fill: number): Digest => new Uint8Array(32).fill(fill) as Digest
const FILE: FileEntry = { kind: 'file', name: 'b' as Name, sizeBytes: 1, mtimeNs: 2n, mode: 0o644, fileId: 3n }
const FOLDER: DirectoryEntry = { kind: 'directory', name: 'a' as Name, mtimeNs: 2n, mode: 0o755, digest: DIGEST(1) }
const NAMED: Problem = { path: 'a/deep/p', code: 'SPECIAL_FILE', message: 'it is a pipe' }
const OK: PushResult = {
  result: 'ok', filesSent: 1, filesDeleted: 0, filesRenamed: 0, filesTotal: 1, bytesTotal: 1, bytesSent: 1, bytesReceived: 1, durationMs: 1,
  nextSyncAt: null, problems: [], problemCount: 0, leftOutCount: 0,
}

/** The record of a client that stored the file and the directory and waits for the next run. */
function afterRun (result: Partial<PushResult> = {}): RunRecord {
  const record = new RunRecord()
  const listings = new Map([['', encodeListing([FOLDER])], ['a', encodeListing([FILE])]])
  const tree = { rootDigest: DIGEST(2), files: 1, directories: 1, bytes: 1, listing: (path: RelativePath) => listings.get(path) }
  record.add({ ...OK, ...result }, 0, tree)
  record.activity = { doing: 'waiting', untilMs: 60_000 }
  return record
}

const A = 'a' as RelativePath
const answers: readonly [what: string, path: RelativePath, explanation: Explanation, record: RunRecord, state: string, reason: RegExp][] = [
  [
    'a file that has not changed since', PATH, { state: 'listed', entry: FILE }, afterRun(), 'stored',
    /holds it exactly as it is here \(1 byte, modified 1970-01-01T00:00:00\.000Z\), since 1970/u,
  ],
  [
    'a file that has changed since', PATH, { state: 'listed', entry: { ...FILE, sizeBytes: 9 } }, afterRun(), 'pending',
    /^It has changed since it was stored \(9 bytes, modified .*It is not stored yet: the next run is at/u,
  ],
  [
    'another file of the same size and time', PATH, { state: 'listed', entry: { ...FILE, fileId: 4n } }, afterRun(), 'pending',
    /^It has changed/u,
  ],
  [
    'a directory that is stored completely', A, { state: 'listed', entry: FOLDER }, afterRun(), 'stored',
    /holds it with everything in it, except for ignored files, exactly as it is here, since/u,
  ],
  [
    'a directory in which something is left out', A,
    { state: 'listed', entry: FOLDER, leftOut: { first: [{ path: 'a/s', code: 'SPECIAL_FILE', message: 'it is a socket' }], count: 2 } },
    afterRun(), 'stored',
    /everything in it, except for ignored files and 2 entries that cannot be pushed, such as a\/s \(it is a socket\), exactly/u,
  ],
  [
    'an entry that is left out', A, { state: 'left-out', leftOut: { path: 'a', code: 'SPECIAL_FILE', message: 'it is a socket' } },
    afterRun(), 'left-out', /^It is left out: it is a socket\.$/u,
  ],
  [
    'a mount point that is away', A, { state: 'away', problem: { path: 'a', code: 'AWAY', message: 'nothing is mounted there' } },
    afterRun(), 'away', /^It is away: nothing is mounted there\.$/u,
  ],
  [
    'a folder that is away, whose message is whole sentences', A,
    { state: 'away', problem: { path: 'a', code: 'AWAY', message: 'The folder has vanished. Check that its disk is mounted.' } },
    afterRun(), 'away', /^It is away: The folder has vanished\. Check that its disk is mounted\.$/u,
  ],
  [
    'an excluded directory', A, { state: 'excluded', why: 'it holds the keys of FileSync' }, afterRun(), 'excluded',
    /^It is not pushed: it holds the keys of FileSync\.$/u,
  ],
  [
    'a directory whose content has changed', A, { state: 'listed', entry: { ...FOLDER, digest: DIGEST(9) } }, afterRun(), 'pending',
    /^Its content has changed since it was stored\. It is not stored yet/u,
  ],
  [
    'a directory with a file that the scan left out', A, { state: 'listed', entry: FOLDER, below: { first: NAMED, count: 1 } }, afterRun(),
    'problem', /^Not everything in it is stored: a\/deep\/p: it is a pipe\.$/u,
  ],
  [
    'a directory with a file that the server did not store', A, { state: 'listed', entry: FOLDER },
    afterRun({ result: 'problems', problems: [NAMED], problemCount: 1 }), 'problem', /^Not everything in it is stored: a\/deep\/p/u,
  ],
  [
    'a file after a run with problems that it did not name', PATH, { state: 'listed', entry: FILE },
    afterRun({ result: 'problems', problems: [NAMED], problemCount: 9 }), 'pending', /did not store 8 entries that it did not name/u,
  ],
]

test.each(answers)('explains the state of %s', (_, path, explanation, record, state, reason) => {
  expect(explainPath(path, explanation, record)).toMatchObject({ state, reason: expect.stringMatching(reason) as unknown })
})
